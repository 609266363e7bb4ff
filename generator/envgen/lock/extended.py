"""Images that stand on an image of envgen: what that one has is kept, and not installed again.

An image with `shared = true` says in its labels which packages are in it. Whatever stands on it is
locked to these versions, so the two sets of files in /opt/venv never meet in one package.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from envgen.errors import LockError, NetworkError
from envgen.lock.model import LockedBase
from envgen.lock.packages import LockedPackage
from envgen.plan.base import choose_base, is_own_base
from envgen.registry.client import fetch_config, fetch_digest
from envgen.registry.reference import parse_reference
from envgen.spec.model import Spec

_log = logging.getLogger(__name__)

PACKAGES_LABEL: Final = "org.envgen.packages"
PYTHON_LABEL: Final = "org.envgen.python"
_LOCK_LABEL: Final = "org.envgen.lock"
_LOCKERS: Final = ("uv", "pip")
"""Those that can be held to versions which the image itself does not ask for."""

# What a label says is written into files and handed to programs.
_PIN: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*==[0-9A-Za-z.!+]+")
_PYTHON: Final = re.compile(r"3\.[0-9]{1,3}")


def read_shared(
    base: LockedBase, *, mirrors: Mapping[str, str], ca_certificates: Path | None
) -> LockedBase:
    """Return a base with the packages that its labels name; as it is where it is not envgen's.

    Raises:
        LockError: It is an image of envgen that does not name them.

    """
    reference = parse_reference(base.image)
    platform = next(iter(base.platforms), "linux/amd64")
    try:
        config = fetch_config(
            reference.pinned(base.digest),
            platform="/".join(platform.split("/")[:2]),
            mirrors=mirrors,
            ca_certificates=ca_certificates,
        )
        newest = base.digest
        if reference.tag and reference.digest:
            today = msgspec.structs.replace(reference, digest="")
            newest = fetch_digest(today, mirrors=mirrors, ca_certificates=ca_certificates).digest
    except NetworkError as error:
        _log.warning("%s; whether %s has changed is not known", error.problems[0].what, base.image)
        return base
    labels = _read_labels(config)
    if _LOCK_LABEL not in labels:
        return base
    if newest != base.digest:
        _log.warning("%s is %s by now", base.image.partition("@")[0], newest)
    packages, python = labels.get(PACKAGES_LABEL), labels.get(PYTHON_LABEL, "")
    if packages is None or not _PYTHON.fullmatch(python):
        raise LockError.single(
            f"{base.image} is an image of envgen that does not say what it has",
            why="what is installed on top of it could replace half of a package",
            fix="write shared = true into its spec, and build it again",
        )
    pins = tuple(packages.split())
    if not all(map(_PIN.fullmatch, pins)):
        raise LockError.single(f"{base.image} has a damaged label {PACKAGES_LABEL}")
    return msgspec.structs.replace(
        base, python=python, packages=pins, newest="" if newest == base.digest else newest
    )


def _read_labels(config: Mapping[str, object]) -> dict[str, str]:
    section = config.get("config")
    labels = section.get("Labels") if isinstance(section, dict) else None
    return {str(key): str(value) for key, value in (labels or {}).items()}


def own_bases(spec: Spec, names: Iterable[str]) -> dict[str, str]:
    """Return the bases that a spec names for some of its images, by image."""
    images = ((name, spec.images[name]) for name in names)
    return {name: choose_base(spec, image).image for name, image in images if is_own_base(image)}


def require_fitting(spec: Spec, name: str, base: LockedBase) -> None:
    """Refuse an image that cannot stand on another image of envgen.

    Raises:
        LockError: It has another Python, or a locker that cannot be held to versions.

    """
    image = spec.images[name]
    if base.python and base.python != spec.project.python:
        raise LockError.single(
            f"{base.image} has Python {base.python}, and the project {spec.project.python}",
            key=f"images.{name}.base",
            fix="name a base with the project's Python, or write the base's into the project",
        )
    if base.python and image.locker not in _LOCKERS:
        raise LockError.single(
            f"{image.locker} cannot extend an image of envgen",
            key=f"images.{name}.locker",
            why="it cannot be held to the versions that the base has",
            fix=f"use {' or '.join(_LOCKERS)}",
        )


def explain_conflict(error: LockError, base: LockedBase) -> LockError:
    """Return the error of a locker that was held to what a base has, with that said."""
    held = f"{base.image} holds it to {len(base.packages)} packages of its own"
    return LockError(
        *(
            msgspec.structs.replace(
                problem,
                fix="; ".join(filter(None, (problem.fix, held))),
            )
            for problem in error.problems
        )
    )


def find_drift(
    held: Iterable[LockedPackage], free: Iterable[LockedPackage], inherited: Iterable[str]
) -> dict[str, str]:
    """Return the versions that packages of the base would have without it, where they differ."""
    names = {pin.partition("==")[0] for pin in inherited}
    alone = {package.name: package.version for package in free}
    return {
        package.name: alone[package.name]
        for package in held
        if package.name in names and alone.get(package.name, package.version) != package.version
    }


def warn_of_drift(
    name: str, base: str, packages: Iterable[LockedPackage], drift: Mapping[str, str]
) -> None:
    """Tell which packages the spec would take at another version than the base has."""
    moved = (
        f"{package.name} {package.version} (not {drift[package.name]})"
        for package in packages
        if package.name in drift
    )
    if drift:
        _log.warning("%s: %s holds %s", name, base.partition("@")[0], ", ".join(moved))


def list_shared(
    name: str, packages: Iterable[LockedPackage], platforms: Iterable[str], base: LockedBase | None
) -> tuple[str, ...]:
    """Return the packages that an image has, as its label names them.

    Args:
        name: The image.
        packages: What is locked for it.
        platforms: The image's.
        base: The image of envgen that it stands on, if it does.

    Raises:
        LockError: They are not the same on every platform.

    """
    packages, wanted = tuple(packages), set(platforms)
    partial = [p.name for p in packages if p.downloads and not wanted <= p.downloads.keys()]
    if partial:
        raise LockError.single(
            f"{', '.join(partial)} would be on some of its platforms only",
            key=f"images.{name}.shared",
            why="images that stand on it have to know what it has on each of them",
            fix="share an image for each platform, or take the packages out",
        )
    own = {f"{package.name}=={package.version}" for package in packages}
    return tuple(sorted({*own, *(base.packages if base else ())}))
