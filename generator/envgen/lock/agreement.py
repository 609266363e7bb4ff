"""Agreement: packages that images share, held to one version whatever locker each image has.

Images are locked on their own first, side by side; most agree by themselves, because lockers take
the newest. Where they do not, none may have a newer version than the oldest there is, which is the
one that something holds down, until all have the same. Where that fails, all are given the newest.
So the outcome does not depend on the order of the images. An image that is not being locked keeps
its pins, and the others follow it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envgen.errors import LockError, Problem
from envgen.lock.packages import LockedPackage

ALL: Final = "*"
_ROUNDS: Final = 8
"""Holding one package can move others, which then have to be held as well."""

Versions = Mapping[str, frozenset[str]]
"""The versions of each package of an image, without their local parts; nearly always one."""


class _Result(Protocol):
    @property
    def packages(self) -> tuple[LockedPackage, ...]: ...


_R = TypeVar("_R", bound=_Result)
_Relock = Callable[[Mapping[str, tuple[str, ...]]], Mapping[str, _R]]


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """A package that images are to share and do not.

    Attributes:
        package: Its name.
        versions: By image, in the order of the images.

    """

    package: str
    versions: dict[str, frozenset[str]]

    def __str__(self) -> str:
        held = [f"{' and '.join(sorted(v))} in {name}" for name, v in self.versions.items()]
        return f"{self.package} is {', '.join(held)}"


def list_versions(packages: Iterable[tuple[str, str]]) -> Versions:
    """Return an image's versions from names and versions, as its lock has them."""
    found: dict[str, frozenset[str]] = {}
    for name, version in packages:
        found[name] = found.get(name, frozenset()) | {_public(version)}
    return found


def find_disagreements(
    agree: Iterable[str], images: Mapping[str, Versions]
) -> tuple[Disagreement, ...]:
    """Return what images have at different versions of what `agree` names, sorted by package."""
    wanted = {name if name == ALL else canonicalize_name(name) for name in agree}
    names = sorted({name for versions in images.values() for name in versions})
    shared = (
        Disagreement(
            package=package,
            versions={name: held[package] for name, held in images.items() if package in held},
        )
        for package in names
        if ALL in wanted or package in wanted
    )
    return tuple(found for found in shared if _differs(found))


def _differs(found: Disagreement) -> bool:
    several = len(found.versions) > 1
    return several and len(frozenset().union(*found.versions.values())) > 1


def hold(
    agree: Iterable[str],
    results: Mapping[str, _R],
    fixed: Mapping[str, Versions],
    relock: _Relock[_R],
) -> dict[str, _R]:
    """Return the results, with those images locked again that have to follow others.

    Args:
        agree: Names of packages, or `*`.
        results: What locking made of each image.
        fixed: Images that are not being locked.
        relock: Locks images under constraints.

    Raises:
        LockError: Images cannot agree; both are named with their versions.

    """
    agree = tuple(agree)
    found = find_disagreements(agree, _versions(results, fixed))
    if not found:
        return dict(results)
    try:
        return _settle(agree, results, fixed, relock, _DOWN)
    except LockError as first:
        if all(any(name in fixed for name in one.versions) for one in found):
            raise
        try:
            return _settle(agree, results, fixed, relock, _UP)
        except LockError:
            raise first from None


def _versions(results: Mapping[str, _Result], fixed: Mapping[str, Versions]) -> dict[str, Versions]:
    made = {
        name: list_versions((package.name, package.version) for package in result.packages)
        for name, result in results.items()
    }
    return {**fixed, **made}


class _Way(NamedTuple):
    """How images are brought together: which version decides, and how others are held to it."""

    choose: Callable[[Iterable[str]], str]
    operator: str


def _settle(
    agree: tuple[str, ...],
    results: Mapping[str, _R],
    fixed: Mapping[str, Versions],
    relock: _Relock[_R],
    way: _Way,
) -> dict[str, _R]:
    settled, pins = dict(results), dict[str, _Pin]()
    found = find_disagreements(agree, _versions(settled, fixed))
    for _ in range(_ROUNDS):
        if not found:
            return settled
        chosen = {one.package: _pin(one, fixed, way) for one in found}
        if any(pins.get(package) == pin for package, pin in chosen.items()):
            raise _refuse(found, why="the locker did not keep to the version that it was given")
        pins |= chosen
        moving = _who_moves(found, pins, fixed)
        constraints = tuple(f"{package}{pin}" for package, pin in sorted(pins.items()))
        try:
            settled |= relock(dict.fromkeys(moving, constraints))
        except LockError as error:
            stays = any(name in fixed for one in found for name in one.versions)
            together = "lock all images together (`envgen lock`), so that each may move"
            raise _refuse(found, error.problems, fix=together if stays else "") from error
        found = find_disagreements(agree, _versions(settled, fixed))
    raise _refuse(found, why=f"after {_ROUNDS} rounds of locking they still differ")


class _Pin(NamedTuple):
    operator: str
    version: str

    def __str__(self) -> str:
        return f"{self.operator}{self.version}"


def _pin(found: Disagreement, fixed: Mapping[str, Versions], way: _Way) -> _Pin:
    """Return what all are held to: the version of images that stay as they are, if any do."""
    kept = frozenset().union(*(v for name, v in found.versions.items() if name in fixed))
    if len(kept) > 1:
        raise _refuse(
            [found], why="neither of them was asked to be locked", fix="lock all: `envgen lock`"
        )
    if kept:
        return _Pin("==", *kept)
    return _Pin(way.operator, way.choose(frozenset().union(*found.versions.values())))


def _who_moves(
    found: Iterable[Disagreement], pins: Mapping[str, _Pin], fixed: Mapping[str, Versions]
) -> list[str]:
    names = (
        name
        for one in found
        for name, versions in one.versions.items()
        if name not in fixed and versions != {pins[one.package].version}
    )
    return list(dict.fromkeys(names))


def _refuse(
    found: Iterable[Disagreement],
    more: Iterable[Problem] = (),
    *,
    why: str = "an image cannot have the other's version; its locker tells below why",
    fix: str = "",
) -> LockError:
    problems = [
        Problem(
            what=f"{one}, and the images are to agree on it",
            key="project.agree",
            why=why,
            fix=fix or f"loosen what one of them requires, or take {one.package} out of the list",
        )
        for one in found
    ]
    return LockError(*problems, *more)


def _public(version: str) -> str:
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def _order(version: str) -> tuple[bool, Version, str]:
    """Return a key for sorting; what is no version of PEP 440 comes last, by its letters."""
    try:
        return (False, Version(version), "")
    except InvalidVersion:
        return (True, Version("0"), version)


def _oldest(versions: Iterable[str]) -> str:
    return min(versions, key=_order)


def _newest(versions: Iterable[str]) -> str:
    return max(versions, key=_order)


_DOWN: Final = _Way(choose=_oldest, operator="<=")
_UP: Final = _Way(choose=_newest, operator="==")
