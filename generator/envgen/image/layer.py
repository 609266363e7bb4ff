"""A layer in its canonical form: the same files give the same bytes, whoever packed them."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from envgen.image.region import CHUNK, Region, read_exactly
from envgen.image.tar import BLOCK, FILE, HARD_LINK, Entry, read_entries, write_header

_END: Final = bytes(2 * BLOCK)


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of an image.

    Attributes:
        region: Its archive, uncompressed.
        entries: Its entries in canonical order.

    """

    region: Region
    entries: tuple[Entry, ...]

    def chunks(self) -> Iterator[bytes]:
        """Yield the canonical archive, in chunks that are worth sending.

        Raises:
            ValueError: The archive ends before its time.

        """
        buffer = bytearray()
        for piece in self._pieces():
            buffer += piece
            if len(buffer) >= CHUNK:
                yield bytes(buffer)
                buffer.clear()
        yield bytes(buffer)

    def _pieces(self) -> Iterator[bytes]:
        with self.region.path.open("rb") as stream:
            for entry in self.entries:
                yield write_header(entry)
                if entry.size:
                    yield from read_exactly(stream, entry.offset, entry.size)
                    yield bytes(-entry.size % BLOCK)
        yield _END

    def measure(self) -> tuple[str, int]:
        """Return the digest of the canonical archive, and its size in bytes."""
        digest, size = hashlib.sha256(), 0
        for chunk in self.chunks():
            digest.update(chunk)
            size += len(chunk)
        return f"sha256:{digest.hexdigest()}", size


def read_layer(region: Region) -> Layer:
    """Return a layer from its uncompressed archive.

    Raises:
        ValueError: It is not an archive that a builder makes.

    """
    with region.path.open("rb") as stream:
        stream.seek(region.start)
        return Layer(region=region, entries=sort_entries(read_entries(stream)))


def sort_entries(found: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries by path, which puts a folder before what is in it.

    Of entries with one path the last one counts, as it does for who unpacks them. Of the paths that
    share a file, the first holds the content and the others are links to it.
    """
    entries = {entry.path: entry for entry in found}
    owners: dict[bytes, Entry] = {}  # by the path that held the content, what holds it now
    made = []
    for path in sorted(entries):
        entry = entries[path]
        target = _target(entries, entry)
        if target is None:
            made.append(entry)
        elif (owner := owners.get(target.path)) is not None:
            link = {"kind": HARD_LINK, "link": owner.path, "size": 0}
            made.append(msgspec.structs.replace(owner, path=path, **link))
        else:
            owners[target.path] = msgspec.structs.replace(target, path=path)
            made.append(owners[target.path])
    return tuple(made)


def _target(entries: dict[bytes, Entry], entry: Entry) -> Entry | None:
    """Return the file that an entry is or is a hard link to; None for all others."""
    target = entries.get(entry.link) if entry.kind == HARD_LINK else entry
    return target if target is not None and target.kind == FILE else None
