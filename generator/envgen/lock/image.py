"""Locking one image: its locker runs, and what it pinned becomes layers and a row of the lock."""

import contextlib
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from envgen.errors import LockError
from envgen.lock.changes import Change, compare_packages
from envgen.lock.model import (
    LAYERS,
    WORKLOADS_FILE,
    LockedBase,
    LockedImage,
    LockedLayer,
    Places,
)
from envgen.lock.network import find_ca_certificates
from envgen.lock.origins import require_own_index, warn_of_git, warn_of_indexes
from envgen.lock.packages import LockedPackage
from envgen.lock.request import make_request
from envgen.lock.staleness import Read, hash_inputs, sha256
from envgen.lockers import Locker, LockRequest, LockResult, load_locker
from envgen.plan.base import choose_base
from envgen.rendered import RenderedFile, seal
from envgen.spec.load import LoadedSpec

FRAMEWORKS: Final = ("jax", "jaxlib", "mkl", "numpy", "tensorflow", "torch")
"""Packages whose version later decisions ask for."""


class LockedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A locked image: its row of the lock, its packages, the files that hold them, what changed.

    `os_packages` are the names of those that come from the distribution.
    """

    locked: LockedImage
    packages: tuple[LockedPackage, ...]
    files: tuple[RenderedFile, ...]
    changes: tuple[Change, ...]
    os_packages: frozenset[str] = frozenset()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One image to lock.

    Attributes:
        loaded: The spec and its folder.
        name: The image.
        version: Of the program that its locker runs.
        upgrade: Take the newest versions instead of keeping pins that still fit.
        packages: Packages that are upgraded, where the others keep their pins.
        constraints: What other images hold it to, as PEP 508 requirements.
        placed: The layers that packages have so far.
        base: The image of envgen that it stands on; None where it stands on none.
        read: Reads a file of the spec's folder.

    """

    loaded: LoadedSpec
    name: str
    version: str
    upgrade: bool
    packages: tuple[str, ...]
    constraints: tuple[str, ...]
    placed: Places
    base: LockedBase | None = None
    read: Read


def lock_image(job: Job, report: Callable[[str], None]) -> LockedFiles:
    """Lock one image.

    Raises:
        LockError: Its requirements cannot be met.
        NetworkError: The index did not answer.
        ToolError: Its locker is missing or failed for a reason of its own.

    """
    spec, image = job.loaded.spec, job.loaded.spec.images[job.name]
    inherited = job.base.packages if job.base else ()
    request = msgspec.structs.replace(
        make_request(spec, job.name),
        upgrade=job.packages,
        constraints=(*job.constraints, *inherited),
    )
    locker = load_locker(image.locker)
    held = f", held to {', '.join(job.constraints)}" if job.constraints else ""
    report(f"locking {job.name} with {image.locker}{held}")
    warn_of_indexes(image, request)
    current = None if job.upgrade else job.read(f"{request.folder}/{locker.NATIVE}")
    ca = find_ca_certificates(job.loaded)
    result = _run_locker(job, locker, request, current, ca)
    # Loaded while the locker ran: see lock.resolve.
    from envgen.lock.own import lock_own, require_none_from_index  # noqa: PLC0415
    from envgen.lock.sizes import fill_sizes  # noqa: PLC0415
    from envgen.lock.weigh import weigh_layers  # noqa: PLC0415

    before = read_package_tables(request, job.read)
    require_own_index(image, spec.network, request, result.packages)
    warn_of_git(request.image, result.packages)
    own = lock_own(
        request,
        image.install,
        root=job.loaded.root,
        read=job.read,
        upgrade=job.upgrade,
        ca_certificates=ca,
    )
    require_none_from_index(job.name, own.packages, result.packages)
    packages = fill_sizes(result.packages, _known_sizes(before), ca)
    hashed = _find_hashed(result, read_hashed(request, job.read))
    given = locker.render_inputs(request)
    there = tuple(p for p in packages if f"{p.name}=={p.version}" in inherited)
    fresh = tuple(package for package in packages if package not in there)
    layers = (
        *_make_base_layer(request, there),
        *_make_layers(request, fresh, job.placed, hashed),
    )
    workloads = dict(_copy_workloads(request.folder, image.workloads))
    weighed = weigh_layers(job.name, image, fresh, tuple(locked for locked, _ in layers), ca)
    return LockedFiles(
        locked=LockedImage(
            base=choose_base(spec, image).image,
            locker=image.locker,
            locker_version=job.version,
            input_sha256=hash_inputs(given),
            lock_sha256=sha256(result.native.content),
            frameworks={p.name: p.version for p in packages if p.name in FRAMEWORKS},
            layers=weighed,
            hashed=hashed,
            own=own.packages,
            build_sha256="".join(sha256(file.content) for file in own.files),
            workloads={name: sha256(file.content) for name, file in workloads.items()},
            **_describe_base(job, locker, request, result, ca),
        ),
        packages=packages,
        files=(
            *given,
            result.native,
            *own.files,
            *(file for _, file in layers),
            *workloads.values(),
        ),
        changes=compare_packages(job.name, before, packages),
    )


def _copy_workloads(folder: str, names: Iterable[str]) -> Iterator[tuple[str, RenderedFile]]:
    """Yield what plugins add to the self-test, so that rendering and building need no plugin."""
    for name in names:
        from envgen.plugins import read_module  # noqa: PLC0415 - few images have any

        text = read_module("envgen.frameworks", name)
        path = f"{folder}/{WORKLOADS_FILE.format(name)}"
        yield name, RenderedFile(path=path, content=seal(_HEADER, text))


