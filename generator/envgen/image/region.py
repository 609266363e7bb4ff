"""Where the bytes of a layer lie: a part of a file, so that no layer has to be in memory."""

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from envgen.errors import ToolError

CHUNK: Final = 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a file.

    Attributes:
        path: The file.
        start: Its first byte.
        size: How many there are.

    """

    path: Path
    start: int
    size: int

    def read(self) -> Iterator[bytes]:
        """Yield the bytes in chunks.

        Raises:
            ValueError: The file ends before the region does.

        """
        with self.path.open("rb") as stream:
            yield from read_exactly(stream, self.start, self.size)


def read_exactly(stream: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    """Yield `size` bytes from `start` on, in chunks.

    Raises:
        ValueError: The stream ends before.

    """
    stream.seek(start)
    while size:
        chunk = stream.read(min(size, CHUNK))
        if not chunk:
            raise ValueError("it ends before its time")
        size -= len(chunk)
        yield chunk


def unpack(region: Region, target: Path) -> tuple[Region, str]:
    """Return the bytes of a layer without their compression, and their digest.

    Args:
        region: The layer as it is stored: plain, or compressed with gzip or Zstandard.
        target: A file to unpack to, which is not made where nothing is compressed.

    Raises:
        ToolError: It is Zstandard's, and no Python module for that is there.
        ValueError: It is damaged.

    """
    chunks = region.read()
    head = next(chunks, b"")
    if head.startswith(_GZIP):
        decompressor: Any = _Gunzip()
    elif head.startswith(_ZSTD):
        decompressor = _zstd()
    else:
        return region, digest_chunks(_chain(head, chunks))
    digest = hashlib.sha256()
    with target.open("wb") as stream:
        for chunk in _chain(head, chunks):
            plain = decompressor.decompress(chunk)
            digest.update(plain)
            stream.write(plain)
        if not decompressor.eof:
            raise ValueError("its compressed bytes end before their time")
    size = target.stat().st_size
    return Region(path=target, start=0, size=size), f"sha256:{digest.hexdigest()}"


def digest_chunks(chunks: Iterator[bytes]) -> str:
    """Return `sha256:` and the hash of all chunks together."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _chain(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from chunks


class _Gunzip:
    """Unpacks gzip in pieces; a file may be several members, as eStargz and pigz write it."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._member.eof

    def decompress(self, chunk: bytes) -> bytes:
        try:
            found = [self._member.decompress(chunk)]
            while self._member.eof and (rest := self._member.unused_data.lstrip(b"\0")):
                self._member = zlib.decompressobj(wbits=31)
                found.append(self._member.decompress(rest))
        except zlib.error as error:
            raise ValueError("its compressed bytes are damaged") from error
        return b"".join(found)


class _Unzstd:
    """Unpacks Zstandard in pieces, frame after frame."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - either of two modules
        self._new = module
        self._frame = module()

    @property
    def eof(self) -> bool:
        return bool(self._frame.eof)

    def decompress(self, chunk: bytes) -> bytes:
        found = []
        while chunk:
            if self._frame.eof:
                self._frame = self._new()
            try:
                found.append(self._frame.decompress(chunk))
            except Exception as error:
                # Each module has an error class of its own, and both are plain Exceptions.
                raise ValueError("its compressed bytes are damaged") from error
            chunk = self._frame.unused_data if self._frame.eof else b""
        return b"".join(found)


def _zstd() -> _Unzstd:
    """Return a decompressor: Python's own of 3.14 and later, else that of `zstandard`."""
    try:
        # Python 3.14 and later.
        from compression.zstd import ZstdDecompressor  # type: ignore[import-not-found]  # noqa: PLC0415
    except ModuleNotFoundError:
        try:
            from zstandard import ZstdDecompressor as Decompressor  # noqa: PLC0415 - optional
        except ModuleNotFoundError:
            raise ToolError.single(
                "this Python cannot unpack Zstandard, which the image is compressed with",
                fix="install `zstandard` beside envgen, or use Python 3.14",
            ) from None
        return _Unzstd(lambda: Decompressor().decompressobj())
    return _Unzstd(ZstdDecompressor)
