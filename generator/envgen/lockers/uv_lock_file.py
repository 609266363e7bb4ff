"""uv.lock as a text: which files of an index have no hash, and putting one there. Pure."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit


class LockedFile(NamedTuple):
    """A wheel or source archive of a uv.lock."""

    package: str
    version: str
    url: str

    @property
    def name(self) -> str:
        return PurePosixPath(unquote(urlsplit(self.url).path)).name


def find_unhashed(text: str) -> tuple[LockedFile, ...]:
    """Return the files that an index published without a hash."""
    return tuple(
        LockedFile(package["name"], package.get("version", ""), file["url"])
        for package in tomllib.loads(text).get("package", ())
        if "registry" in package.get("source", {})
        for file in _files(package)
        if "url" in file and "hash" not in file
    )


def _files(package: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from package.get("wheels", ())
    if "sdist" in package:
        yield package["sdist"]


def add_hashes(text: str, hashes: Mapping[str, str]) -> str:
    """Return a uv.lock with the SHA-256 of files, by URL, where uv itself would write them.

    uv keeps them when it locks again, and verifies them when it installs.
    """
    for url, digest in hashes.items():
        entry = re.compile(rf'(\{{ url = "{re.escape(url)}")(?=[ ,])')
        text = entry.sub(rf'\1, hash = "sha256:{digest}"', text)
    return text


def drop_files(text: str, urls: Iterable[str]) -> str:
    """Return a uv.lock without some files, each of which is on a line of its own."""
    for url in urls:
        entry = rf'(?:sdist = |    )\{{ url = "{re.escape(url)}"[^\n]*\n'
        text = re.sub(rf"^{entry}", "", text, flags=re.MULTILINE)
    return text
