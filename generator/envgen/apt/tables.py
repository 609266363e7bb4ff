"""The archives that envgen knows, and which of them a distribution's packages come from."""

from functools import cache
from typing import Annotated, Final

import msgspec

from envgen.resources import PRESETS, read_data

_FILE: Final = PRESETS / "data" / "apt.toml"
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Archive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An archive that can be read as it was at a moment.

    Attributes:
        name: What specs call it.
        url: Its address, with `{moment}` where the moment stands.
        keyring: Where Debian and Ubuntu keep the keys that sign it.
        source: Where the address comes from.

    """

    name: _Text
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://.*\{moment\}")]
    keyring: _Text
    source: _Text


class Suite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of an archive that belongs to a distribution's release.

    Attributes:
        distro: The `id` of a row of bases.toml's distros.
        system: `ID` and `VERSION_ID` of the release's os-release.
        archive: The archive.
        suite: Its name there.
        components: What of it is free software that the distribution supports.
        source: Where this comes from.

    """

    distro: _Text
    system: _Text
    archive: _Text
    suite: _Text
    components: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1)]
    source: _Text


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    archives: tuple[Archive, ...]
    suites: tuple[Suite, ...]


@cache
def _read() -> _Table:
    return read_data(_FILE, _Table)


def archives() -> dict[str, Archive]:
    """Return the archives by name.

    Raises:
        EnvgenError: The table is damaged.

    """
    return {row.name: row for row in _read().archives}


def suites(distro: str) -> tuple[Suite, ...]:
    """Return what a distribution's packages come from; empty where none is known.

    Raises:
        EnvgenError: The table is damaged.

    """
    return tuple(row for row in _read().suites if row.distro == distro)


def find_distro(system: str) -> str:
    """Return the distribution whose os-release says `system`; empty where none is known."""
    return next((row.distro for row in _read().suites if row.system == system), "")


def list_systems() -> tuple[str, ...]:
    """Return the releases that packages can be locked for, as their os-release names them."""
    return tuple(dict.fromkeys(row.system for row in _read().suites))
