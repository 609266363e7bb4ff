"""What two images differ in, file by file, where their digests do."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from envgen.image.canonical import CanonicalImage, run_config
from envgen.image.filesystem import File, FileSystem, stack_layers
from envgen.image.tar import FILE, FOLDER, SYMLINK, Entry

_NAMES = {FILE: "a file", FOLDER: "a folder", SYMLINK: "a link"}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A path, or a key of the configuration, in which two images differ.

    Attributes:
        where: The path, `/opt/venv/bin/x`; or the key, `config.Env`.
        what: What is different about it, in words.

    """

    where: str
    what: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {'; '.join(self.what)}"


def compare_images(image: CanonicalImage, rebuilt: CanonicalImage) -> Iterator[Difference]:
    """Yield what differs: the configuration's keys, then files by path.

    Where the two have the same files in other layers, that is the one difference.

    Raises:
        ValueError: A layer ends before its time.

    """
    if image.digest == rebuilt.digest:
        return
    found = False
    for difference in (*_compare_configs(image, rebuilt), *_compare_files(image, rebuilt)):
        found = True
        yield difference
    if not found:
        counts = [len(each.layers) for each in (image, rebuilt)]
        what = f"the same files are spread over layers in another way ({counts[0]} and {counts[1]})"
        yield Difference(where="layers", what=(what,))


def _compare_configs(image: CanonicalImage, rebuilt: CanonicalImage) -> Iterator[Difference]:
    one, other = (msgspec.json.decode(each.config) for each in (image, rebuilt))
    for key in ("architecture", "os", "variant"):
        yield from _compare_values(key, one.get(key), other.get(key))
    ours, theirs = run_config(one), run_config(other)
    for key in sorted(ours.keys() | theirs.keys()):
        yield from _compare_values(f"config.{key}", ours.get(key), theirs.get(key))


def _compare_values(where: str, one: Any, other: Any) -> Iterator[Difference]:  # noqa: ANN401
    if one != other:
        yield Difference(where=where, what=(f"{_tell(one)}, and {_tell(other)} when rebuilt",))


def _tell(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return "missing" if value is None else msgspec.json.encode(value).decode()


def _compare_files(image: CanonicalImage, rebuilt: CanonicalImage) -> Iterator[Difference]:
    one, other = (stack_layers(each.layer for each in i.layers) for i in (image, rebuilt))
    for path in sorted(one.files.keys() | other.files.keys()):
        found, made = one.files.get(path), other.files.get(path)
        if found is None or made is None:
            what: tuple[str, ...] = (
                "only in the rebuilt image" if made else "not in the rebuilt image",
            )
        else:
            what = tuple(_compare_entries(one, found, other, made))
        if what:
            yield Difference(where=show_path(path), what=what)


def _compare_entries(one: FileSystem, found: File, other: FileSystem, made: File) -> Iterator[str]:
    old, new = found.entry, made.entry
    if old.kind != new.kind:
        yield f"{_kind(old)}, and {_kind(new)} when rebuilt"
        return
    for name, ours, theirs in (
        ("size", old.size, new.size),
        ("mode", f"{old.mode:04o}", f"{new.mode:04o}"),
        ("owner", f"{old.uid}:{old.gid}", f"{new.uid}:{new.gid}"),
        ("time", old.mtime, new.mtime),
        ("target", _text(old), _text(new)),
        ("device", old.device, new.device),
    ):
        if ours != theirs:
            yield f"{name} {ours}, and {theirs} when rebuilt"
    if old.xattrs != new.xattrs:
        yield "other extended attributes"
    if old.kind == FILE and old.size == new.size and one.digest(found) != other.digest(made):
        byte = _first_byte(one.read(found), other.read(made))
        yield f"content, from byte {byte} on"


def _kind(entry: Entry) -> str:
    return _NAMES.get(entry.kind, "a special file")


def _text(entry: Entry) -> str:
    return entry.link.decode(errors="backslashreplace") if entry.kind == SYMLINK else ""


def _first_byte(one: Iterable[bytes], other: Iterable[bytes]) -> int:
    """Return where two contents of one size begin to differ."""
    passed = 0
    for chunk, made in zip(one, other, strict=True):
        if chunk != made:
            pairs = enumerate(zip(chunk, made, strict=True))
            return passed + next(number for number, (old, new) in pairs if old != new)
        passed += len(chunk)
    return passed


def show_path(path: bytes) -> str:
    """Return a path as people read it."""
    return "/" + path.decode(errors="backslashreplace")
