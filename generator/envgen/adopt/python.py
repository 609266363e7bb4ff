"""Which Python a project gets: the newest with a known base image that its files admit."""

import re
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from envgen.tables import bases

_PATCH_LEVELS: Final = 100
"""More than any CPython has had."""


def choose_python(said: str) -> tuple[str, str]:
    """Return the Python for what a file says, and why it is not what was said; empty where it is.

    Args:
        said: A version (`3.11`, `3.11.4`), a range of versions, or nothing.

    """
    known = sorted({base.python for base in bases() if base.python}, key=Version, reverse=True)
    text = said.strip()
    if not text:
        return known[0], ""
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)*", text):
        text = f"=={'.'.join(text.split('.')[:2])}.*"
    try:
        admitted = SpecifierSet(text)
    except InvalidSpecifier:
        return known[0], "it is no version and no range of versions"
    for minor in known:
        if any(admitted.contains(f"{minor}.{patch}") for patch in range(_PATCH_LEVELS)):
            return minor, ""
    oldest_first = sorted(known, key=Version)
    older = all(_is_below(spec.version, oldest_first[0]) for spec in admitted)
    nearest = oldest_first[0] if older else known[0]
    return nearest, f"the Pythons with a known base image are {', '.join(oldest_first)}"


def _is_below(version: str, minor: str) -> bool:
    return Version(version.removesuffix(".*")) < Version(minor)
