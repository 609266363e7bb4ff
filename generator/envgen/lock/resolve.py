"""Making a lock: every image that needs it, side by side, all or nothing."""

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from envgen.errors import EnvgenError, LockError, Problem, ToolError
from envgen.lock.agreement import Versions, hold, list_versions
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
from envgen.lock.pool import Pool
from envgen.lock.pylock import render_pylock
from envgen.lock.request import image_platforms, make_request
from envgen.lock.sizes import fill_sizes
from envgen.lock.staleness import Read, hash_inputs, sha256
from envgen.lockers import LockRequest, load_locker
from envgen.plan.base import choose_base, official_python
from envgen.rendered import RenderedFile, seal
from envgen.spec.load import LoadedSpec, key_prefix
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
    packages: tuple[LockedPackage, ...]
    files: tuple[RenderedFile, ...]
    changes: tuple[Change, ...]


def lock_images(
    loaded: LoadedSpec,
    current: Lock,
    names: Iterable[str],
    *,
    upgrade: bool,
    packages: tuple[str, ...] = (),
    read: Read,
    report: Callable[[str], None],
) -> LockOutcome:
    """Return `current` with the named images locked anew.

    Args:
        loaded: The spec and its folder.
        current: The lock so far; images that the spec no longer has are dropped from it.
        names: The images to lock.
        upgrade: Take the newest versions and digests instead of keeping pins that still fit.
        packages: Packages that are upgraded, where the others keep their pins.
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
    with Pool(_PARALLEL) as pool:
        pinning = {
            image: pool.submit(pin_base, image, mirrors=mirrors, ca_certificates=ca)
            for image in missing
        }

        def start(name: str, constraints: tuple[str, ...] = ()) -> Future[_LockedFiles]:
            job = _Job(
                loaded=loaded,
                name=name,
                version=versions[spec.images[name].locker],
                upgrade=upgrade,
                packages=packages,
                constraints=constraints,
                read=read,
            )
            return pool.submit(_lock_image, job, report)

        def relock(constraints: Mapping[str, tuple[str, ...]]) -> dict[str, _LockedFiles]:
            again = {name: start(name, needed) for name, needed in constraints.items()}
            _gather(again.values(), loaded.file)
            return {name: future.result() for name, future in again.items()}

        locking = {name: start(name) for name in names}
        _gather([*pinning.values(), *locking.values()], loaded.file)
        results = {name: future.result() for name, future in locking.items()}
        if spec.project.agree:
            fixed = _read_fixed(spec, current, names, read)
            try:
                results = hold(spec.project.agree, results, fixed, relock)
            except LockError as error:
                raise LockError(*_name_file(error.problems, loaded.file)) from error
    pinned = {image: future.result() for image, future in pinning.items()}
    lock = Lock(
        format=FORMAT,
        agree=spec.project.agree,
        bases=_choose_bases(spec, wanted, {**kept, **pinned}),
        tools=tuple(_pin_tools(spec, current, upgrade=upgrade)),
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


def _gather(futures: "Iterable[Future[Any]]", file: str) -> None:
    """Wait for all and raise the problems of all that failed, under the first one's class.

    Problems with a key path but no file are the spec's: lockers do not know what it is called.
    """
    failed = [error for future in futures if (error := future.exception())]
    known = [error for error in failed if isinstance(error, EnvgenError)]
    if len(known) < len(failed):
        raise next(error for error in failed if not isinstance(error, EnvgenError))
    if known:
        problems = (problem for error in known for problem in error.problems)
        raise type(known[0])(*dict.fromkeys(_name_file(problems, file)))


def _name_file(problems: Iterable[Problem], file: str) -> Iterator[Problem]:
    for problem in problems:
        unnamed = problem.key and not problem.file
        yield (
            msgspec.structs.replace(problem, file=file, key=key_prefix(file) + problem.key)
            if unnamed
            else problem
        )


def _read_fixed(spec: Spec, current: Lock, names: Iterable[str], read: Read) -> dict[str, Versions]:
    """Return the versions of the images that are locked already and stay as they are."""
    stay = [name for name in spec.images if name in current.images and name not in names]
    return {
        name: list_versions(
            (str(package.get("name")), str(package.get("version", "")))
            for package in _read_package_tables(make_request(spec, name), read)
        )
        for name in stay
    }


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    loaded: LoadedSpec
    name: str
    version: str
    upgrade: bool
    packages: tuple[str, ...]
    constraints: tuple[str, ...]
    read: Read


def _lock_image(job: _Job, report: Callable[[str], None]) -> _LockedFiles:
    spec, image = job.loaded.spec, job.loaded.spec.images[job.name]
    request = msgspec.structs.replace(
        make_request(spec, job.name), upgrade=job.packages, constraints=job.constraints
    )
    locker = load_locker(image.locker)
    held = f", held to {', '.join(job.constraints)}" if job.constraints else ""
    report(f"locking {job.name} with {image.locker}{held}")
    current = None if job.upgrade else job.read(f"{request.folder}/{locker.NATIVE}")
    ca = find_ca_certificates(job.loaded)
    result = locker.lock(request, current=current, ca_certificates=ca)
    before = _read_package_tables(request, job.read)
    packages = fill_sizes(result.packages, _known_sizes(before), ca)
    given = locker.render_inputs(request)
    layers = tuple(_make_layers(request, packages))
    return _LockedFiles(
        locked=LockedImage(
            base=choose_base(spec, image).image,
            locker=image.locker,
            locker_version=job.version,
            input_sha256=hash_inputs(given),
            lock_sha256=sha256(result.native.content),
            frameworks={p.name: p.version for p in packages if p.name in FRAMEWORKS},
            layers=tuple(locked for locked, _ in layers),
            gpu_code=read_gpu_code(job.name, packages, wants_gpu=image.gpu is not None),
        ),
        packages=packages,
        files=(*given, result.native, *(file for _, file in layers)),
        changes=compare_packages(job.name, before, packages),
    )


def _make_layers(
    request: LockRequest, packages: tuple[LockedPackage, ...]
) -> Iterator[tuple[LockedLayer, RenderedFile]]:
    """Yield the layers of an image with their files, in the order in which they are stacked."""
    conda = tuple(package for package in packages if package.conda)
    others = tuple(package for package in packages if not package.conda)
    if conda:
        from envgen.lockers.conda_layer import render_layer  # noqa: PLC0415 - only for conda-lock

        yield _make_layer(request, "conda", "conda", conda, render_layer(conda))
    if others or not conda:
        pylock = render_pylock(others, request.python)
        yield _make_layer(request, "packages", "pylock", others, pylock)


def _make_layer(
    request: LockRequest,
    name: str,
    kind: Literal["pylock", "conda"],
    packages: tuple[LockedPackage, ...],
    text: str,
) -> tuple[LockedLayer, RenderedFile]:
    header = "Generated by `envgen lock`. Do not edit: change the spec and lock again."
    content = seal(header, text)
    sizes = {
        platform: [p.downloads[platform].size for p in packages if platform in p.downloads]
        for platform in request.platforms
    }
    layer = LockedLayer(
        name=name,
        kind=kind,
        sha256=sha256(content),
        packages=len(packages),
        download_bytes={
            platform: sum(size for size in found if size is not None)
            for platform, found in sizes.items()
        },
        unknown_sizes=sum(size is None for found in sizes.values() for size in found),
    )
    path = f"{request.folder}/{layer.file}"
    return layer, RenderedFile(path=path, content=content, guarded=False)


def _read_package_tables(request: LockRequest, read: Read) -> list[dict[str, object]]:
    """Return the package tables of the layers on disk; none of those that cannot be read."""
    found: list[dict[str, object]] = []
    for file in ("conda.toml", "pylock.packages.toml"):
        content = read(f"{request.folder}/{file}")
        try:
            packages = tomllib.loads((content or b"").decode()).get("packages", [])
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            continue
        found += [entry for entry in packages if isinstance(entry, dict)]
    return found


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


def _pin_tools(spec: Spec, current: Lock, *, upgrade: bool) -> Iterator[LockedTool]:
    """Yield what installs inside of builds: uv, and py-rattler for conda packages."""
    conda = [name for name, image in spec.images.items() if image.locker == "conda-lock"]
    yield _pin_tool("uv", spec, tuple(spec.images), current, upgrade=upgrade)
    if conda:
        yield _pin_tool("py-rattler", spec, conda, current, upgrade=upgrade)


def _pin_tool(
    name: str, spec: Spec, images: Iterable[str], current: Lock, *, upgrade: bool
) -> LockedTool:
    """Return a tool as the lock has it, else as the table has it."""
    platforms = dict.fromkeys(p for image in images for p in image_platforms(spec, image))
    kept = current.find_tool(name)
    if kept and not upgrade and platforms.keys() <= kept.sha256.keys():
        return kept
    rows = find_tool(name, platforms)
    if len(rows) < len(platforms):
        raise ToolError.single(f"no {name} is known for all of {', '.join(platforms)}")
    return LockedTool(
        name=name,
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
