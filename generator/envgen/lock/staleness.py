"""Whether a lock still answers the spec: by hashes, without network, clock or locker."""

import hashlib
from collections.abc import Callable, Iterable

from envgen.lock.model import Lock
from envgen.lock.request import make_request
from envgen.lockers import load_locker
from envgen.plan.base import choose_base, official_python
from envgen.rendered import RenderedFile
from envgen.spec.model import Spec

Read = Callable[[str], bytes | None]
"""Reads a file by its path relative to the spec; None where there is none."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def hash_inputs(files: Iterable[RenderedFile]) -> str:
    """Return one SHA-256 for all of a locker's input files, their paths included."""
    return sha256("".join(f"{sha256(file.content)}  {file.path}\n" for file in files).encode())


def _sha256_as_committed(content: bytes) -> str:
    """Return the hash of a text file, whatever line endings its checkout has."""
    return sha256(content.replace(b"\r\n", b"\n"))


def find_stale(spec: Spec, lock: Lock, read: Read) -> dict[str, str]:
    """Return the images whose lock has to be made again, each with the reason."""
    reasons = {name: _why_stale(spec, lock, name, read) for name in spec.images}
    return {name: reason for name, reason in reasons.items() if reason}


def _why_stale(spec: Spec, lock: Lock, name: str, read: Read) -> str:
    locked = lock.images.get(name)
    if locked is None:
        return "it is not locked yet"
    image = spec.images[name]
    if locked.locker != image.locker:
        return f"its locker was {locked.locker} and is {image.locker}"
    if set(lock.agree) != set(spec.project.agree):
        return "the packages that images agree on are not those of the lock"
    request = make_request(spec, name)
    locker = load_locker(image.locker)
    if locked.input_sha256 != hash_inputs(locker.render_inputs(request)):
        return "its dependencies, Python, platforms or index are not those that were locked"
    base = choose_base(spec, image).image
    if locked.base != base or not (lock.find_base(base) and lock.find_base(official_python(spec))):
        return "its base image is not the one that was locked"
    if any(layer.kind == "conda" for layer in locked.layers) and not lock.find_tool("py-rattler"):
        return "the program that installs its conda packages is not pinned"
    native = read(f"{request.folder}/{locker.NATIVE}")
    if native is None or locked.lock_sha256 != _sha256_as_committed(native):
        return f"{locker.NATIVE} is {'missing' if native is None else 'not the one that was read'}"
    for layer in locked.layers:
        content = read(f"{request.folder}/{layer.file}")
        if content is None or layer.sha256 != _sha256_as_committed(content):
            state = "missing" if content is None else "not the one that was written"
            return f"{layer.file} is {state}"
    return ""
