"""Making a lock: every image that needs it, side by side, all or nothing."""

import os
import tomllib
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from envgen import process
from envgen.errors import EnvgenError, ToolError
from envgen.lock.bases import check_platforms, pin_base
from envgen.lock.changes import Change, compare_packages
from envgen.lock.gpu_code import read_gpu_code
from envgen.lock.model import (
    FORMAT,
    LOCK_FILE,
    Lock,
    LockedBase,
    LockedImage,
    LockedLayer,
    LockedTool,
    write_lock,
)
from envgen.lock.packages import LockedPackage
from envgen.lock.pylock import render_pylock
from envgen.lock.request import image_platforms, make_request
from envgen.lock.sizes import fill_sizes
from envgen.lock.staleness import Read, hash_inputs, sha256
from envgen.lockers import LockRequest, load_locker
from envgen.plan.base import choose_base, official_python
from envgen.rendered import RenderedFile, seal
from envgen.spec.load import LoadedSpec
from envgen.spec.model import Spec
from envgen.tables import find_tool

_PARALLEL: Final = 4
"""Lockers at a time: each is one process that waits for the network most of the time."""

FRAMEWORKS: Final = ("jax", "numpy", "tensorflow", "torch")
"""Packages whose version later decisions ask for."""


class LockOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A new lock, the files that hold it, and what it changed."""

    lock: Lock
    files: tuple[RenderedFile, ...]
    changes: tuple[Change, ...]


class _LockedFiles(msgspec.Struct, frozen=True, kw_only=True):
    locked: LockedImage
    files: tuple[RenderedFile, ...]
    changes: tuple[Change, ...]


def lock_images(
    loaded: LoadedSpec,
    current: Lock,
    names: Iterable[str],
    *,
    upgrade: bool,
    read: Read,
    report: Callable[[str], None],
) -> LockOutcome:
    """Return `current` with the named images locked anew.

    Args:
        loaded: The spec and its folder.
        current: The lock so far; images that the spec no longer has are dropped from it.
        names: The images to lock.
        upgrade: Take the newest versions and digests instead of keeping pins that still fit.
        read: Reads a file of the spec's folder.
        report: Told what is being done, a line at a time.

    Raises:
        EnvgenError: With the problems of every image and base that failed.

    """
    spec, names = loaded.spec, tuple(names)
    ca = find_ca_certificates(loaded)
    wanted = {name: choose_base(spec, image).image for name, image in spec.images.items()}
    kept = {base.image: base for base in current.bases if not upgrade}
    missing = sorted({official_python(spec), *wanted.values()} - kept.keys())
    mirrors = {**spec.network.registry_mirrors, **environment_mirrors()}
    # Before the threads: finding uv reads sysconfig, which does not bear two readers at first.
    versions = {
        name: load_locker(name).probe_version() for name in {spec.images[n].locker for n in names}
    }
    with _Interruptible(_PARALLEL) as pool:
        pinning = {
            image: pool.submit(pin_base, image, mirrors=mirrors, ca_certificates=ca)
            for image in missing
        }
        locking = {
            name: pool.submit(
                _lock_image,
                _Job(
                    loaded=loaded,
                    name=name,
                    version=versions[spec.images[name].locker],
                    upgrade=upgrade,
                    read=read,
                ),
                report,
            )
            for name in names
        }
        _gather([*pinning.values(), *locking.values()], loaded.file)
    pinned = {image: future.result() for image, future in pinning.items()}
    results = {name: future.result() for name, future in locking.items()}
    lock = Lock(
        format=FORMAT,
        bases=_choose_bases(spec, wanted, {**kept, **pinned}),
        tools=(_pin_uv(spec, current, upgrade=upgrade),),
        images={
            name: results[name].locked if name in results else current.images[name]
            for name in spec.images
            if name in results or name in current.images
        },
    )
    files = tuple(file for result in results.values() for file in result.files)
    changes = tuple(change for result in results.values() for change in result.changes)
    return LockOutcome(
        lock=lock,
        files=(*files, RenderedFile(path=LOCK_FILE, content=write_lock(lock), guarded=False)),
        changes=(*_compare_bases(current, lock), *changes),
    )


def find_ca_certificates(loaded: LoadedSpec) -> Path | None:
    """Return the CA bundle of the spec's network, if it names one."""
    named = loaded.spec.network.ca_certificates
    return loaded.root / named if named else None


def environment_mirrors() -> dict[str, str]:
    """Return the mirrors of ENVGEN_REGISTRY_MIRRORS, as `docker.io=mirror:5000,ghcr.io=…`.

    They are this machine's: digests are looked up there, and nothing that is rendered names them.
    """
    text = os.environ.get("ENVGEN_REGISTRY_MIRRORS", "")
    pairs = (entry.partition("=") for entry in text.split(",") if "=" in entry)
    return {name.strip(): host.strip() for name, _, host in pairs}


class _Interruptible(ThreadPoolExecutor):
    """A pool that Ctrl-C empties at once: programs are stopped, waiting work is dropped."""

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self.shutdown(wait=False, cancel_futures=True)
            process.stop_all()
        self.shutdown(wait=True)


