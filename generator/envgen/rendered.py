"""Generated files, and the seal that tells an untouched one from one that a person has edited."""

import hashlib
import re
from typing import Final

import msgspec

_SEAL: Final = re.compile(rb"^# sha256:([0-9a-f]{64})\n", re.MULTILINE)


class RenderedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that envgen writes.

    Attributes:
        path: Relative to the spec's folder, with forward slashes.
        content: Its bytes.
        guarded: Whether a file that a person has edited is kept. A locker's own files are not
            guarded: people and bots may change them, and `lock` takes their changes up.

    """

    path: str
    content: bytes
    guarded: bool = True


def seal(header: str, body: str) -> bytes:
    """Return a generated text: its header lines, the checksum of its body, and the body.

    Args:
        header: Lines without `# `, each of which becomes a comment.
        body: The text, which ends in a newline.

    """
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    encoded = body.encode()
    digest = hashlib.sha256(encoded).hexdigest()
    return b"".join((comment.encode(), f"# sha256:{digest}\n".encode(), encoded))


def is_untouched(content: bytes) -> bool:
    """Return whether `content` is as `seal` made it, whatever the line endings of the checkout."""
    content = content.replace(b"\r\n", b"\n")
    found = _SEAL.search(content)
    if found is None:
        return False
    return hashlib.sha256(content[found.end() :]).hexdigest().encode() == found[1]
