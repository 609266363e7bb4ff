"""What an image has from its base: files held to those of the locked image."""

from typing import Final

from envgen.image.filesystem import FileSystem
from envgen.image.tar import FILE, FOLDER, Entry
from envgen.sources.claims import Claims

_ORIGIN: Final = "the base image"
_USERS: Final = {
    b"etc/passwd": b"app:x:10001:10001::/home/app:/usr/sbin/nologin\n",
    b"etc/group": b"app:x:10001:\n",
}
_MADE: Final = frozenset({b"home/app", b"dev", b"proc", b"sys"})
"""Folders that the Dockerfile makes; a runtime mounts its own over all but the first."""


def claim_base(claims: Claims, base: FileSystem) -> None:
    """Claim what is as the base has it, and the user that is added to it.

    Times are not compared: the build gives copied files one of its own.
    """
    for path, file in claims.files.files.items():
        known = base.files.get(path)
        if known is None:
            continue
        if _same_kind(file.entry, known.entry) and (
            file.entry.kind != FILE or claims.files.digest(file) == base.digest(known)
        ):
            claims.claim(path, _ORIGIN)
        elif path in _USERS and claims.read(path) == base.read_bytes(known) + _USERS[path]:
            claims.claim(path, "the user that envgen adds")
    for path in _MADE:
        found = claims.find(path)
        if found is not None and found.entry.kind == FOLDER:
            claims.claim(path, "the user that envgen adds")


def _same_kind(one: Entry, other: Entry) -> bool:
    return (
        one.kind,
        one.mode,
        one.uid,
        one.gid,
        one.size,
        one.link if one.kind != b"1" else b"",
    ) == (
        other.kind,
        other.mode,
        other.uid,
        other.gid,
        other.size,
        other.link if other.kind != b"1" else b"",
    )
