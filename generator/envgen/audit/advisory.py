"""Advisories as OSV has them, reduced to what a decision needs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

SEVERITIES: Final = ("low", "moderate", "high", "critical", "unknown")
"""From mild to grave. What nobody has rated is put last: it may be anything."""

_RATINGS: Final = {"medium": "moderate"}


class Advisory(msgspec.Struct, frozen=True, kw_only=True):
    """A vulnerability of one locked package.

    Attributes:
        id: The name that most people know it by: the CVE's where it has one.
        aliases: All its names, its own among them.
        summary: In a line; empty where nobody wrote one.
        severity: One of SEVERITIES.
        fixed: The oldest version that is newer than the locked one and has it fixed; empty where
            there is none.

    """

    id: str
    aliases: tuple[str, ...]
    summary: str
    severity: str
    fixed: str


def read_advisories(
    documents: Iterable[Mapping[str, Any]], *, name: str, version: str
) -> tuple[Advisory, ...]:
    """Return the advisories on a package, each once, however many databases list it.

    The format is that of ossf.github.io/osv-schema, 1.x. Withdrawn ones are left out.

    Args:
        documents: What OSV answered for this package at this version.
        name: The package, normalised.
        version: Its public version.

    """
    live = [document for document in documents if not document.get("withdrawn")]
    return tuple(
        sorted(
            (_merge(group, name, version) for group in _group(live)),
            key=lambda advisory: (-SEVERITIES.index(advisory.severity), advisory.id),
        )
    )


def _names(document: Mapping[str, Any]) -> set[str]:
    return {str(document.get("id", "")), *map(str, document.get("aliases") or ())}


def _group(documents: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return documents that share a name, directly or through others, together."""
    groups: list[tuple[set[str], list[Mapping[str, Any]]]] = []
    for document in documents:
        names, members = _names(document), [document]
        apart = []
        for other, more in groups:
            if names & other:
                names, members = names | other, [*more, *members]
            else:
                apart.append((other, more))
        groups = [*apart, (names, members)]
    return [members for _, members in groups]


def _merge(group: list[Mapping[str, Any]], name: str, version: str) -> Advisory:
    names = sorted(set().union(*map(_names, group)))
    fixes = sorted({fix for document in group for fix in _fixes(document, name, version)})
    return Advisory(
        id=next((each for each in names if each.startswith("CVE-")), names[0]),
        aliases=tuple(names),
        summary=next((str(d["summary"]).strip() for d in group if d.get("summary")), ""),
        severity=max((_rate(document) for document in group), key=_known_first),
        fixed=str(fixes[0]) if fixes else "",
    )


def _known_first(severity: str) -> int:
    """Order severities so that a rating wins over none."""
    return -1 if severity == "unknown" else SEVERITIES.index(severity)


def _rate(document: Mapping[str, Any]) -> str:
    """Return the rating that the database gives (GitHub's does); CVSS vectors are not computed."""
    given = str((document.get("database_specific") or {}).get("severity", "")).lower()
    rating = _RATINGS.get(given, given)
    return rating if rating in SEVERITIES else "unknown"


def _fixes(document: Mapping[str, Any], name: str, version: str) -> Iterator[Version]:
    locked = Version(version)
    for affected in document.get("affected") or ():
        package = affected.get("package") or {}
        if package.get("ecosystem") != "PyPI" or canonicalize_name(package.get("name", "")) != name:
            continue
        for span in affected.get("ranges") or ():
            for event in span.get("events") or () if span.get("type") == "ECOSYSTEM" else ():
                try:
                    fixed = Version(event.get("fixed", ""))
                except InvalidVersion:
                    continue
                if fixed > locked:
                    yield fixed
