"""poetry.lock as a text: what it pins, and how to take a package's pin out. Pure."""

import re
import tomllib
from collections.abc import Iterable
from typing import Any, Final

from packaging.utils import canonicalize_name

from envgen.errors import LockError
from envgen.lockers.pinned_files import Pinned
from envgen.lockers.poetry import NATIVE

_PACKAGE: Final = re.compile(
    r'^\[\[package\]\]\nname = "([^"]+)"\n.*?(?=^\[\[package\]\]|^\[(?:metadata|extras)\]|\Z)',
    re.MULTILINE | re.DOTALL,
)


def read_pins(image: str, content: bytes) -> Pinned:
    """Return the SHA-256 of every file, by name and version of its package.

    Raises:
        LockError: The bytes are not a poetry.lock.

    """
    try:
        packages = tomllib.loads(content.decode("utf-8"))["package"]
        return {(entry["name"], entry["version"]): _hashes(entry) for entry in packages}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        conflict = b"<<<<<<< " in content
        raise LockError.single(
            f"{NATIVE} {'has conflict markers' if conflict else 'cannot be read'}",
            key=f"images.{image}",
            why="" if conflict else f"{type(error).__name__}: {error}",
            fix="restore it, or run `python -m envgen lock --upgrade` to pin anew",
        ) from error


def _hashes(package: dict[str, Any]) -> frozenset[str]:
    found = (entry["hash"].partition(":") for entry in package["files"])
    return frozenset(digest for algorithm, _, digest in found if algorithm == "sha256")


def drop_packages(content: bytes, names: Iterable[str]) -> bytes:
    """Return a poetry.lock without the pins of some packages; the next lock takes their newest."""
    dropped = {canonicalize_name(name) for name in names}
    text = content.decode("utf-8").replace("\r\n", "\n")
    return _PACKAGE.sub(lambda found: "" if found[1] in dropped else found[0], text).encode()
