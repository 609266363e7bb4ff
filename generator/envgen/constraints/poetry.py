"""Poetry's version constraints as PEP 440 specifiers: `^1.2` and `~1.2` become ranges."""

import re
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from envgen.constraints import TranslationError

_CLAUSE: Final = re.compile(r"(\^|~=|~|===|==|!=|>=|<=|>|<|=)?\s*([^\s,^~=<>!|]+)")
_WILDCARD: Final = re.compile(r"(?:\.[*xX])+\Z")


def translate_constraint(text: str) -> str:
    """Return a constraint as a PEP 440 specifier set, an empty text for any version.

    Raises:
        TranslationError: It is a union, or not a constraint.

    """
    text = text.strip()
    if text in {"", "*"}:
        return ""
    if "|" in text:
        raise TranslationError("it is a union, and PEP 508 has no 'or' between versions")
    rest = _CLAUSE.sub("", text)
    if rest.strip(" ,"):
        raise TranslationError(f"{rest.strip()!r} is no constraint")
    clauses = (_translate(operator or "==", version) for operator, version in _CLAUSE.findall(text))
    joined = ",".join(clause for clause in clauses if clause)
    try:
        SpecifierSet(joined)
    except InvalidSpecifier as error:
        raise TranslationError(str(error)) from error
    return joined


def _translate(operator: str, version: str) -> str:
    if version in {"*", "x", "X"} and operator in {"==", "="}:
        return ""
    bare = _WILDCARD.sub("", version)
    if operator in {"==", "=", "!="}:
        sign = "==" if operator == "=" else operator
        return f"{sign}{bare}{'.*' if bare != version else ''}"
    if bare != version:
        raise TranslationError(f"{operator} and a wildcard do not go together")
    match operator:
        case "^":
            return f">={version},<{_next_breaking(version)}"
        case "~":
            return f">={version},<{_next_minor(version)}"
        case _:
            return f"{operator}{version}"


def _next_breaking(version: str) -> str:
    """Return the first version that a caret excludes: its leftmost number that is not 0, raised."""
    release = _release(version)
    place = next((n for n, number in enumerate(release) if number), len(release) - 1)
    return _raise(release, place)


def _next_minor(version: str) -> str:
    release = _release(version)
    return _raise(release, min(1, len(release) - 1))


def _raise(release: tuple[int, ...], place: int) -> str:
    return ".".join(str(number) for number in (*release[:place], release[place] + 1))


def _release(version: str) -> tuple[int, ...]:
    try:
        return Version(version).release
    except InvalidVersion as error:
        raise TranslationError(f"{version!r} is not a version of PEP 440") from error
