"""Whether a lock still answers the spec: by hashes, without network, clock or locker."""

import hashlib
import json
from collections.abc import Callable, Iterable

from envgen.lock.model import APT_FILE, BUILD_FILE, WORKLOADS_FILE, Lock, LockedBase, LockedImage
from envgen.lock.request import image_platforms, make_request
from envgen.lockers import load_locker
from envgen.plan.base import (
    ask_system_cuda,
    choose_base,
    choose_python,
    official_python,
    wants_system_cuda,
)
from envgen.rendered import RenderedFile
from envgen.spec.model import Image, Spec

Read = Callable[[str], bytes | None]
"""Reads a file by its path relative to the spec; None where there is none."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def hash_inputs(files: Iterable[RenderedFile]) -> str:
    """Return one SHA-256 for all of a locker's input files, their paths included."""
    return sha256("".join(f"{sha256(file.content)}  {file.path}\n" for file in files).encode())


def sha256_as_committed(content: bytes) -> str:
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
    if reason := _why_base_stale(spec, lock, image, locked):
        return reason
    if any(layer.kind == "conda" for layer in locked.layers) and not lock.find_tool("py-rattler"):
        return "the program that installs its conda packages is not pinned"
    native = read(f"{request.folder}/{locker.NATIVE}")
    if native is None or locked.lock_sha256 != sha256_as_committed(native):
        return f"{locker.NATIVE} is {'missing' if native is None else 'not the one that was read'}"
    return (
        _why_own_stale(image, locked, read)
        or _why_apt_stale(spec, lock, name)
        or _why_written_stale(locked, request.folder, read)
    )


def _why_written_stale(locked: LockedImage, folder: str, read: Read) -> str:
    """Return which file of those that locking wrote is not as it was written, if one is not."""
    written = {layer.file: layer.sha256 for layer in locked.layers}
    if locked.own:
        written[BUILD_FILE] = locked.build_sha256
    if locked.apt:
        written[APT_FILE] = locked.apt.sha256
    written |= {WORKLOADS_FILE.format(name): sha for name, sha in locked.workloads.items()}
    for file, digest in written.items():
        content = read(f"{folder}/{file}")
        if content is None or digest != sha256_as_committed(content):
            return f"{file} is {'missing' if content is None else 'not the one that was written'}"
    return ""


def _why_base_stale(spec: Spec, lock: Lock, image: Image, locked: LockedImage) -> str:
    base = choose_base(spec, image).image
    if locked.base != base or not (lock.find_base(base) and lock.find_base(official_python(spec))):
        return "its base image is not the one that was locked"
    source = choose_python(spec, image)
    if source and not lock.find_base(source):
        return "the image that its Python is copied from is not locked"
    if set(image.workloads) != locked.workloads.keys():
        return "what plugins add to its self-test is not what was locked"
    if image.shared and not locked.shared and any(layer.packages for layer in locked.layers):
        return "what other images may stand on has not been recorded"
    if not _has_system_cuda(image, lock, locked):
        return "its CUDA libraries are not those that the spec asks for"
    return ""


def _why_own_stale(image: Image, locked: LockedImage, read: Read) -> str:
    """Return why the image's own packages have to be locked again, if they have to.

    Not because their code has changed: that is for the image's build to see.
    """
    if tuple(package.folder for package in locked.own) != image.install:
        return "its own packages are not those that were locked"
    for package in locked.own:
        path = package.project_file
        content = read(path)
        if content is None or package.sha256 != sha256_as_committed(content):
            return f"{path} is {'missing' if content is None else 'not the one that was read'}"
    return ""


def hash_apt_input(spec: Spec, name: str, base: LockedBase) -> str:
    """Return a SHA-256 of what OS packages are chosen for."""
    network = spec.network
    asked = {
        "apt": spec.images[name].apt,
        "archives": network.apt_archives,
        "base": f"{base.image}@{base.digest}",
        "moment": network.apt_snapshot or network.exclude_newer,
        "platforms": image_platforms(spec, name),
    }
    return sha256(json.dumps(asked, sort_keys=True).encode())


def _why_apt_stale(spec: Spec, lock: Lock, name: str) -> str:
    apt, base = lock.images[name].apt, lock.find_base(lock.images[name].base)
    if bool(spec.images[name].apt) != (apt is not None):
        return "its OS packages are not those that were locked"
    if apt and base and apt.input_sha256 != hash_apt_input(spec, name, base):
        return "its OS packages were locked for another base, archive or moment, or are others"
    return ""


def _has_system_cuda(image: Image, lock: Lock, locked: LockedImage) -> bool:
    """Return whether an image takes CUDA libraries from where the spec wants them, if anywhere."""
    wanted, have = wants_system_cuda(image, links=bool(locked.links)), locked.system_cuda
    if have is None:
        return not wanted
    return wanted and have.asked == ask_system_cuda(image) and bool(lock.find_base(have.image))
