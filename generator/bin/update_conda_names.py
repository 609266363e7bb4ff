# /// script
# requires-python = ">=3.11"
# dependencies = ["envgen"]
#
# [tool.uv.sources]
# envgen = { path = "../..", editable = true }
# ///
"""Refresh presets/data/conda_names.toml from prefix-dev/parselmouth and show what has changed.

    git clone --depth 1 https://github.com/prefix-dev/parselmouth
    python generator/bin/update_conda_names.py parselmouth [--write] [--add conda-forge::NAME]

parselmouth looks into the packages of a channel and lists the names on PyPI that it finds there.
All or nothing: where a channel has a package no more, or where several names are found and the row
has none of them, the table stays as it is and the exit code is 1. To drop a package, delete its
row.
"""

import argparse
import difflib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from envgen.errors import EnvgenError, Problem
from envgen.lockers.conda_names import NAMES_FILE, Name, parse_names
from envgen.process import run
from envgen.rendered import quote_toml

Found = Mapping[str, tuple[str, ...]]
"""The names on PyPI by a package's name on its channel; none for what is no Python package."""


def parse_mapping(text: str) -> Found:
    """Return what a compressed_mapping.json holds."""
    return {conda: tuple(names or ()) for conda, names in json.loads(text).items()}


def read_channel(checkout: Path, channel: str) -> Found:
    """Return the names of a channel.

    Raises:
        EnvgenError: parselmouth does not know the channel.

    """
    file = checkout / "files" / "v0" / channel / "compressed_mapping.json"
    if not file.is_file():
        raise EnvgenError.single(f"there is no {file}", why=f"{channel} is no channel of it")
    return parse_mapping(file.read_text(encoding="utf-8"))


def read_commit(checkout: Path) -> str:
    """Return the commit of a checkout, as rows name it."""
    done = run(["git", "-C", checkout, "rev-parse", "--short=8", "HEAD"])
    if done.returncode:
        raise EnvgenError.single(f"{checkout} is no checkout", why=done.stderr.strip())
    return done.stdout.strip()


def channel_of(row: Name) -> str:
    """Return the channel that a row's source names last."""
    return row.source.rpartition(", ")[2]


def refresh(rows: Iterable[Name], channels: Mapping[str, Found], commit: str) -> tuple[Name, ...]:
    """Return the rows, sorted; one whose name is still among those found stays as it is.

    Raises:
        EnvgenError: With every row that would be lost, or that a person has to decide.

    """
    problems: list[Problem] = []
    fresh = []
    for row in sorted(rows, key=lambda row: row.conda):
        channel = channel_of(row)
        found = channels[channel].get(row.conda)
        if found is None:
            problems.append(Problem(what=f"{channel} has no {row.conda}", fix="delete its row"))
        elif len(found) > 1 and row.pypi not in found:
            names = ", ".join(found)
            problems.append(Problem(what=f"{row.conda} is any of {names}", fix="choose one"))
        elif row.pypi in found or row.pypi == "" == "".join(found):
            fresh.append(row)
        else:
            source = f"prefix-dev/parselmouth {commit}, {channel}"
            fresh.append(msgspec.structs.replace(row, pypi="".join(found), source=source))
    if problems:
        raise EnvgenError(*problems)
    return tuple(fresh)


def render(text: str, rows: Iterable[Name]) -> str:
    """Return the table's text with these rows, its comments as they are."""
    lines = (
        f"  {{ conda = {quote_toml(row.conda)}, pypi = {quote_toml(row.pypi)}, "
        f"source = {quote_toml(row.source)} }},\n"
        for row in rows
    )
    array = f"names = [\n{''.join(lines)}]"
    return re.sub(r"^names = \[\n.*?^\]$", lambda _: array, text, flags=re.MULTILINE | re.DOTALL)


def _new(spec: str) -> Name:
    channel, separator, name = spec.partition("::")
    if not separator:
        raise argparse.ArgumentTypeError("it has the form CHANNEL::NAME")
    return Name(conda=name, pypi="", source=f"new, {channel}")


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--write", action="store_true", help="write the table")
    parser.add_argument("--add", type=_new, action="append", default=[], metavar="CHANNEL::NAME")
    parser.add_argument("--table", type=Path, default=NAMES_FILE)
    arguments = parser.parse_args()

    table: Path = arguments.table
    old = table.read_text(encoding="utf-8")
    rows = [*parse_names(old), *arguments.add]
    try:
        channels = {name: read_channel(arguments.checkout, name) for name in map(channel_of, rows)}
        new = render(old, refresh(rows, channels, read_commit(arguments.checkout)))
    except EnvgenError as error:
        print(error, file=sys.stderr)
        return 1
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(before, after, table.name, table.name))
    if arguments.write:
        table.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