_HEADER: Final = "Generated by `envgen lock`. Do not edit: change the spec and lock again."


def _run_locker(
    job: Job, locker: Locker, request: LockRequest, current: bytes | None, ca: Path | None
) -> LockResult:
    try:
        return locker.lock(request, current=current, ca_certificates=ca)
    except LockError as error:
        if job.base is None:
            raise
        from envgen.lock.extended import explain_conflict  # noqa: PLC0415 - few images extend one

        raise explain_conflict(error, job.base) from error


def _describe_base(
    job: Job, locker: Locker, request: LockRequest, result: LockResult, ca: Path | None
) -> dict[str, Any]:
    """Return what an image has with its base, and what it would have without."""
    if job.base is None and not job.loaded.spec.images[job.name].shared:
        return {}
    from envgen.lock.extended import (  # noqa: PLC0415 - few images
        find_drift,
        list_shared,
        warn_of_drift,
    )

    shared = list_shared(job.name, result.packages, request.platforms, job.base)
    if job.base is None:
        return {"shared": shared}
    names = tuple(pin.partition("==")[0] for pin in job.base.packages)
    alone = msgspec.structs.replace(
        request, constraints=job.constraints, upgrade=(*job.packages, *names)
    )
    free = locker.lock(alone, current=result.native.content, ca_certificates=ca)
    drift = find_drift(result.packages, free.packages, job.base.packages)
    warn_of_drift(job.name, job.base.image, result.packages, drift)
    return {"shared": shared, "drift": drift}


def _make_base_layer(
    request: LockRequest, packages: tuple[LockedPackage, ...]
) -> Iterator[tuple[LockedLayer, RenderedFile]]:
    """Yield what the base has: it is in the image, and nothing installs it."""
    if not packages:
        return
    from envgen.lock.pylock import render_pylock  # noqa: PLC0415 - see lock.resolve

    text = render_pylock(packages, request.python)
    layer, file = _make_layer(request, "base", "base", packages, text)
    nothing = dict.fromkeys(request.platforms, 0)
    yield msgspec.structs.replace(layer, download_bytes=nothing, unknown_sizes=0), file


def _find_hashed(result: LockResult, before: frozenset[str]) -> tuple[str, ...]:
    """Return the files without a published hash: of this run, and those whose hash was kept."""
    locked = {
        artifact.filename
        for package in result.packages
        for artifact in (*package.wheels, *package.downloads.values())
    }
    return tuple(sorted(locked & {*result.hashed, *before}))


def _make_layers(
    request: LockRequest,
    packages: tuple[LockedPackage, ...],
    placed: Places,
    hashed: tuple[str, ...],
) -> Iterator[tuple[LockedLayer, RenderedFile]]:
    """Yield the layers of an image with their files, in the order in which they are stacked."""
    conda = tuple(package for package in packages if package.conda)
    others = tuple(package for package in packages if not package.conda)
    if conda:
        from envgen.lockers.conda_layer import render_layer  # noqa: PLC0415 - only for conda-lock

        yield _make_layer(request, "conda", "conda", conda, render_layer(conda))
    git = tuple(package for package in others if package.git)
    others = tuple(package for package in others if not package.git)
    from envgen.lock.pylock import render_pylock  # noqa: PLC0415 - see lock.resolve

    if others or not conda:
        from envgen.lock.layers import place_packages  # noqa: PLC0415 - see lock.resolve

        layers = place_packages(others, placed)
        for name, members in layers.items():
            pylock = render_pylock(members, request.python, hashed)
            layer, file = _make_layer(request, name, "pylock", members, pylock)
            names = tuple(package.name for package in members) if len(layers) > 1 else ()
            yield msgspec.structs.replace(layer, members=names), file
    if git:
        yield _make_layer(request, "git", "git", git, render_pylock(git, request.python))


def _make_layer(
    request: LockRequest,
    name: str,
    kind: Literal["pylock", "git", "conda", "base"],
    packages: tuple[LockedPackage, ...],
    text: str,
) -> tuple[LockedLayer, RenderedFile]:
    content = seal(_HEADER, text)
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


def read_package_tables(request: LockRequest, read: Read) -> list[dict[str, object]]:
    """Return the package tables of the layers on disk; none of those that cannot be read."""
    return [
        entry
        for document in _read_layers(request, read)
        for entry in document.get("packages", [])
        if isinstance(entry, dict)
    ]


def read_hashed(request: LockRequest, read: Read) -> frozenset[str]:
    """Return the files of the layers on disk whose hash envgen has computed."""
    tables = (
        document.get("tool", {}).get("envgen", {}) for document in _read_layers(request, read)
    )
    return frozenset(name for table in tables for name in table.get("hashed", ()))


def _read_layers(request: LockRequest, read: Read) -> Iterator[dict[str, Any]]:
    for file in ("conda.toml", *(f"pylock.{layer}.toml" for layer in ("base", *LAYERS, "git"))):
        content = read(f"{request.folder}/{file}")
        with contextlib.suppress(tomllib.TOMLDecodeError, UnicodeDecodeError):
            yield tomllib.loads((content or b"").decode())


def _known_sizes(packages: Iterable[dict[str, object]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for package in packages:
        wheels = package.get("wheels", [])
        for wheel in wheels if isinstance(wheels, list) else []:
            if "size" in wheel:
                sizes[wheel["hashes"]["sha256"]] = wheel["size"]
    return sizes
