"""Versions of Debian packages: their order (Debian Policy, 5.6.12), and what a relation asks."""

import functools
import re
from collections.abc import Callable
from itertools import zip_longest
from typing import Final

_PARTS: Final = re.compile(r"(\D*)(\d*)")


def compare(left: str, right: str) -> int:
    """Return a negative number, 0 or a positive one, as `left` is older, equal or newer."""
    (epoch, upstream, revision), (other, upper, last) = _split(left), _split(right)
    return (epoch - other) or _compare_part(upstream, upper) or _compare_part(revision, last)


sort_key: Final = functools.cmp_to_key(compare)

_HOLDS: Final[dict[str, Callable[[int], bool]]] = {
    "<<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "=": lambda order: order == 0,
    ">=": lambda order: order >= 0,
    ">>": lambda order: order > 0,
}


def fits(version: str, operator: str, bound: str) -> bool:
    """Return whether a version is as a relation asks; any is where there is no operator."""
    return not operator or _HOLDS[operator](compare(version, bound))


@functools.cache
def _split(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, hyphen, revision = rest.rpartition("-")
    return int(epoch), upstream if hyphen else revision, revision if hyphen else ""


def _compare_part(left: str, right: str) -> int:
    pairs = zip_longest(_PARTS.findall(left), _PARTS.findall(right), fillvalue=("", ""))
    for (text, digits), (other, number) in pairs:
        order = _compare_text(text, other) or int(digits or 0) - int(number or 0)
        if order:
            return order
    return 0


def _compare_text(left: str, right: str) -> int:
    for one, other in zip_longest(left, right, fillvalue=""):
        order = _weigh(one) - _weigh(other)
        if order:
            return order
    return 0


def _weigh(character: str) -> int:
    """Return where a character sorts: tildes before the end, letters before all others."""
    if character == "~":
        return -1
    if not character:
        return 0
    return ord(character) if character.isalpha() else ord(character) + 256
