"""Control files of Debian: paragraphs, packages, and what these say of one another.

Debian Policy, chapters 5 (control files) and 7 (relationships).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from envgen.apt.version import fits

_RELATION: Final = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*)(?::(?P<qualifier>[a-z0-9-]+))?"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>)\s*(?P<version>[^\s)]+)\s*\))?"
)
_ANY_ARCHITECTURE: Final = frozenset({"", "any", "native"})


class Relation(msgspec.Struct, frozen=True, gc=False):
    """A package that another one names, as `libc6 (>= 2.36)`.

    Attributes:
        name: The package, or what a package provides.
        operator: How `version` bounds it; empty for any version.
        version: The bound.

    """

    name: str
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name

    def fits(self, version: str) -> bool:
        return fits(version, self.operator, self.version)


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A binary package.

    Attributes:
        name: Its name.
        version: Its version.
        architecture: `amd64`, `arm64` or `all`.
        priority: How much a system needs it.
        depends: What it needs, Pre-Depends included; of each row one is enough.
        provides: What it stands in for; with a version, `=`.
        conflicts: What must not be there beside it: Conflicts and Breaks.
        path: Of its file, below the archive.
        size: Of its file in bytes.
        sha256: Of its file.
        installed_bytes: About what its files weigh once installed.

    """

    name: str
    version: str
    architecture: str
    priority: str = ""
    depends: tuple[tuple[Relation, ...], ...] = ()
    provides: tuple[Relation, ...] = ()
    conflicts: tuple[Relation, ...] = ()
    path: str = ""
    size: int = 0
    sha256: str = ""
    installed_bytes: int = 0

    def meets(self, relation: Relation) -> bool:
        """Return whether it is what a relation names. Without a version it provides no version."""
        if relation.name == self.name and relation.fits(self.version):
            return True
        return any(
            provided.name == relation.name
            and (not relation.operator or (provided.version and relation.fits(provided.version)))
            for provided in self.provides
        )


def split_paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a control file."""
    return (paragraph for paragraph in re.split(r"\n\n+", text) if paragraph.strip())


def parse_paragraph(paragraph: str) -> dict[str, str]:
    """Return the fields of a paragraph, by their names in lower case."""
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.split("\n"):
        if line[:1] in {" ", "\t"}:
            fields[name] = f"{fields.get(name, '')}\n{line[1:]}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.lower()
            fields[name] = value.strip()
    return fields


def make_package(fields: Mapping[str, str], architecture: str) -> Package:
    """Return the package that a paragraph describes.

    Args:
        fields: Of the paragraph.
        architecture: Of the system that it is looked at for.

    Raises:
        ValueError: It lacks what every package has, or a field cannot be read.

    """
    try:
        depends = ", ".join(filter(None, (fields.get("pre-depends"), fields.get("depends"))))
        conflicts = ", ".join(filter(None, (fields.get("conflicts"), fields.get("breaks"))))
        return Package(
            name=fields["package"],
            version=fields["version"],
            architecture=fields["architecture"],
            priority=fields.get("priority", ""),
            depends=tuple(_parse_clauses(depends, architecture)),
            provides=tuple(
                row for rows in _parse_clauses(fields.get("provides", ""), "") for row in rows
            ),
            conflicts=tuple(
                row for rows in _parse_clauses(conflicts, architecture) for row in rows
            ),
            path=fields.get("filename", "").removeprefix("./"),
            size=int(fields.get("size", "0")),
            sha256=fields.get("sha256", ""),
            installed_bytes=int(fields.get("installed-size", "0")) * 1024,
        )
    except KeyError as error:
        raise ValueError(f"a package has no field {error}") from error


def _parse_clauses(text: str, architecture: str) -> Iterator[tuple[Relation, ...]]:
    for clause in filter(None, (part.strip() for part in text.split(","))):
        yield tuple(_parse_relation(part.strip(), architecture) for part in clause.split("|"))


def _parse_relation(text: str, architecture: str) -> Relation:
    """Return a relation; one for another architecture becomes a name that nothing has."""
    found = _RELATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a relation between packages")
    qualifier = found["qualifier"] or ""
    name = found["name"]
    if architecture and qualifier not in _ANY_ARCHITECTURE | {architecture}:
        name = f"{name}:{qualifier}"
    return Relation(name, found["operator"] or "", found["version"] or "")
