"""What a conda package is called on PyPI, as far as can be told without asking anybody."""

import functools
from typing import Final

import msgspec

from envgen.resources import PRESETS

NAMES_FILE: Final = PRESETS / "data" / "conda_names.toml"


class Name(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of conda_names.toml; `pypi` is empty for what is no Python package."""

    conda: str
    pypi: str
    source: str


@functools.cache
def known_names() -> dict[str, str]:
    """Return the names on PyPI of the conda packages that the table has."""
    return {row.conda: row.pypi for row in parse_names(NAMES_FILE.read_text(encoding="utf-8"))}


def parse_names(text: str) -> tuple[Name, ...]:
    """Return the rows of a table of names."""
    import tomllib  # noqa: PLC0415 - only conda-lock needs the table

    return msgspec.convert(tomllib.loads(text)["names"], tuple[Name, ...])


def pypi_name(conda: str, *, needs_python: bool) -> str:
    """Return a conda package's name on PyPI; empty for what is no Python package.

    Args:
        conda: Its name on the channel.
        needs_python: Whether it depends on Python. A package that does and that no row knows has
            the same name on PyPI; one that does not is a program or a library, as graphviz is,
            whose namesake on PyPI is something else.

    """
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - checks never need it

    known = known_names().get(conda)
    if known is not None:
        return canonicalize_name(known) if known else ""
    return canonicalize_name(conda) if needs_python else ""


def conda_name(pypi: str) -> str:
    """Return the name that a package of PyPI has on conda's channels."""
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - checks never need it

    wanted = canonicalize_name(pypi)
    names = (conda for conda, name in known_names().items() if name and name == wanted)
    return next(names, wanted)
