"""The files that a container of an image sees: all layers, one over the other."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from envgen.image.layer import Layer
from envgen.image.region import digest_chunks, read_exactly
from envgen.image.tar import FOLDER, HARD_LINK, Entry

_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"


class File(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One path of an image.

    Attributes:
        entry: What is there. Of a hard link, the file that it shares with others.
        layer: Which layer it comes from, counted from 0.

    """

    entry: Entry
    layer: int


class FileSystem(msgspec.Struct, frozen=True, kw_only=True):
    """The files of an image by their path, which has no slash at either end.

    Attributes:
        files: By path.
        layers: Those of the image, which hold the contents.

    """

    files: dict[bytes, File]
    layers: tuple[Layer, ...]

    def read(self, file: File) -> Iterator[bytes]:
        """Yield the content of a file in chunks."""
        with self.layers[file.layer].region.path.open("rb") as stream:
            yield from read_exactly(stream, file.entry.offset, file.entry.size)

    def read_bytes(self, file: File) -> bytes:
        return b"".join(self.read(file))

    def digest(self, file: File) -> str:
        """Return `sha256:` and the hash of a file's content."""
        return digest_chunks(self.read(file))


def stack_layers(layers: Iterable[Layer]) -> FileSystem:
    """Return the files of layers that lie one over the other.

    A path in a layer hides what is below it in the earlier ones unless both are folders; whiteouts
    remove what they name (OCI image specification, "Applying Changesets").
    """
    stacked = tuple(layers)
    files: dict[bytes, File] = {}
    for number, layer in enumerate(stacked):
        for path in _hidden(layer.entries, files):
            del files[path]
        own = {entry.path: entry for entry in layer.entries}
        for path, entry in own.items():
            if path.rpartition(b"/")[2].startswith(_WHITEOUT):
                continue
            shared = own.get(entry.link, entry) if entry.kind == HARD_LINK else entry
            files[path] = File(entry=shared, layer=number)
    return FileSystem(files=files, layers=stacked)


def _hidden(entries: Iterable[Entry], below: dict[bytes, File]) -> list[bytes]:
    """Return the paths of lower layers that a layer takes away."""
    gone: set[bytes] = set()  # with all that is in them
    emptied: set[bytes] = set()  # only what is in them
    for entry in entries:
        folder, _, name = entry.path.rpartition(b"/")
        if name == _OPAQUE:
            emptied.add(folder)
        elif name.startswith(_WHITEOUT):
            gone.add(_join(folder, name.removeprefix(_WHITEOUT)))
        elif entry.kind != FOLDER and _is_folder(below.get(entry.path)):
            emptied.add(entry.path)
    if not gone and not emptied:
        return []
    return [path for path in below if path in gone or _ancestors(path) & (gone | emptied)]


def _is_folder(file: File | None) -> bool:
    return file is not None and file.entry.kind == FOLDER


def _ancestors(path: bytes) -> set[bytes]:
    parts = path.split(b"/")
    return {b"/".join(parts[:count]) for count in range(len(parts))}


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
