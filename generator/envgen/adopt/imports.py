"""Which package of PyPI brings a module that code imports, as far as that can be known."""

import functools
import tomllib
from typing import Annotated, Final

import msgspec

from envgen.resources import PRESETS

IMPORTS_FILE: Final = PRESETS / "data" / "imports.toml"

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Module(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of imports.toml."""

    module: _Text
    package: _Text
    source: _Text


@functools.cache
def known_modules() -> dict[str, str]:
    """Return the packages of the modules that the table has."""
    return {row.module: row.package for row in parse_modules(IMPORTS_FILE.read_text("utf-8"))}


def parse_modules(text: str) -> tuple[Module, ...]:
    """Return the rows of a table of modules."""
    return msgspec.convert(tomllib.loads(text)["modules"], tuple[Module, ...])
