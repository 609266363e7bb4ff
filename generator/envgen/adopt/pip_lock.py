"""A requirements.txt that is a lock: every line a pin with hashes, as pip-compile and uv write it.

What they note after `# via` tells which packages a person asked for.
"""

import re
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from envgen.adopt.found import Gathering, read_text
from envgen.lockers.pip_requirements import Pin, read_pins

_NAMES_A_FILE: Final = re.compile(
    r"^\s*(?:-[rce]|--requirement|--constraint|--editable)", re.MULTILINE
)
_PIN: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?(?===)", re.MULTILINE)
_VIA: Final = re.compile(r"#\s*via\b\s*(.*)")
_MORE: Final = re.compile(r"^\s+#\s+(\S.*)")
_MADE_FOR: Final = re.compile(
    r"^#.*?(?:by pip-compile with Python |--python-version[= ]|\s-p )(3\.[0-9]+)", re.MULTILINE
)


def read_locked(text: str) -> tuple[Pin, ...]:
    """Return the pins of a requirements file that is a lock; none where it is not one."""
    if _NAMES_A_FILE.search(text):
        return ()
    try:
        pins = read_pins(_drop_extras(text))
    except ValueError:
        return ()
    return pins if all(pin.hashes for pin in pins) else ()


def _drop_extras(text: str) -> str:
    """Return the text without extras: what they need has pins of its own."""
    return _PIN.sub(r"\1", text)


def list_inner(text: str) -> set[str]:
    """Return the packages that only others need, by what stands after `# via`.

    A package is one's own where a file, or the project itself, is among those that want it. Without
    a note everything is.
    """
    wanted: dict[str, list[str]] = {}
    name, more = "", False
    for line in text.splitlines():
        if pin := _PIN.match(line):
            name, more = canonicalize_name(pin[1]), False
        if via := _VIA.search(line):
            wanted.setdefault(name, []).append(via[1])
            more = True
        elif more and (further := _MORE.match(line)):
            wanted[name].append(further[1])
        else:
            more = False
    pinned = {str(canonicalize_name(pin[1])) for pin in _PIN.finditer(text)}
    return {
        name for name, by in wanted.items() if all(_is_pinned(who, pinned) for who in by if who)
    }


def _is_pinned(who: str, pinned: set[str]) -> bool:
    """Return whether it is a package of the lock that wants another, and no constraint."""
    names = [canonicalize_name(part.partition("[")[0].strip()) for part in who.split(",")]
    return who.startswith("-c ") or all(name in pinned for name in names)


def read_pip_lock(gathering: Gathering, text: str, pins: tuple[Pin, ...]) -> None:
    """Gather a lock of pip's.

    pip itself keeps the lock, and only what nothing else in it needs is required. Another locker
    gets all of its pins.
    """
    kept = _keep(gathering, gathering.path, text)
    inner = list_inner(text)
    extras = {canonicalize_name(pin[1]): pin[2] or "" for pin in _PIN.finditer(text)}
    for pin in pins:
        if not (kept and pin.name in inner):
            wanted = pin.name + extras[canonicalize_name(pin.name)]
            gathering.require(
                wanted + pin.requirement.removeprefix(pin.name), pin=pin.name in inner
            )
    if not kept:
        gathering.leave(
            "hashes of files",
            why="the lock writes its own; the versions that they belong to were carried over",
        )


def keep_lock_beside(gathering: Gathering) -> None:
    """Keep the lock that was made of a requirements.in, if it is beside it."""
    path = gathering.path.with_suffix(".txt")
    if gathering.path.suffix == ".in" and path.is_file():
        text = read_text(path)
        if read_locked(text):
            _keep(gathering, path, text)


def _keep(gathering: Gathering, path: Path, text: str) -> bool:
    """Keep a lock for pip, and take the Python that it was made for."""
    if made_for := _MADE_FOR.search(text):
        gathering.python = made_for[1]
    kept = gathering.keep_lock(path, "pip")
    if kept:
        gathering.lock = _drop_extras(text).encode()
    return kept
