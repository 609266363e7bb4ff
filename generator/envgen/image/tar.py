"""The entries of a layer, and the one way in which their headers are written.

Builders put the same files into archives that differ: in the order of entries, in user names, in
the bits of the mode that repeat the type of the file, in fractions of seconds. `write_header` is a
format of its own within POSIX's pax format (IEEE Std 1003.1-2017, pax, "ustar Interchange Format"
and "pax Extended Header"); the standard library's writer is not used because digests must not
change with the version of Python.
"""

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

BLOCK: Final = 512
FILE: Final = b"0"
HARD_LINK: Final = b"1"
SYMLINK: Final = b"2"
FOLDER: Final = b"5"
_KINDS: Final = {
    tarfile.REGTYPE: FILE,
    tarfile.AREGTYPE: FILE,
    tarfile.CONTTYPE: FILE,
    tarfile.LNKTYPE: HARD_LINK,
    tarfile.SYMTYPE: SYMLINK,
    tarfile.CHRTYPE: b"3",
    tarfile.BLKTYPE: b"4",
    tarfile.DIRTYPE: FOLDER,
    tarfile.FIFOTYPE: b"6",
}
_DEVICES: Final = frozenset({b"3", b"4"})

_XATTR: Final = "SCHILY.xattr."
_DROPPED: Final = ("security.selinux", "trusted.overlay.", "user.overlay.")
"""What the build's host adds; the others (`security.capability`) are the files' own."""

_MAX_NAME: Final = 100
_MAX_ID: Final = 0o7777777
_MAX_SIZE: Final = 0o77777777777


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry of a layer, without its content. A layer may have a million: keep it small.

    Attributes:
        path: Without a slash at either end.
        kind: The type flag: one of those above.
        mode: The permissions, as of chmod.
        size: Of the content in bytes; 0 of all but files.
        mtime: Seconds since 1970.
        link: Where a link points to, as it is written there; the path that a hard link shares.
        device: Major and minor number.
        xattrs: Names and values, sorted.
        offset: Where in the archive its content begins.

    """

    path: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes
    device: tuple[int, int]
    xattrs: tuple[tuple[bytes, bytes], ...]
    offset: int


def read_entries(stream: BinaryIO) -> Iterator[Entry]:
    """Yield the entries of the archive that begins where a seekable stream stands.

    Offsets are from the beginning of the stream. The root folder itself is left out: builders do
    not agree on whether it has an entry.

    Raises:
        ValueError: It is not an archive, or it holds what no builder writes.

    """
    try:
        with tarfile.open(
            fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as archive:
            while (member := archive.next()) is not None:
                # The archive would keep every member for look-ups by name that nobody makes.
                archive.members.clear()  # type: ignore[attr-defined]
                entry = _entry(member)
                if entry.path not in {b"", b"."}:
                    yield entry
    except tarfile.TarError as error:
        raise ValueError(str(error)) from error


def _entry(member: tarfile.TarInfo) -> Entry:
    kind = _KINDS.get(member.type)
    if kind is None or member.issparse():
        raise ValueError(f"{member.name} has the type {member.type!r}, which layers do not hold")
    return Entry(
        path=_clean(member.name),
        kind=kind,
        mode=0o777 if kind == SYMLINK else member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        size=member.size if kind == FILE else 0,
        mtime=int(member.mtime),
        link=_link(member, kind),
        device=(member.devmajor, member.devminor) if kind in _DEVICES else (0, 0),
        xattrs=_xattrs(member),
        offset=member.offset_data,
    )


def _clean(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape").removeprefix(b"./").strip(b"/")


def _link(member: tarfile.TarInfo, kind: bytes) -> bytes:
    if kind == HARD_LINK:
        return _clean(member.linkname)
    return member.linkname.encode("utf-8", "surrogateescape") if kind == SYMLINK else b""


def _xattrs(member: tarfile.TarInfo) -> tuple[tuple[bytes, bytes], ...]:
    if not member.pax_headers:
        return ()
    return tuple(
        sorted(
            (key.removeprefix(_XATTR).encode(), value.encode("utf-8", "surrogateescape"))
            for key, value in member.pax_headers.items()
            if key.startswith(_XATTR) and not key.startswith(_DROPPED, len(_XATTR))
        )
    )


def write_header(entry: Entry) -> bytes:
    """Return the blocks that go before an entry's content."""
    path = entry.path + b"/" if entry.kind == FOLDER else entry.path
    records = _extended(entry, path)
    header = _block(entry, path, entry.kind, entry.size)
    if not records:
        return header
    body = b"".join(_record(key, value) for key, value in records)
    plain = msgspec.structs.replace(entry, mode=0o644, uid=0, gid=0, mtime=0, link=b"")
    return _block(plain, b"PaxHeaders/0", b"x", len(body)) + pad(body) + header


def pad(content: bytes) -> bytes:
    """Return content filled up to whole blocks."""
    return content + bytes(-len(content) % BLOCK)


def _extended(entry: Entry, path: bytes) -> list[tuple[bytes, bytes]]:
    """Return what does not fit into a header of 1988, sorted by key."""
    records = [(b"SCHILY.xattr." + name, value) for name, value in entry.xattrs]
    records += [
        (key, text)
        for key, text in ((b"path", path), (b"linkpath", entry.link))
        if len(text) > _MAX_NAME or not text.isascii()
    ]
    limits = ((b"uid", entry.uid, _MAX_ID), (b"gid", entry.gid, _MAX_ID))
    numbers = (*limits, (b"size", entry.size, _MAX_SIZE))
    records += [(key, b"%d" % number) for key, number, limit in numbers if number > limit]
    if entry.mtime < 0:
        records.append((b"mtime", b"%d" % entry.mtime))
    return sorted(records)


def _record(key: bytes, value: bytes) -> bytes:
    """Return `LENGTH KEY=VALUE`, whose length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def _block(entry: Entry, path: bytes, kind: bytes, size: int) -> bytes:
    major, minor = entry.device
    fields = (
        path[:_MAX_NAME].ljust(100, b"\0"),
        b"%07o\0%07o\0%07o\0" % (entry.mode, min(entry.uid, _MAX_ID), min(entry.gid, _MAX_ID)),
        b"%011o\0%011o\0" % (min(size, _MAX_SIZE), max(entry.mtime, 0)),
        b" " * 8,
        kind,
        entry.link[:_MAX_NAME].ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),
        b"%07o\0%07o\0" % (major, minor),
        bytes(167),
    )
    header = b"".join(fields)
    return b"%s%06o\0 %s" % (header[:148], sum(header), header[156:])
