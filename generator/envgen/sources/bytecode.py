"""Bytecode: compiled from a source that is beside it, and held to it by its hash (PEP 552)."""

import _imp
import re
from typing import Final

from envgen.sources.claims import Claims

_NAME: Final = re.compile(rb"(?:(.*)/)?__pycache__/([^/]+)\.cpython-\d+(?:\.opt-[12])?\.pyc")
_HEADER_BYTES: Final = 16
_ORIGIN: Final = "bytecode of a source beside it"


def claim_bytecode(claims: Claims) -> None:
    """Claim what was compiled from a file that is claimed, and compare the hashes of the sources.

    The code itself is not compared: compiling it again is what a rebuild is for.
    """
    for path in sorted(claims.files.files):
        matched = _NAME.fullmatch(path)
        if matched is None or claims.is_claimed(path):
            continue
        folder, stem = matched.groups()
        source = b"/".join(filter(None, (folder, stem + b".py")))
        if claims.is_claimed(source):
            claims.claim(path, _ORIGIN)
            if not _belongs(claims.read(path) or b"", claims.read(source) or b""):
                claims.complain(path, "was not compiled from the source beside it")
    if claims.counts[_ORIGIN]:
        claims.notes.append(
            f"{claims.counts[_ORIGIN]} files of bytecode name their source's hash; "
            "their code is compared by a rebuild only"
        )


def _belongs(compiled: bytes, source: bytes) -> bool:
    """Tell whether bytecode has the hash of a source: 4 bytes of magic, 4 of flags, 8 of hash."""
    header = compiled[:_HEADER_BYTES]
    if len(header) < _HEADER_BYTES or not header[4] & 1:
        return False
    # As importlib.util.source_hash, but with the magic number of the image's own Python.
    return _imp.source_hash(int.from_bytes(header[:4], "little"), source) == header[8:]
