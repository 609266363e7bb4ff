"""Generated files, and the seal that tells an untouched one from one that a person has edited."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

JSON_SEAL: Final = "org.envgen.seal"
_SEAL: Final = re.compile(
    rb'^(?:# | *"org\.envgen\.seal": ")sha256:([0-9a-f]{64})"?\n', re.MULTILINE
)


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
    """Return a generated text: its header lines, the checksum of all the rest, and the body.

    Args:
        header: Lines without `# `, each of which becomes a comment.
        body: The text, which ends in a newline. The kernel looks for its `#!` in the first line, so
            that stays there.

    """
    shebang = body[: body.index("\n") + 1] if body.startswith("#!") else ""
    comment = shebang + "".join(f"# {line}\n" for line in header.splitlines())
    rest = body.removeprefix(shebang)
    digest = hashlib.sha256((comment + rest).encode()).hexdigest()
    return f"{comment}# sha256:{digest}\n{rest}".encode()


def seal_json(document: Mapping[str, Any], place: str) -> bytes:
    """Return a document as JSON, with the checksum of all its other lines as a member.

    JSON has no comments, so the seal is where the document's format lets anything be.

    Args:
        document: An object.
        place: Its member, in which the seal is the only one: names and indices with dots between.

    """
    copy = json.loads(json.dumps(document))
    *parents, last = place.split(".")
    holder = copy
    for part in parents:
        holder = holder[int(part)] if part.isdecimal() else holder.setdefault(part, {})
    holder[last] = {JSON_SEAL: ""}
    text = json.dumps(copy, indent=2, ensure_ascii=False) + "\n"
    indent, line = re.findall(rf'^( *)("{re.escape(JSON_SEAL)}": "")\n', text, re.MULTILINE)[0]
    digest = hashlib.sha256(text.replace(f"{indent}{line}\n", "", 1).encode()).hexdigest()
    return text.replace(line, f'"{JSON_SEAL}": "sha256:{digest}"', 1).encode()


def is_untouched(content: bytes) -> bool:
    """Return whether `content` is as `seal` made it, whatever the line endings of the checkout."""
    content = content.replace(b"\r\n", b"\n")
    found = _SEAL.search(content)
    if found is None:
        return False
    # What stands above the seal counts too: a line that a person puts first is an edit.
    rest = content[: found.start()] + content[found.end() :]
    return hashlib.sha256(rest).hexdigest().encode() == found[1]


def quote_toml(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are among TOML's, which also wants DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
