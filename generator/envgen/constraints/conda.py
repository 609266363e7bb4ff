"""conda's version constraints as PEP 440 says them, and the other way round.

Where conda's order of versions is another than PEP 440's:

- A local part counts: 2.0+cpu is neither 2.0 nor newer. conda's channels have hardly any.
- Of 2.0.dev1 and 2.0rc1 the first is the newer one, and of 2.0.0rc1 and 2.0rc2, and of 2.post1 and
  2.0.1 as well: what is no final release is sorted by how it is written. The translations hold for
  such versions that are written with as many numbers as the constraint's.
- `<2.0` admits the pre-releases of 2.0, `>2.0` its post-releases; PEP 440 excludes both.

Read in py-rattler 0.28.0, and held to it by a test with versions and constraints made at random.
"""

import re
from typing import Final, NamedTuple

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import Version

from envgen.constraints import TranslationError

_CLAUSE: Final = re.compile(r"(==|!=|>=|<=|~=|>|<|=)?\s*([0-9][A-Za-z0-9.!+*]*)")
_EXACT: Final = re.compile(r"(={1,2})?\s*([^=<>!~,|\s]+)(?:\s*=\s*|\s+)([^=<>!~,|\s]+)")
_BEFORE_ALL: Final = re.compile(r"(?:a|\.?dev)0?\Z")
"""`<3.0a0` is how conda's users say `<3.0`."""

_POST: Final = re.compile(r"\.?post[0-9]*\Z")


def from_pep440(text: str) -> str:
    """Return a PEP 440 specifier set as a conda constraint; an empty text for any version.

    Raises:
        TranslationError: conda cannot say it.

    """
    clauses = sorted(SpecifierSet(text), key=str)
    return ",".join(part for clause in clauses for part in _from_clause(clause))


def _from_clause(clause: Specifier) -> list[str]:
    operator, written = clause.operator, clause.version
    if operator == "===":
        raise TranslationError("conda has no arbitrary equality (===)")
    if written.endswith(".*"):
        # py-rattler takes `==1.*` for `==1` where it is not the first clause.
        return [written if operator == "==" else f"!={written}"]
    if operator in {"==", "!="}:
        return [f"{operator}{written}"]
    version = Version(written)
    if version.is_prerelease:
        raise TranslationError(f"{clause}: conda sorts pre-releases as they are written")
    match operator:
        case ">":
            raise TranslationError(f"{clause}: conda's > admits the post-releases of {written}")
        case "<" if version.is_postrelease:
            raise TranslationError(f"{clause}: conda's < admits the pre-releases of {written}")
        case "<":
            return [f"<{_shorten(version)}dev0"]
        case "~=":
            above = ".".join(str(number) for number in version.release[:-1])
            epoch = f"{version.epoch}!" if version.epoch else ""
            return [f">={written}", f"{epoch}{above}.*"]
        case _:
            return [f"{operator}{written}"]


def _shorten(version: Version) -> str:
    """Return a release without zeros at its end: nothing of it comes before its dev0 then."""
    release = list(version.release)
    while len(release) > 1 and not release[-1]:
        release.pop()
    epoch = f"{version.epoch}!" if version.epoch else ""
    return epoch + ".".join(str(number) for number in release)


class Pep440(NamedTuple):
    """A conda constraint in PEP 440's words: a specifier set, and the build beside it."""

    specifier: str
    build: str = ""


def to_pep440(text: str) -> Pep440:
    """Return a conda constraint as PEP 440 has it: never more versions, and the same final ones.

    `=1.2` is `==1.2.*`, `==1.2` and ` 1.2` are exact, and a third word is a build.

    Raises:
        TranslationError: PEP 440 cannot say it.

    """
    text, build = text.strip(), ""
    with_build = _EXACT.fullmatch(text)
    if with_build:
        # NAME=VERSION=BUILD names one version; so does NAME VERSION BUILD.
        text, build = with_build[2], with_build[3]
    if "|" in text:
        raise TranslationError("it is a union, and PEP 508 has no 'or' between versions")
    parts = [part for part in (part.strip() for part in text.split(",")) if part]
    clauses = []
    for number, part in enumerate(parts):
        found = _CLAUSE.fullmatch(part)
        if part.lstrip("=") != "*" and found is None:
            raise TranslationError(f"{part!r} is no version of PEP 440")
        if number and part.startswith("==") and part.endswith("*"):
            raise TranslationError(f"{part!r}: programs of conda read it in different ways")
        if found is not None:
            clauses.append(_to_clause(found[1] or "", found[2]))
    joined = ",".join(clauses)
    try:
        SpecifierSet(joined)
    except InvalidSpecifier as error:
        raise TranslationError(f"{text!r} is no version of PEP 440") from error
    return Pep440(joined, build)


def _to_clause(operator: str, version: str) -> str:
    if operator == "=":
        return f"=={version}{'' if version.endswith('*') else '.*'}"
    if operator in {"", "==", "!="}:
        return f"{operator or '=='}{version}"
    if operator == ">" and version.endswith(".*"):
        raise TranslationError(f"'>{version}': programs of conda read it in different ways")
    # conda reads `>=1.2.*` as `>=1.2`, and `<` likewise.
    bare = version.removesuffix(".*")
    if operator == "<":
        bare = _BEFORE_ALL.sub("", bare)
    if re.search("[a-z]", bare if operator == "~=" else _POST.sub("", bare)):
        raise TranslationError(f"'{operator}{bare}': conda sorts such versions as they are written")
    return f"{operator}{bare}"
