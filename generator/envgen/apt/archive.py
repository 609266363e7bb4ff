"""Archives of Debian's form, read over HTTP: what belongs to a release, held to its signed list.

DebianRepository/Format of the Debian wiki. Every index is held to the SHA-256 that InRelease
has of it, and InRelease to its signature where the means for that are there (`apt.signature`).
"""

import gzip
import hashlib
import lzma
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from envgen.apt.control import Package, make_package, parse_paragraph, split_paragraphs
from envgen.apt.resolve import Universe
from envgen.apt.signature import SignedText
from envgen.apt.tables import Suite
from envgen.apt.version import sort_key
from envgen.errors import NetworkError
from envgen.registry.transport import Transport

_COMPRESSIONS: Final[dict[str, Callable[[bytes], bytes]]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    "": bytes,
}


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A suite of an archive at a moment.

    Attributes:
        url: Of the archive.
        archive: Its name.
        suite: The suite's name there.
        components: Those of it that are used.
        sha256: Of the list of its files, as it was delivered.
        signed: What the list says, and who says so.

    """

    url: str
    archive: str
    suite: str
    components: tuple[str, ...]
    sha256: str
    signed: SignedText


class Found(msgspec.Struct, frozen=True):
    """A package and the name of the archive that has it."""

    package: Package
    archive: str


def fetch_release(
    transport: Transport,
    url: str,
    suite: Suite,
    read: Callable[[bytes, str], SignedText],
) -> Release:
    """Return a suite of an archive.

    Args:
        transport: The way there.
        url: Of the archive.
        suite: The suite.
        read: Checks the signature of a list, given also what it is the list of.

    Raises:
        NetworkError: The archive did not deliver it, or its signature is not good.

    """
    answer = transport.get(f"{url}/dists/{suite.suite}/InRelease", headers={})
    if answer.status != 200 or b"\nSHA256:" not in answer.body:
        raise NetworkError.single(
            f"{url} has no suite {suite.suite}",
            why=f"the answer for its InRelease is {answer.status}"
            if answer.status != 200
            else "what it delivers as InRelease is not one",
            fix="check network.apt-archives and network.apt-snapshot",
        )
    return Release(
        url=url,
        archive=suite.archive,
        suite=suite.suite,
        components=suite.components,
        sha256=hashlib.sha256(answer.body).hexdigest(),
        signed=read(answer.body, f"{suite.suite} of {url}"),
    )


def fetch_packages(
    transport: Transport, releases: Iterable[Release], architecture: str
) -> "Packages":
    """Return all packages of some suites for one architecture.

    Raises:
        NetworkError: An index was not delivered, or is not the one that was signed.

    """
    paragraphs: dict[str, list[tuple[str, str]]] = {}
    for release in releases:
        for component in release.components:
            text = _fetch_index(transport, release, f"{component}/binary-{architecture}/Packages")
            for paragraph in split_paragraphs(text):
                name = paragraph.partition("\n")[0].removeprefix("Package: ")
                paragraphs.setdefault(name, []).append((paragraph, release.archive))
    return Packages(paragraphs, architecture)


class Packages(Mapping[str, tuple[Package, ...]]):
    """Packages by name, the newest first; read when they are asked for, as most never are."""

    def __init__(self, paragraphs: Mapping[str, list[tuple[str, str]]], architecture: str) -> None:
        self._paragraphs = paragraphs
        self._architecture = architecture
        self._read: dict[str, tuple[Found, ...]] = {}

    def __getitem__(self, name: str) -> tuple[Package, ...]:
        return tuple(found.package for found in self._find(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._paragraphs)

    def __len__(self) -> int:
        return len(self._paragraphs)

    def archive_of(self, package: Package) -> str:
        """Return the archive that has a package."""
        return next(f.archive for f in self._find(package.name) if f.package == package)

    def universe(self) -> Universe:
        """Return the packages with who provides what."""
        providers: dict[str, list[str]] = {}
        for name, paragraphs in self._paragraphs.items():
            if any("\nProvides:" in paragraph for paragraph, _ in paragraphs):
                for provided in {row.name for package in self[name] for row in package.provides}:
                    providers.setdefault(provided, []).append(name)
        return Universe(self, {name: tuple(sorted(who)) for name, who in providers.items()})

    def _find(self, name: str) -> tuple[Found, ...]:
        if name not in self._read:
            rows = (
                Found(make_package(parse_paragraph(paragraph), self._architecture), archive)
                for paragraph, archive in self._paragraphs[name]
            )
            # Two archives may have the same file; which of them is named must not change.
            found = sorted(rows, key=lambda row: (row.archive, row.package.path))
            found.sort(key=lambda row: sort_key(row.package.version), reverse=True)
            self._read[name] = tuple(found)
        return self._read[name]


def _fetch_index(transport: Transport, release: Release, path: str) -> str:
    """Return an index of a suite, in whatever compression it is there."""
    hashes = _read_hashes(release.signed.text)
    for suffix, decompress in _COMPRESSIONS.items():
        expected = hashes.get(path + suffix)
        if expected is not None:
            url = f"{release.url}/dists/{release.suite}/{path}{suffix}"
            return decompress(download(transport, url, expected)).decode()
    raise NetworkError.single(
        f"{release.suite} of {release.archive} has no {path}",
        why="its signed list names none",
        fix="check `platforms` and network.apt-archives",
    )


def download(transport: Transport, url: str, sha256: str) -> bytes:
    """Return a file that is held to its hash.

    Raises:
        NetworkError: It was not delivered, or is another.

    """
    content = bytearray()
    status = transport.download(url, headers={}, write=content.extend)
    if status != 200:
        raise NetworkError.single(f"{url} was not delivered", why=f"the answer is {status}")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise NetworkError.single(
            f"{url} is not the file that was expected",
            why=f"its SHA-256 is {found}, not {sha256}",
            fix="try again; where it stays so, the archive or a proxy on the way is damaged",
        )
    return bytes(content)


def _read_hashes(text: str) -> dict[str, str]:
    """Return the SHA-256 of every file that a signed list names, by path."""
    section = text.partition("\nSHA256:")[2]
    hashes: dict[str, str] = {}
    for line in section.split("\n")[1:]:
        if not line.startswith(" "):
            break
        digest, _, path = line.split()
        hashes[path] = digest
    return hashes
