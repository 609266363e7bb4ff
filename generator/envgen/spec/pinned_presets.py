"""Presets that do not come with envgen: kept beside the lock, so that only `lock` fetches them.

envgen.lock has the hash of each; a file that is not the recorded one is never applied.
"""

import hashlib
import tomllib
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from envgen.errors import LockError, Problem, SpecError, StaleError, StorageError
from envgen.lock.model import EMPTY, LOCK_FILE, LockedPreset, read_lock
from envgen.presets import preset_names
from envgen.rendered import RenderedFile
from envgen.spec.forms import Fault
from envgen.spec.model import Image, Network
from envgen.spec.parse import parse_table
from envgen.spec.preset_reference import PluginPreset, parse_reference, preset_path
from envgen.spec.suggest import suggest

_MOST_BYTES: Final = 64 * 1024
_OWN_KEYS: Final = ("preset", "groups", "extras", "install")
"""What only a project itself can say of its images."""

Fetch = Callable[[str, str, Network, Path], bytes]
"""Returns a preset: by its reference, its SHA-256 (empty before its first use), the spec's network,
and the spec's folder."""


class PinnedPreset(msgspec.Struct, frozen=True, kw_only=True):
    """A preset of a spec that does not come with envgen.

    Attributes:
        reference: What the spec calls it.
        content: The bytes of its file, with newlines alone at the ends of lines.

    """

    reference: str
    content: bytes

    @property
    def locked(self) -> LockedPreset:
        """Its row in envgen.lock."""
        return LockedPreset(reference=self.reference, sha256=_sha256(self.content))

    @property
    def file(self) -> RenderedFile:
        """What is kept of it in the project."""
        # Not guarded: one that a person has edited is refused before anything is written.
        return RenderedFile(path=preset_path(self.locked), content=self.content, guarded=False)


class PresetReader:
    """Reads the presets of a spec that do not come with envgen.

    Args:
        root: The spec's folder.
        network: How the spec reaches package indexes.
        fetch: Fetches what is not there; None where the network is not to be used.

    """

    def __init__(self, root: Path, network: Network, fetch: Fetch | None) -> None:
        self.root = root
        self.network = network
        self.fetch = fetch
        lock = _read(root / LOCK_FILE)
        self.locked = {
            row.reference: row for row in (EMPTY if lock is None else read_lock(lock)).presets
        }

    def read(self, text: str) -> PinnedPreset | Fault | None:
        """Return the preset that a text names, or why there is none.

        None stands for what is no reference: the parser tells about it.

        Raises:
            StaleError: It has to be fetched first.
            LockError: The file that is there is not the recorded one.
            EnvgenError: It cannot be fetched.

        """
        reference = parse_reference(text)
        if reference is None:
            return None
        recorded = self.locked.get(text)
        if recorded is None and isinstance(reference, PluginPreset):
            fault = _find_plugin(reference)
            if fault:
                return fault
        stored = self._read_stored(recorded) if recorded else None
        content = stored if stored is not None else self._fetch(text, recorded)
        return PinnedPreset(reference=text, content=content)

    def _read_stored(self, recorded: LockedPreset) -> bytes | None:
        path = preset_path(recorded)
        content = _read(self.root / path)
        if content is not None and _sha256(content) != recorded.sha256:
            raise LockError.single(
                "is not the preset that was locked",
                file=path,
                why=f"{LOCK_FILE} has another hash for {recorded.reference}",
                fix="restore the file (git checkout), or delete it and run `python -m envgen lock`;"
                "\nchanges belong into the spec, beside `preset`",
            )
        return content

    def _fetch(self, text: str, recorded: LockedPreset | None) -> bytes:
        if self.fetch is None:
            raise StaleError.single(
                f"the preset {text} {'is missing' if recorded else 'is not locked'}",
                file=preset_path(recorded) if recorded else LOCK_FILE,
                why="presets that do not come with envgen are kept beside the lock",
                fix="run `python -m envgen lock`",
            )
        expected = recorded.sha256 if recorded else ""
        return self.fetch(text, expected, self.network, self.root)


def _find_plugin(reference: PluginPreset) -> Fault | None:
    from envgen.plugins import list_plugins  # noqa: PLC0415 - only for names that are not ours

    known = list_plugins("envgen.presets")
    if reference.preset in known:
        return None
    what = f"there is no preset {reference.preset!r}"
    return Fault(what, fix=suggest(reference.preset, [*preset_names(), *known]))


def parse_preset(content: bytes, file: str) -> dict[str, Any]:
    """Return the document of a preset: its `description` and its table `image`.

    Args:
        content: Its bytes.
        file: What messages call it.

    Raises:
        SpecError: It is not a preset, or has what a preset cannot have.

    """
    text = _decode(content, file)
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError.single("is not valid TOML", file=file, why=str(error)) from error
    problems = list(_find_faults(document, file))
    if problems:
        raise SpecError(*problems)
    parse_table(document["image"], Image, file=file, locate=lambda key: f"image.{key}")
    return document


def _decode(content: bytes, file: str) -> str:
    if len(content) > _MOST_BYTES:
        raise SpecError.single(f"is larger than {_MOST_BYTES // 1024} KiB", file=file)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SpecError.single(f"is not UTF-8 (byte {error.start})", file=file) from error
    # Whoever accepts a preset has to see all of it: control and format characters hide text.
    for character in set(text) - {"\n", "\t"}:
        if unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"}:
            raise SpecError.single(
                f"has the invisible character U+{ord(character):04X}",
                file=file,
                why="what is accepted would not be what is shown",
            )
    return text


def _find_faults(document: dict[str, Any], file: str) -> Iterable[Problem]:
    for key in document.keys() - {"description", "image"}:
        yield Problem(what="unknown key", file=file, key=key, fix="known are description, image")
    if not isinstance(document.get("description"), str):
        yield Problem(what="is missing", file=file, key="description", why="it says what it is for")
    image = document.get("image")
    if not isinstance(image, dict):
        yield Problem(what="is missing", file=file, key="image", fix="write [image]")
        return
    for key in image.keys() & set(_OWN_KEYS):
        yield Problem(
            what="is not for presets",
            file=file,
            key=f"image.{key}",
            why="only the project itself can say it",
        )


def normalize(content: bytes) -> bytes:
    """Return a file as it is kept: checkouts differ in the ends of lines."""
    return content.replace(b"\r\n", b"\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(normalize(content)).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        return normalize(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError.single(
            "cannot be read", file=path.name, why=error.strerror or str(error)
        ) from error
