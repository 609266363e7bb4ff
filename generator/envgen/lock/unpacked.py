"""How many bytes wheels are once they are installed: from the end of the file, not all of it.

A wheel is a zip archive, whose table of contents stands at its end (PKWARE APPNOTE, 4.3). Servers
that answer range requests (RFC 9110, section 14) send just that.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from envgen.errors import NetworkError
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lock.pool import Pool
from envgen.registry.transport import MAX_BODY_BYTES, Transport

_PARALLEL: Final = 8
_TAIL: Final = 64 * 1024
_END: Final = b"PK\x05\x06"
_ENTRY: Final = b"PK\x01\x02"
_END_BYTES: Final = 22
_ENTRY_BYTES: Final = 46
_ZIP64: Final = 0xFFFFFFFF


def read_unpacked(
    packages: Iterable[LockedPackage], ca_certificates: Path | None
) -> dict[str, int]:
    """Return the unpacked bytes of wheels by SHA-256; those that a server does not tell are absent.

    They decide no pin, and a failing request must not fail a lock.
    """
    wheels = {
        file.sha256: file
        for package in packages
        for file in package.downloads.values()
        if file.filename.endswith(".whl") and file.url.startswith(("https://", "http://"))
    }
    with Transport(ca_certificates=ca_certificates) as transport, Pool(_PARALLEL) as pool:
        asked = {digest: pool.submit(_ask, transport, file) for digest, file in wheels.items()}
        found = {digest: future.result() for digest, future in asked.items()}
    return {digest: size for digest, size in found.items() if size is not None}


def sum_unpacked(
    packages: Iterable[LockedPackage], platforms: Iterable[str], known: Mapping[str, int]
) -> dict[str, int]:
    """Return what packages weigh on each platform; no platform where one file is not known."""
    packages = tuple(packages)
    total = {}
    for platform in platforms:
        files = [p.downloads[platform].sha256 for p in packages if platform in p.downloads]
        if all(digest in known for digest in files):
            total[platform] = sum(known[digest] for digest in files)
    return total


def _ask(transport: Transport, wheel: Artifact) -> int | None:
    try:
        tail = _read_range(transport, wheel.url, f"-{_TAIL}")
        directory = find_directory(tail)
        if directory is None:
            return None
        start, length = directory
        if length + _END_BYTES > len(tail):
            if length > MAX_BODY_BYTES:
                return None
            content = _read_range(transport, wheel.url, f"{start}-{start + length - 1}")
        else:
            end = tail.rindex(_END)
            content = tail[end - length : end]
        return sum(read_sizes(content))
    except (NetworkError, ValueError):
        return None


def _read_range(transport: Transport, url: str, wanted: str) -> bytes:
    answer = transport.get(url, headers={"Range": f"bytes={wanted}"})
    if answer.status != 206:
        raise ValueError(answer.status)
    return answer.body


def find_directory(tail: bytes) -> tuple[int, int] | None:
    """Return where a zip archive's table of contents begins and how long it is, from its end.

    None for an archive beyond 4 GiB, which has these numbers elsewhere, and for no archive.
    """
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        return None
    length, start = struct.unpack_from("<II", tail, at + 12)
    return None if _ZIP64 in (length, start) else (start, length)


def read_sizes(directory: bytes) -> Iterator[int]:
    """Yield the unpacked size of each file that a table of contents lists.

    Raises:
        ValueError: It is damaged.

    """
    at = 0
    while at < len(directory):
        if directory[at : at + 4] != _ENTRY or len(directory) - at < _ENTRY_BYTES:
            raise ValueError(at)
        (size,) = struct.unpack_from("<I", directory, at + 24)
        names = struct.unpack_from("<HHH", directory, at + 28)
        if size == _ZIP64:
            raise ValueError(size)
        yield size
        at += _ENTRY_BYTES + sum(names)
