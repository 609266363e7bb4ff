"""Making a lock: every image that needs it, side by side, all or nothing."""

import functools
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import msgspec

from envgen.errors import EnvgenError, LockError, Problem, SpecError
from envgen.lock.bases import check_platforms, pin_base, read_environment
from envgen.lock.changes import Change
from envgen.lock.image import Job, LockedFiles, lock_image, read_package_tables
from envgen.lock.model import FORMAT, LOCK_FILE, Lock, LockedBase, find_places, write_lock
from envgen.lock.network import find_ca_certificates, find_mirrors
from envgen.lock.pool import Pool
from envgen.lock.request import image_platforms, make_request
from envgen.lock.staleness import Read
from envgen.lock.tools import pin_tools
from envgen.lockers import load_locker
from envgen.plan.base import choose_base, choose_python, is_own_base, official_python
from envgen.rendered import RenderedFile
from envgen.spec.load import LoadedSpec, key_prefix
from envgen.spec.model import Spec

if TYPE_CHECKING:
    from envgen.lock.agreement import Versions

_PARALLEL: Final = 4
"""Lockers at a time: each is one process that waits for the network most of the time."""


class LockOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A new lock, the files that hold it, and what it changed."""

    lock: Lock
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
    jobs = _make_jobs(loaded, current, tuple(names), upgrade=upgrade, packages=packages, read=read)
    kept = {base.image: base for base in current.bases if not upgrade}
    with Pool(_PARALLEL) as pool:
        pinning = _start_pinning(pool, loaded, kept)
        try:
            shared = _read_shared(loaded, jobs, kept, pinning)
            jobs = _extend_jobs(loaded.spec, jobs, shared)
        except LockError as error:
            raise LockError(*_name_file(error.problems, loaded.file)) from error
        locking = {name: pool.submit(lock_image, job, report) for name, job in jobs.items()}
        # What reads their results takes a while to load: now, while they wait for the network.
        for name in ("system_cuda", "layers", "limits", "pylock", "sizes"):
            importlib.import_module(f"envgen.lock.{name}")
        _gather([*pinning.values(), *locking.values()], loaded.file)
        results = {name: future.result() for name, future in locking.items()}
        if loaded.spec.project.agree:
            fixed = _read_fixed(loaded.spec, current, jobs, read)
            results = _make_agree(pool, loaded, jobs, results, fixed=fixed, report=report)
        bases = {**kept, **{image: future.result() for image, future in pinning.items()}, **shared}
        results = _add_apt(
            loaded, current, results, bases, upgrade=upgrade, read=read, report=report
        )
        from envgen.lock.system_cuda import add_cuda  # noqa: PLC0415 - loaded above

        pin = functools.partial(_pin_with_environment, pool, loaded, bases)
        try:
            results, more = add_cuda(loaded.spec, current, results, pin, upgrade=upgrade)
        except LockError as error:
            raise LockError(*_name_file(error.problems, loaded.file)) from error
    bases |= more
    lock = _merge(loaded.spec, current, bases, results, upgrade=upgrade)
    lock = msgspec.structs.replace(lock, presets=tuple(preset.locked for preset in loaded.presets))
    files = tuple(file for result in results.values() for file in result.files)
    changes = tuple(change for result in results.values() for change in result.changes)
    return LockOutcome(
        lock=lock,
        files=(
            *files,
            *(preset.file for preset in loaded.presets),
            RenderedFile(path=LOCK_FILE, content=write_lock(lock), guarded=False),
        ),
        changes=(*_compare_presets(current, lock), *_compare_bases(current, lock), *changes),
    )


def _read_shared(
    loaded: LoadedSpec,
    names: Iterable[str],
    kept: Mapping[str, LockedBase],
    pinning: "Mapping[str, Future[LockedBase]]",
) -> dict[str, LockedBase]:
    """Return the bases that may be images of envgen, with what is in them."""
    if not any(map(is_own_base, loaded.spec.images.values())):
        return {}
    from envgen.lock.extended import own_bases, read_shared  # noqa: PLC0415 - few specs have any

    found = set(own_bases(loaded.spec, names).values())
    new = {image: pinning[image] for image in found & pinning.keys()}
    _gather(new.values(), loaded.file)
    asked = {image: kept[image] for image in found & kept.keys() if kept[image].python}
    asked |= {image: future.result() for image, future in new.items()}
    mirrors, certificates = find_mirrors(loaded), find_ca_certificates(loaded)
    return {
        image: read_shared(base, mirrors=mirrors, ca_certificates=certificates)
        for image, base in asked.items()
    }


def _extend_jobs(
    spec: Spec, jobs: Mapping[str, Job], shared: Mapping[str, LockedBase]
) -> dict[str, Job]:
    """Return the jobs, those with their base that stand on an image of envgen."""
    found = {name: shared.get(choose_base(spec, spec.images[name]).image) for name in jobs}
    extended = {name: base for name, base in found.items() if base and base.python}
    if not extended:
        return dict(jobs)
    from envgen.lock.extended import require_fitting  # noqa: PLC0415 - few specs have any

    for name, base in extended.items():
        require_fitting(spec, name, base)
    return {
        name: msgspec.structs.replace(job, base=extended.get(name)) for name, job in jobs.items()
    }


def _make_jobs(
    loaded: LoadedSpec,
    current: Lock,
    names: tuple[str, ...],
    *,
    upgrade: bool,
    packages: tuple[str, ...],
    read: Read,
) -> dict[str, Job]:
    lockers = {name: loaded.spec.images[name].locker for name in names}
    # Before the threads: finding uv reads sysconfig, which does not bear two readers at first.
    versions = {locker: load_locker(locker).probe_version() for locker in set(lockers.values())}
    return {
        name: Job(
            loaded=loaded,
            name=name,
            version=versions[locker],
            upgrade=upgrade,
            packages=packages,
            constraints=(),
            placed=find_places(current, name),
            read=read,
        )
        for name, locker in lockers.items()
    }


def _start_pinning(
    pool: Pool, loaded: LoadedSpec, kept: Mapping[str, LockedBase]
) -> dict[str, Future[LockedBase]]:
    mirrors, certificates = find_mirrors(loaded), find_ca_certificates(loaded)
    return {
        image: pool.submit(pin_base, image, mirrors=mirrors, ca_certificates=certificates)
        for image in _wanted_bases(loaded.spec)
        if image not in kept
    }


def _pin_with_environment(
    pool: Pool, loaded: LoadedSpec, bases: Mapping[str, LockedBase], images: Iterable[str]
) -> dict[str, LockedBase]:
    """Return images that CUDA comes from, with their digests and their variables."""
    mirrors, certificates = find_mirrors(loaded), find_ca_certificates(loaded)

    def pin(image: str) -> LockedBase:
        base = bases.get(image) or pin_base(image, mirrors=mirrors, ca_certificates=certificates)
        if base.environment:
            return base
        return read_environment(base, mirrors=mirrors, ca_certificates=certificates)

    pinning = {image: pool.submit(pin, image) for image in images}
    _gather(pinning.values(), loaded.file)
    return {image: future.result() for image, future in pinning.items()}


def _add_apt(
    loaded: LoadedSpec,
    current: Lock,
    results: dict[str, LockedFiles],
    bases: Mapping[str, LockedBase],
    *,
    upgrade: bool,
    read: Read,
    report: Callable[[str], None],
) -> dict[str, LockedFiles]:
    if not any(loaded.spec.images[name].apt for name in results):
        return results
    from envgen.lock.apt import add_apt  # noqa: PLC0415 - few specs ask for OS packages

    try:
        return add_apt(loaded, current, results, bases, upgrade=upgrade, read=read, report=report)
    except LockError as error:
        raise LockError(*_name_file(error.problems, loaded.file)) from error


def _wanted_bases(spec: Spec) -> list[str]:
    chosen = {choose_base(spec, image).image for image in spec.images.values()}
    copied = {choose_python(spec, image) for image in spec.images.values()} - {""}
    return sorted({official_python(spec), *chosen, *copied})


def _gather(futures: "Iterable[Future[Any]]", file: str) -> None:
    """Wait for all and raise the problems of all that failed, under the first one's class.

    Problems with a key path but no file are the spec's: lockers do not know what it is called.
    """
    failed = [error for future in futures if (error := future.exception())]
    known = [error for error in failed if isinstance(error, EnvgenError)]
    # What the spec asks for in vain explains what lockers then do not find.
    known = [error for error in known if isinstance(error, SpecError)] or known
    if defect := next((error for error in failed if not isinstance(error, EnvgenError)), None):
        raise defect
    if known:
        problems = (problem for error in known for problem in error.problems)
        raise type(known[0])(*dict.fromkeys(_name_file(problems, file)))


def _name_file(problems: Iterable[Problem], file: str) -> Iterator[Problem]:
    for problem in problems:
        if problem.file or not problem.key:
            yield problem
        else:
            key = key_prefix(file) + problem.key
            yield msgspec.structs.replace(problem, file=file, key=key)


def _read_fixed(
    spec: Spec, current: Lock, names: Iterable[str], read: Read
) -> "dict[str, Versions]":
    """Return the versions of the images that are locked already and stay as they are."""
    from envgen.lock.agreement import list_versions  # noqa: PLC0415 - few specs ask for it

    stay = [name for name in spec.images if name in current.images and name not in names]
    return {
        name: list_versions(
            (str(package.get("name")), str(package.get("version", "")))
            for package in read_package_tables(make_request(spec, name), read)
        )
        for name in stay
    }


def _make_agree(
    pool: Pool,
    loaded: LoadedSpec,
    jobs: Mapping[str, Job],
    results: dict[str, LockedFiles],
    *,
    fixed: "dict[str, Versions]",
    report: Callable[[str], None],
) -> dict[str, LockedFiles]:
    """Lock images again until those that share a package have it in one version."""
    from envgen.lock.agreement import hold  # noqa: PLC0415 - few specs ask for it

    def relock(constraints: Mapping[str, tuple[str, ...]]) -> dict[str, LockedFiles]:
        again = {
            name: pool.submit(
                lock_image, msgspec.structs.replace(jobs[name], constraints=needed), report
            )
            for name, needed in constraints.items()
        }
        _gather(again.values(), loaded.file)
        return {name: future.result() for name, future in again.items()}

    try:
        return hold(loaded.spec.project.agree, results, fixed, relock)
    except LockError as error:
        raise LockError(*_name_file(error.problems, loaded.file)) from error


def _merge(
    spec: Spec,
    current: Lock,
    bases: Mapping[str, LockedBase],
    results: Mapping[str, LockedFiles],
    *,
    upgrade: bool,
) -> Lock:
    """Return the lock of all images: those of `results`, and those that stay as they were."""
    images = {
        name: results[name].locked if name in results else current.images[name]
        for name in spec.images
        if name in results or name in current.images
    }
    cuda = {name: image.system_cuda.image for name, image in images.items() if image.system_cuda}
    for name, image in spec.images.items():
        for base in filter(None, (choose_base(spec, image).image, cuda.get(name))):
            check_platforms(bases[base], image_platforms(spec, name), name)
    return Lock(
        format=FORMAT,
        agree=spec.project.agree,
        bases=tuple(bases[image] for image in sorted({*_wanted_bases(spec), *cuda.values()})),
        tools=tuple(pin_tools(spec, current, upgrade=upgrade)),
        images=images,
    )


def _compare_presets(before: Lock, after: Lock) -> tuple[Change, ...]:
    old = {preset.reference: f"sha256:{preset.sha256}" for preset in before.presets}
    new = {preset.reference: f"sha256:{preset.sha256}" for preset in after.presets}
    return tuple(
        Change(image="", name=name, old=old.get(name, ""), new=new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _compare_bases(before: Lock, after: Lock) -> tuple[Change, ...]:
    pairs = ((before.find_base(base.image), base) for base in after.bases)
    return tuple(
        Change(image="", name=new.image, old=old.digest if old else "", new=new.digest)
        for old, new in pairs
        if old is None or old.digest != new.digest
    )
