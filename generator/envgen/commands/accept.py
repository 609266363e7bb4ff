"""Presets that do not come with envgen: fetched for commands that lock, and shown before first use.

A preset decides what an image installs, copies and runs, so whoever locks has to have seen it. The
hash in envgen.lock, which is reviewed and committed, says that somebody has.
"""

import hashlib
from pathlib import Path

from envgen.console import Console
from envgen.errors import LockError
from envgen.spec.model import Network
from envgen.spec.pinned_presets import Fetch, normalize, parse_preset
from envgen.spec.preset_reference import parse_reference


def make_fetch(console: Console, *, accepted: bool) -> Fetch:
    """Return what fetches presets for a command, each once, and shows new ones.

    Args:
        console: Where they are shown.
        accepted: Whether the user has agreed to all of them.

    """
    fetched: dict[str, bytes] = {}

    def fetch(text: str, sha256: str, network: Network, root: Path) -> bytes:
        if text not in fetched:
            content = _fetch(text, network, root, console)
            _require_same(text, content, sha256)
            if not sha256:
                _accept(text, content, console, accepted=accepted)
            fetched[text] = content
        return fetched[text]

    return fetch


def _fetch(text: str, network: Network, root: Path, console: Console) -> bytes:
    from envgen.lock.preset_source import fetch_preset  # noqa: PLC0415 - few specs have any

    reference = parse_reference(text)
    assert reference is not None  # noqa: S101 - the reader asks for nothing else
    with console.progress() as report:
        report(f"fetching the preset {text}")
        return normalize(fetch_preset(reference, network, root))


def _require_same(text: str, content: bytes, sha256: str) -> None:
    """Refuse a preset that is another one than the lock has.

    Raises:
        LockError: It is.

    """
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256:
        raise LockError.single(
            f"the preset {text} is not the one that was locked",
            why=f"envgen.lock has sha256:{sha256}, and it is sha256:{found}",
            fix="find out why it has changed; to look at it and accept it, take its table out of "
            "envgen.lock\nand run `python -m envgen lock`",
        )


def _accept(text: str, content: bytes, console: Console, *, accepted: bool) -> None:
    """Show a preset that envgen.lock does not have yet.

    Raises:
        LockError: Nobody accepted it.
        SpecError: It is not a preset.

    """
    document = parse_preset(content, text)
    shown = content.decode().rstrip("\n")
    head = f"new preset {text}\nsha256:{hashlib.sha256(content).hexdigest()}"
    body = "\n".join(f"  | {line}" for line in shown.splitlines())
    console.note(f"{head}\n{document['description']}\n\n{body}\n")
    if accepted or console.confirm("It decides what images install, copy and run. Use it?"):
        return
    raise LockError.single(
        f"the preset {text} has not been accepted",
        why=f"it is new, and decides what images install, copy and run:\n{shown}",
        fix="where it is what you want, run `python -m envgen lock --accept-presets`",
    )
