from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from bin import update_tool_locks
from envgen.errors import EnvgenError

if TYPE_CHECKING:
    from pathlib import Path

HASH = f"--hash=sha256:{'0' * 64}"
WANTED = update_tool_locks.read_wanted("# what runs it\npoetry>=2.5,<3  # the tool\n")


def test_pins_are_read() -> None:
    text = f"idna==3.20 ; os_name == 'nt' \\\n  {HASH}\npoetry==2.5.1 \\\n  {HASH} \\\n  {HASH}\n"

    assert update_tool_locks.read_pins(text) == {
        "idna": Version("3.20"),
        "poetry": Version("2.5.1"),
    }


@pytest.mark.parametrize("line", ["poetry==2.5.1", "poetry>=2", f"--index-url x {HASH}"])
def test_line_that_is_not_a_pin_with_a_hash_fails(line: str) -> None:
    with pytest.raises(EnvgenError, match="is not a pin with hashes"):
        update_tool_locks.read_pins(line)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({}, "not met by nothing"),
        ({"poetry": Version("3.0")}, r"not met by 3\.0"),
        ({"poetry": Version("2.5.0")}, "would go back"),
    ],
)
def test_lock_that_loses_its_tool_fails(new: dict[str, Version], said: str) -> None:
    with pytest.raises(EnvgenError, match=said):
        update_tool_locks.check(WANTED, {"poetry": Version("2.5.1")}, new)


def test_newer_lock_passes() -> None:
    update_tool_locks.check(WANTED, {"poetry": Version("2.5.1")}, {"poetry": Version("2.6")})


@pytest.mark.parametrize("wanted", sorted(update_tool_locks.FOLDER.glob("*.in")))
def test_bundled_locks_meet_what_is_wanted(wanted: Path) -> None:
    pins = update_tool_locks.read_pins(wanted.with_suffix(".txt").read_text(encoding="utf-8"))

    update_tool_locks.check(
        update_tool_locks.read_wanted(wanted.read_text(encoding="utf-8")), pins, pins
    )
