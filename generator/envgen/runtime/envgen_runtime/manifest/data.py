"""Which data a run read: the version that somebody gave it, or the hash of what is there."""

from __future__ import annotations

import hashlib
import os
import re

from envgen_runtime.manifest.document import missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PIECE = 1 << 20  # bytes
_S3 = re.compile(r"(s3://[^/@\s]+/[^@\s]+)@(\S+)")
_NAMED = re.compile(r"([\w.-]+(?:/[\w.-]+)*)@([\w.+-]+)")
_MD5 = re.compile(r"^\s*-?\s*md5:\s*([0-9a-f]{32}(?:\.dir)?)\s*$", re.MULTILINE)


def describe_data(given: str) -> dict[str, Any]:
    """Return what is known of a data set.

    Args:
        given: A path, hashed file by file; a `.dvc` file, whose hash is DVC's;
            `s3://BUCKET/KEY@VERSION`; or `NAME@VERSION` of a registry of data sets. The last two
            are recorded as they are given.

    """
    bucket = _S3.fullmatch(given)
    if bucket:
        return {"s3": bucket[1], "version": bucket[2], "source": "given"}
    if given.startswith("s3://"):
        return {"s3": given, "version": missing("write s3://BUCKET/KEY@VERSION")}
    if not os.path.lexists(given):
        named = _NAMED.fullmatch(given)
        if named:
            return {"name": named[1], "version": named[2], "source": "given"}
        return {"path": given, "sha256": missing("there is no such file or folder")}
    if given.endswith(".dvc"):
        return _read_dvc(given)
    try:
        return {"path": given, **_hash_tree(given)}
    except OSError as error:
        reason = f"{error.filename or given}: {error.strerror or error}"
        return {"path": given, "sha256": missing(reason)}


def _read_dvc(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = _MD5.search(file.read())
    except (OSError, UnicodeDecodeError) as error:
        return {"dvc": path, "md5": missing(str(error))}
    return {"dvc": path, "md5": found[1] if found else missing("it names no md5")}


def _hash_tree(path: str) -> dict[str, Any]:
    """Return a hash of a file, or of the names and hashes of all files below a folder.

    Times and owners do not count: a copy is the same data. Neither do empty folders.
    """
    if not os.path.isdir(path):
        digest, size = _hash_file(path)
        return {"sha256": digest, "files": 1, "bytes": size}
    whole, files, total = hashlib.sha256(), 0, 0
    for folder, folders, names in os.walk(path, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            if not os.path.isfile(file):
                continue  # a socket or a dangling link holds no data
            digest, size = _hash_file(file)
            relative = os.path.relpath(file, path)
            whole.update(f"{digest} {relative}\n".encode("utf-8", "surrogateescape"))
            files, total = files + 1, total + size
    return {"sha256": whole.hexdigest(), "files": files, "bytes": total}


def _raise(error: OSError) -> None:
    raise error


def _hash_file(path: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while True:
            piece = file.read(_PIECE)
            if not piece:
                return digest.hexdigest(), size
            digest.update(piece)
            size += len(piece)
