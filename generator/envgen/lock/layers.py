"""Which packages share a layer. A layer moves as a whole, so what moves together goes together.

Names decide where they can: they do not change from version to version. Sizes decide the rest, and
a package that has a place keeps it until its size has moved far (presets/data/layers.toml).
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

import msgspec

from envgen.errors import EnvgenError
from envgen.lock.model import LAYERS, Places
from envgen.lock.packages import LockedPackage
from envgen.resources import PRESETS, read_data

LIGHT: Final = "packages"
HEAVY: Final = "heavy"
_FILE: Final = PRESETS / "data" / "layers.toml"


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the table."""


class Threshold(_Row, frozen=True, kw_only=True):
    """From which size on something gets layers of its own, and below which it loses them."""

    what: str
    forms: int
    dissolves: int
    source: str


class HeavySize(_Row, frozen=True, kw_only=True):
    """Which packages are heavy: new ones, those that were, and those that were not."""

    enters: int
    leaves: int
    moves: int
    source: str


class NamedLayer(_Row, frozen=True, kw_only=True):
    """The layer of packages whose normalised name fits a pattern of fnmatch."""

    pattern: str
    layer: str
    reason: str


class LayerTable(_Row, frozen=True, kw_only=True):
    """presets/data/layers.toml."""

    thresholds: tuple[Threshold, ...]
    heavy: HeavySize
    names: tuple[NamedLayer, ...]

    def threshold(self, what: str) -> Threshold:
        return next(row for row in self.thresholds if row.what == what)


@cache
def layer_table() -> LayerTable:
    """Return the table.

    Raises:
        EnvgenError: It is damaged.

    """
    table = read_data(_FILE, LayerTable)
    unknown = {row.layer for row in table.names} - set(LAYERS)
    if unknown or {row.what for row in table.thresholds} != {"whole", "layer"}:
        raise EnvgenError.single("a row is about no layer", file=_FILE.name)
    return table


def place_packages(
    packages: Iterable[LockedPackage], placed: Places
) -> dict[str, tuple[LockedPackage, ...]]:
    """Return the packages by layer, in the order in which layers are stacked; none is empty.

    Args:
        packages: What an image installs.
        placed: The layers that packages have so far.

    """
    packages = tuple(packages)
    table = layer_table()
    if not _reaches(table.threshold("whole"), packages, held=bool(placed.own)):
        return {LIGHT: packages}
    layers: dict[str, list[LockedPackage]] = {name: [] for name in LAYERS}
    for package in packages:
        layers[_layer_by_name(package) or _layer_by_size(package, placed)].append(package)
    for name in LAYERS[:-1]:
        held = name in placed.own.values()
        if layers[name] and not _reaches(table.threshold("layer"), layers[name], held=held):
            layers[LIGHT] += layers[name]
            layers[name] = []
    return {
        name: tuple(sorted(found, key=lambda package: package.name))
        for name, found in layers.items()
        if found
    } or {LIGHT: ()}


def _reaches(threshold: Threshold, packages: Iterable[LockedPackage], *, held: bool) -> bool:
    size = sum(_size(package) for package in packages)
    return size >= (threshold.dissolves if held else threshold.forms)


def _layer_by_name(package: LockedPackage) -> str:
    return next(
        (row.layer for row in layer_table().names if fnmatchcase(package.name, row.pattern)), ""
    )


def _layer_by_size(package: LockedPackage, placed: Places) -> str:
    sizes = layer_table().heavy
    bounds = {HEAVY: sizes.leaves, LIGHT: sizes.moves}
    place = placed.own.get(package.name) or placed.others.get(package.name, "")
    bound = bounds.get(place, sizes.enters)
    return HEAVY if _size(package) >= bound else LIGHT


def _size(package: LockedPackage) -> int:
    """Return the bytes to download on the platform where they are most; 0 where not known."""
    return max((file.size or 0 for file in package.downloads.values()), default=0)
