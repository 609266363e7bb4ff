"""What the scripts in generator/bin share that refresh the tables of presets/data/cuda.

Each script has a part that asks and a part that reads the answer; this is the third: rows back
into a file, the difference to what was there, and the refusal of a file that has lost rows.
"""

import difflib
import json
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from envgen.cuda.tables import FOLDER, Row
from envgen.errors import EnvgenError, ToolError
from envgen.process import run

_LAST = ("source", "verified")


def ask(command: Sequence[str]) -> str:
    """Return what a program prints.

    Raises:
        ToolError: It cannot be started, or it fails.

    """
    done = run(command)
    if done.returncode:
        raise ToolError.single(f"{command[0]} failed", why=done.stderr.strip())
    return done.stdout


def download(url: str) -> str:
    """Return the text at an address.

    Raises:
        ToolError: curl is not there, or the address does not answer.

    """
    return ask(["curl", "--fail", "--silent", "--show-error", "--location", url])


def format_row(row: Row) -> str:
    """Return one line of a table, with source and verification last."""
    fields = msgspec.structs.asdict(row)
    names = [*(name for name in fields if name not in _LAST), *_LAST]
    cells = ", ".join(f"{name} = {_format(fields[name])}" for name in names)
    return f"  {{ {cells} }},"


def _format(value: object) -> str:
    if isinstance(value, dict):
        cells = ", ".join(f"{json.dumps(key)} = {_format(each)}" for key, each in value.items())
        return f"{{ {cells} }}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_format, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def replace_rows(text: str, key: str, rows: Iterable[Row]) -> str:
    """Return a table's text with other rows in one of its arrays; comments stay."""
    start = text.index(f"{key} = [\n") + len(f"{key} = [\n")
    end = start if text.startswith("]", start) else text.index("\n]\n", start) + 1
    return text[:start] + "".join(format_row(row) + "\n" for row in rows) + text[end:]


def lost_rows(old: str, new: str) -> list[str]:
    """Return the arrays that would have fewer rows than before."""
    before, after = tomllib.loads(old), tomllib.loads(new)
    return [key for key, rows in before.items() if len(after.get(key, ())) < len(rows)]


def update(file: str, new: str, *, write: bool, folder: Path = FOLDER) -> str:
    """Return the difference to a table as it is, and write it where that is wanted.

    Raises:
        EnvgenError: The new text has fewer rows: what was asked has changed its form.

    """
    path = folder / file
    old = path.read_text("utf-8")
    lost = lost_rows(old, new)
    if lost:
        raise EnvgenError.single(f"{', '.join(lost)} would lose rows", file=str(path))
    lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if write:
        path.write_text(new, "utf-8")
    return "".join(difflib.unified_diff(*lines, file, file))
