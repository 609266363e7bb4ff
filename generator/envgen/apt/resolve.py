"""Which packages an image needs for those it asks for, given those that its base has.

What apt does without recommendations, and more careful in one thing: where the newest version of a
package does not fit, an older one that does is taken. Nothing that the base has is ever removed or
made older.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from envgen.apt.control import Package, Relation
from envgen.apt.version import compare
from envgen.errors import LockError

_PRIORITIES: Final = ("required", "important", "standard", "optional", "extra")
_MAX_ROUNDS: Final = 100


class Universe(msgspec.Struct, frozen=True):
    """All packages of an archive for one architecture.

    Attributes:
        packages: By name, the newest first.
        providers: The packages that provide a name, by that name.

    """

    packages: Mapping[str, tuple[Package, ...]]
    providers: Mapping[str, tuple[str, ...]]

    def find(self, relation: Relation) -> Iterator[Package]:
        """Yield what a relation may mean, the best first: by name, then what provides it."""
        yield from (p for p in self.packages.get(relation.name, ()) if p.meets(relation))
        names = self.providers.get(relation.name, ())
        provided = [
            package
            for name in names
            for package in self.packages.get(name, ())[:1]
            if name != relation.name and package.meets(relation)
        ]
        yield from sorted(provided, key=_preference)


def _preference(package: Package) -> tuple[int, str]:
    known = package.priority in _PRIORITIES
    place = _PRIORITIES.index(package.priority) if known else len(_PRIORITIES)
    return place, package.name


def resolve(
    wishes: Iterable[Relation], universe: Universe, installed: Mapping[str, Package]
) -> tuple[Package, ...]:
    """Return what has to be installed, by name: the wishes and all they need that is not there.

    Args:
        wishes: What the spec asks for.
        universe: What there is.
        installed: What the base has, by name.

    Raises:
        LockError: Something is not there, or two things cannot be there together.

    """
    solver = _Solver(universe, installed)
    for wish in wishes:
        solver.wish(wish)
    return solver.settle()


class _Solver:
    def __init__(self, universe: Universe, installed: Mapping[str, Package]) -> None:
        self._universe = universe
        self._installed = installed
        self._system = dict(installed)
        self._providers: dict[str, set[str]] = {}
        for package in installed.values():
            self._note_provided(package)
        self._fixed: set[str] = set()
        self._asked_by: dict[str, str] = {}
        self._queue: list[str] = []

    def wish(self, relation: Relation) -> None:
        """Take what the spec asks for; a version that it names is not given up later."""
        if relation.operator:
            self._fixed.add(relation.name)
        here = self._system.get(relation.name)
        if here is not None and here.meets(relation):
            return
        found = next((p for p in self._universe.find(relation)), None)
        if found is None:
            raise _missing(relation, self._universe)
        if not self._may_take(found):
            raise _too_old(relation, self._system[found.name])
        self._take(found, "the spec")

    def settle(self) -> tuple[Package, ...]:
        """Repair what is broken until nothing is, and return what is not the base's."""
        for _ in range(_MAX_ROUNDS):
            while self._queue:
                self._complete(self._system[self._queue.pop(0)])
            self._queue = [p.name for p in self._suspects() if self._is_broken(p)]
            if not self._queue:
                return tuple(sorted(filter(self._is_new, self._system.values()), key=_name))
        raise LockError.single(
            "the OS packages that are asked for cannot be chosen so that they fit together",
            why=f"{', '.join(sorted(self._queue))} keep needing other versions",
            fix="ask for fewer of them, or for none in a version of its own",
        )

    def _suspects(self) -> list[Package]:
        """Return what may be broken: all that is new, and the base's own where a part of it is."""
        here = self._system.values()
        if self._replaced():
            return list(here)
        return [package for package in here if self._is_new(package)]

    def _replaced(self) -> bool:
        return any(self._system[name] is not package for name, package in self._installed.items())

    def _is_new(self, package: Package) -> bool:
        return self._installed.get(package.name) is not package

    def _is_broken(self, package: Package) -> bool:
        missing = any(not self._has_one(clause) for clause in package.depends)
        return missing or next(self._victims(package), None) is not None

    def _complete(self, package: Package) -> None:
        """Take what a package needs, and move aside what it does not bear."""
        for clause in package.depends:
            if self._has_one(clause):
                continue
            newer = None if self._is_new(package) else self._find_newer(package)
            if newer:  # of the base, and tied to something that is newer now
                self._take(newer, "the base")
                return
            self._take(self._choose(package, clause), package.name)
        for relation, victim in tuple(self._victims(package)):
            self._move(package, relation, victim)

    def _find_newer(self, package: Package) -> Package | None:
        there = self._universe.packages.get(package.name, ())
        return next((other for other in there if self._may_take(other)), None)

    def _has_one(self, clause: Iterable[Relation]) -> bool:
        return any(True for relation in clause for _ in self._matching(relation))

    def _matching(self, relation: Relation) -> Iterator[Package]:
        for name in {relation.name, *self._providers.get(relation.name, ())}:
            package = self._system.get(name)
            if package is not None and package.meets(relation):
                yield package

    def _victims(self, package: Package) -> Iterator[tuple[Relation, Package]]:
        for relation in package.conflicts:
            for other in self._matching(relation):
                if other.name != package.name:
                    yield relation, other

    def _choose(self, package: Package, clause: tuple[Relation, ...]) -> Package:
        found = [p for relation in clause for p in self._universe.find(relation)]
        fitting = [p for p in found if self._may_take(p)]
        # A package that conflicts with what is here would have to give way again.
        quiet = [p for p in fitting if not any(True for _ in self._victims(p))]
        if fitting:
            return (quiet or fitting)[0]
        raise LockError.single(
            f"{package.name} {package.version} needs {' or '.join(map(str, clause))}",
            why="the archive has none that fits"
            if not found
            else f"{found[0].name} is held at {self._system[found[0].name].version}",
            fix=f"{package.name} is asked for by {self._chain(package.name)}",
        )

    def _may_take(self, package: Package) -> bool:
        here = self._system.get(package.name)
        if here is None:
            return True
        if package.name in self._fixed and here.version != package.version and self._is_new(here):
            return False
        before = self._installed.get(package.name)
        return before is None or compare(package.version, before.version) > 0

    def _move(self, package: Package, relation: Relation, victim: Package) -> None:
        """Take another version of what a package conflicts with."""
        for candidate in self._universe.packages.get(victim.name, ()):
            if not candidate.meets(relation) and self._may_take(candidate):
                self._take(candidate, package.name)
                return
        raise LockError.single(
            f"{package.name} and {victim.name} cannot be in one image",
            why=f"{package.name} {package.version} conflicts with {relation}, and "
            + (
                f"the base has {victim.version}"
                if not self._is_new(victim)
                else f"{victim.name} {victim.version} is there for {self._chain(victim.name)}"
            ),
            fix=f"leave one out; {package.name} is asked for by {self._chain(package.name)}",
        )

    def _take(self, package: Package, asked_by: str) -> None:
        self._system[package.name] = package
        self._note_provided(package)
        self._asked_by.setdefault(package.name, asked_by)
        self._queue.append(package.name)

    def _note_provided(self, package: Package) -> None:
        for provided in package.provides:
            self._providers.setdefault(provided.name, set()).add(package.name)

    def _chain(self, name: str) -> str:
        """Return who asked for a package, and who for that, up to the spec."""
        names = []
        while (name := self._asked_by.get(name, "the base")) not in {"the spec", "the base"}:
            if name in names:
                break
            names.append(name)
        return " for ".join([*names, name])


def _name(package: Package) -> str:
    return package.name


def _too_old(relation: Relation, here: Package) -> LockError:
    return LockError.single(
        f"{relation.name} {relation.version} is older than what the base has",
        why=f"that is {here.version}, and other packages of the base may rely on it",
        fix="leave the version out, or name an older base",
    )


def _missing(relation: Relation, universe: Universe) -> LockError:
    versions = [package.version for package in universe.packages.get(relation.name, ())]
    if versions:
        return LockError.single(
            f"there is no {relation.name} {relation.version} at that moment",
            why=f"the archive has {', '.join(versions)}",
            fix="take one of these, leave the version out, or set network.apt-snapshot to a "
            "moment that had it",
        )
    from envgen.spec.suggest import suggest  # noqa: PLC0415 - only for this error

    hint = suggest(relation.name, universe.packages)
    return LockError.single(
        f"there is no OS package {relation.name}",
        why="the distribution's archive has none of that name at that moment",
        fix=hint if hint.startswith("did") else "search it at the distribution's package site",
    )
