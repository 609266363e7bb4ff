"""Whose signature an archive's list carries: by gpgv, with the keys of the distribution."""

import logging
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from envgen import process
from envgen.errors import NetworkError

_log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 60
_VALID: Final = re.compile(r"^\[GNUPG:\] VALIDSIG ([0-9A-F]{40})", re.MULTILINE)


class SignedText(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says, and who says so.

    Attributes:
        key: The fingerprint of the key; empty where nobody could look.
        text: The signed part alone, where the signature was checked.

    """

    key: str
    text: str


def read_signed(content: bytes, *, about: str, keyring: Path, required: bool) -> SignedText:
    """Return a clear-signed list, its signature checked where the means for that are there.

    Args:
        content: The list with its signature.
        about: What it is the list of, in words.
        keyring: The keys that are trusted.
        required: Whether to fail where gpgv or the keyring is missing.

    Raises:
        NetworkError: The signature is missing, bad, or of a key that is not trusted.

    """
    missing = _find_missing(keyring)
    if not missing:
        return _verify(content, about, keyring)
    if required:
        raise NetworkError.single(
            f"the signature of {about} cannot be checked",
            why=missing,
            fix="install gpgv, and see that network.apt-keyring names a file of keys",
        )
    _log.warning("the signature of %s is not checked: %s on this machine", about, missing)
    return SignedText(key="", text=content.decode("utf-8", "replace"))


def _find_missing(keyring: Path) -> str:
    if not keyring.is_file():
        return f"there is no {keyring}"
    return "" if shutil.which("gpgv") else "there is no gpgv"


def _verify(content: bytes, about: str, keyring: Path) -> SignedText:
    with tempfile.TemporaryDirectory(prefix="envgen-") as folder:
        signed, plain = Path(folder) / "InRelease", Path(folder) / "plain"
        signed.write_bytes(content)
        done = process.run(
            ["gpgv", "--status-fd=1", "--keyring", keyring, "--output", plain, signed],
            timeout_s=_TIMEOUT_S,
        )
        found = _VALID.search(done.stdout)
        if done.returncode == 0 and found:
            return SignedText(key=found[1], text=plain.read_text(encoding="utf-8"))
    raise NetworkError.single(
        f"{about} is not signed by a key of {keyring.name}",
        why=_explain(done.stderr) or "it has no signature",
        fix="where the archive is your own, name its keys: network.apt-keyring",
    )


def _explain(text: str) -> str:
    lines = (line.removeprefix("gpgv: ").strip() for line in text.splitlines())
    return "; ".join(line for line in lines if "signature" in line.lower())