def _gather(futures: "Iterable[Future[Any]]", file: str) -> None:
    """Wait for all and raise the problems of all that failed, under the first one's class.

    Problems with a key path but no file are the spec's: lockers do not know what it is called.
    """
    failed = [error for future in futures if (error := future.exception())]
    known = [error for error in failed if isinstance(error, EnvgenError)]
    if len(known) < len(failed):
        raise next(error for error in failed if not isinstance(error, EnvgenError))
    if known:
        problems = dict.fromkeys(
            msgspec.structs.replace(problem, file=file)
            if problem.key and not problem.file
            else problem
            for error in known
            for problem in error.problems
        )
        raise type(known[0])(*problems)


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    loaded: LoadedSpec
    name: str
    version: str
    upgrade: bool
    read: Read


def _lock_image(job: _Job, report: Callable[[str], None]) -> _LockedFiles:
    spec, image = job.loaded.spec, job.loaded.spec.images[job.name]
    request = make_request(spec, job.name)
    locker = load_locker(image.locker)
    report(f"locking {job.name} with {image.locker} {job.version}")
    current = None if job.upgrade else job.read(f"{request.folder}/{locker.NATIVE}")
    ca = find_ca_certificates(job.loaded)
    result = locker.lock(request, current=current, ca_certificates=ca)
    before = _read_package_tables(request, job.read)
    packages = fill_sizes(result.packages, _known_sizes(before), ca)
    given = locker.render_inputs(request)
    layer = _render_layer(request, "packages", packages)
    return _LockedFiles(
        locked=LockedImage(
            base=choose_base(spec, image).image,
            locker=image.locker,
            locker_version=job.version,
            input_sha256=hash_inputs(given),
            lock_sha256=sha256(result.native.content),
            frameworks={p.name: p.version for p in packages if p.name in FRAMEWORKS},
            layers=(_describe_layer("packages", packages, layer.content, request.platforms),),
            gpu_code=read_gpu_code(job.name, packages, wants_gpu=image.gpu is not None),
        ),
        files=(*given, result.native, layer),
        changes=compare_packages(job.name, before, packages),
    )


def _render_layer(
    request: LockRequest, layer: str, packages: tuple[LockedPackage, ...]
) -> RenderedFile:
    header = "Generated by `envgen lock`. Do not edit: change the spec and lock again."
    return RenderedFile(
        path=f"{request.folder}/pylock.{layer}.toml",
        content=seal(header, render_pylock(packages, request.python)),
        guarded=False,
    )


def _describe_layer(
    layer: str, packages: tuple[LockedPackage, ...], content: bytes, platforms: tuple[str, ...]
) -> LockedLayer:
    sizes = {
        platform: [p.downloads[platform].size for p in packages if platform in p.downloads]
        for platform in platforms
    }
    return LockedLayer(
        name=layer,
        sha256=sha256(content),
        packages=len(packages),
        download_bytes={
            platform: sum(size for size in found if size is not None)
            for platform, found in sizes.items()
        },
        unknown_sizes=sum(size is None for found in sizes.values() for size in found),
    )


def _read_package_tables(request: LockRequest, read: Read) -> list[dict[str, object]]:
    """Return the package tables of the pylock that is on disk; none where it cannot be read."""
    content = read(f"{request.folder}/pylock.packages.toml")
    try:
        packages = tomllib.loads((content or b"").decode()).get("packages", [])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return []
    return [entry for entry in packages if isinstance(entry, dict)]


def _known_sizes(packages: Iterable[dict[str, object]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for package in packages:
        wheels = package.get("wheels", [])
        for wheel in wheels if isinstance(wheels, list) else []:
            if "size" in wheel:
                sizes[wheel["hashes"]["sha256"]] = wheel["size"]
    return sizes


def _choose_bases(
    spec: Spec, wanted: dict[str, str], known: dict[str, LockedBase]
) -> tuple[LockedBase, ...]:
    for name, image in wanted.items():
        check_platforms(known[image], image_platforms(spec, name), name)
    return tuple(known[image] for image in sorted({official_python(spec), *wanted.values()}))


def _pin_uv(spec: Spec, current: Lock, *, upgrade: bool) -> LockedTool:
    """Return the uv that installs inside of builds: the one of the lock, else of the table."""
    platforms = dict.fromkeys(p for name in spec.images for p in image_platforms(spec, name))
    kept = current.find_tool("uv")
    if kept and not upgrade and platforms.keys() <= kept.sha256.keys():
        return kept
    rows = find_tool("uv", platforms)
    if len(rows) < len(platforms):
        raise ToolError.single(f"no uv is known for all of {', '.join(platforms)}")
    return LockedTool(
        name="uv",
        version=rows[0].version,
        sha256={row.platform: row.sha256 for row in rows},
    )


def _compare_bases(before: Lock, after: Lock) -> tuple[Change, ...]:
    pairs = ((before.find_base(base.image), base) for base in after.bases)
    return tuple(
        Change(image="", name=new.image, old=old.digest if old else "", new=new.digest)
        for old, new in pairs
        if old is None or old.digest != new.digest
    )
