"""poetry.lock as a text: what it pins, as a pylock.toml, and without some of its pins. Pure."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import tomli_w
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from envgen.errors import LockError
from envgen.lockers.index_files import Places
from envgen.lockers.pinned_files import Pinned
from envgen.lockers.poetry import NATIVE

_SOURCE: Final = re.compile(
    r'^\[package\.source\]\ntype = "legacy"\n(?:(?:url|reference) = .*\n)*\n?', re.MULTILINE
)
_PACKAGE: Final = re.compile(
    r'^\[\[package\]\]\nname = "([^"]+)"\n.*?(?=^\[\[package\]\]|^\[(?:metadata|extras)\]|\Z)',
    re.MULTILINE | re.DOTALL,
)


Entry = Mapping[str, Any]
"""A `[[package]]` of a poetry.lock."""


def read_entries(image: str, content: bytes) -> tuple[Entry, ...]:
    """Return the packages of a poetry.lock, each once it is known to be one.

    Raises:
        LockError: The bytes are not a poetry.lock.

    """
    try:
        entries = tuple(tomllib.loads(content.decode("utf-8"))["package"])
        list_pins(entries)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        conflict = b"<<<<<<< " in content
        raise LockError.single(
            f"{NATIVE} {'has conflict markers' if conflict else 'cannot be read'}",
            key=f"images.{image}",
            why="" if conflict else f"{type(error).__name__}: {error}",
            fix="restore it, or run `python -m envgen lock --upgrade` to pin anew",
        ) from error
    return entries


def list_pins(entries: Iterable[Entry]) -> Pinned:
    """Return the SHA-256 of every file, by name and version of its package."""
    return {(entry["name"], entry["version"]): _hashes(entry) for entry in entries}


def _hashes(entry: Entry) -> frozenset[str]:
    found = (file["hash"].partition(":") for file in entry["files"])
    return frozenset(digest for algorithm, _, digest in found if algorithm == "sha256")


def list_requirements(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return each package of an index as a PEP 508 requirement on its version."""
    found = ((entry, marker_of(entry)) for entry in _installed(entries) if _is_of_an_index(entry))
    return tuple(
        f"{entry['name']}=={entry['version']}" + (f" ; {marker}" if marker else "")
        for entry, marker in found
    )


def render_as_pylock(entries: Iterable[Entry], places: Places) -> str:
    """Return the packages of a poetry.lock as a pylock.toml (PEP 751).

    poetry's own export starts poetry a second time, which takes longer than all that envgen does.
    What is on no index becomes a directory, and a file that `places` does not know has no URL.
    """
    packages = [_render_package(entry, places) for entry in _installed(entries)]
    return tomli_w.dumps({"lock-version": "1.0", "created-by": "envgen", "packages": packages})


def _installed(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the packages of the project itself, and none of a development group."""
    return (entry for entry in entries if "main" in entry.get("groups", ["main"]))


def marker_of(entry: Entry) -> str:
    """Return when a package is installed: a marker for all groups, or a table with one for each."""
    found = entry.get("markers", "")
    return str(found.get("main", "") if isinstance(found, dict) else found)


def _is_of_an_index(entry: Entry) -> bool:
    return bool(entry.get("source", {}).get("type", "legacy") == "legacy")


def _render_package(entry: Entry, places: Places) -> dict[str, Any]:
    package: dict[str, Any] = {
        "name": canonicalize_name(entry["name"]),
        "version": entry["version"],
        **({"marker": marker} if (marker := marker_of(entry)) else {}),
    }
    if not _is_of_an_index(entry) or not entry["files"]:
        return {**package, "directory": {"path": "."}}
    files = [_render_file(file, places) for file in entry["files"]]
    wheels = [file for file in files if _is_wheel(file["name"])]
    sdists = [file for file in files if _is_sdist(file["name"])]
    return {**package, "wheels": wheels, **({"sdist": sdists[0]} if sdists else {})}


def _render_file(file: Mapping[str, str], places: Places) -> dict[str, Any]:
    algorithm, _, digest = file["hash"].partition(":")
    rendered: dict[str, Any] = {"name": file["file"], "hashes": {algorithm: digest}}
    place = places.get(digest)
    if place is None:
        # PEP 751 wants one of the two; a path is not taken for a place where the file is.
        return {**rendered, "path": file["file"]}
    size = {} if place.size is None else {"size": place.size}
    return {**rendered, "url": place.url, **size}


def _is_wheel(name: str) -> bool:
    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename:
        return False
    return True


def _is_sdist(name: str) -> bool:
    try:
        parse_sdist_filename(name)
    except InvalidSdistFilename:
        return False
    return True


def drop_packages(content: bytes, names: Iterable[str]) -> bytes:
    """Return a poetry.lock without the pins of some packages; the next lock takes their newest."""
    dropped = {canonicalize_name(name) for name in names}
    text = content.decode("utf-8").replace("\r\n", "\n")
    return _PACKAGE.sub(lambda found: "" if found[1] in dropped else found[0], text).encode()


def use_index(content: bytes, name: str, url: str) -> bytes:
    """Return a poetry.lock whose packages are all of one index; of PyPI where `name` is empty.

    A lock that somebody else made calls an index as its own pyproject.toml does, and poetry stops
    at a name that it does not know. Whether the index has the very files is checked elsewhere.
    """
    source = f'[package.source]\ntype = "legacy"\nurl = "{url}"\nreference = "{name}"\n\n'
    text = content.decode("utf-8").replace("\r\n", "\n")
    return _SOURCE.sub(lambda _: source if name else "", text).encode()
