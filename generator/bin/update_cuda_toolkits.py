"""Refresh the toolkit releases in presets/data/cuda/toolkits.toml.

    python generator/bin/update_cuda_toolkits.py                        # shows the difference
    python generator/bin/update_cuda_toolkits.py --release-notes FILE --write

New releases come from the versions of the `cuda-toolkit` metapackage on PyPI, their drivers from
NVIDIA's release notes: FILE is the text of "Table 3. CUDA Toolkit and Corresponding Driver
Versions". A release without a known driver gets a row that says so (`verified = false`).
"""

import argparse
import difflib
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from envgen.process import run
from envgen.resources import PRESETS

TABLE: Final = PRESETS / "data" / "cuda" / "toolkits.toml"
NOTES_SOURCE: Final = "NVIDIA CUDA Toolkit release notes, Table 3"
_NOTES_ROW: Final = re.compile(
    r"CUDA (?P<minor>\d+\.\d+)(?:\.(?P<patch>\d+))?(?: Update (?P<update>\d+)| GA)?\W+"
    r">=\s*(?P<linux>\d[\d.]+)\W+(?:>=\s*(?P<windows>\d[\d.]+)|N/A)"
)
_ROW: Final = re.compile(r'^  \{ version = "(?P<version>[^"]+)",.*\},$', re.MULTILINE)


def parse_versions(text: str) -> tuple[str, ...]:
    """Return the releases in the output of `pip index versions cuda-toolkit`, three parts each."""
    line = re.search(r"Available versions: (.*)", text)
    versions = re.findall(r"\d+(?:\.\d+)+", line[1]) if line else []
    return tuple(dict.fromkeys(".".join(version.split(".")[:3]) for version in versions))


def parse_notes(text: str) -> dict[str, tuple[str, str]]:
    """Return the Linux and Windows driver of each release in NVIDIA's table."""
    return {
        f"{row['minor']}.{row['patch'] or row['update'] or 0}": (row["linux"], row["windows"] or "")
        for row in _NOTES_ROW.finditer(text)
    }


def format_row(version: str, linux: str, windows: str) -> str:
    """Return one line of the table."""
    known = bool(linux)
    source = NOTES_SOURCE if known else "PyPI cuda-toolkit; driver not known"
    return (
        f'  {{ version = "{version}", linux_driver = "{linux}", windows_driver = "{windows}", '
        f'source = "{source}", verified = {str(known).lower()} }},'
    )


def merge(text: str, versions: tuple[str, ...], notes: Mapping[str, tuple[str, str]]) -> str:
    """Return the file with the rows that are new, and with the drivers that are now known."""
    rows = {found["version"]: found.group() for found in _ROW.finditer(text)}
    known: dict[str, Any] = {row["version"]: row for row in tomllib.loads(text)["toolkit"]}
    first = min(map(_key, rows))
    for version in (*versions, *notes):
        drivers = notes.get(version, ("", ""))
        has_driver = version in known and known[version]["linux_driver"]
        if _key(version) >= first and not has_driver and (version not in rows or drivers[0]):
            rows[version] = format_row(version, *drivers)
    head, tail = text[: text.index("toolkit = [")], text[text.index("\n]\n") :]
    return head + "toolkit = [\n" + "\n".join(rows[key] for key in sorted(rows, key=_key)) + tail


def _key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def read_versions() -> tuple[str, ...]:
    """Ask the package index."""
    return parse_versions(
        run([sys.executable, "-m", "pip", "index", "versions", "cuda-toolkit"]).stdout
    )


def main() -> int:
    """Show what changed, or write it; 1 when the index or the notes came back empty."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--release-notes", type=Path, help="text of NVIDIA's driver table")
    parser.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    versions = read_versions()
    notes = (
        parse_notes(arguments.release_notes.read_text("utf-8")) if arguments.release_notes else {}
    )
    if not versions or (arguments.release_notes and not notes):
        print("nothing was read: the index or the notes have changed", file=sys.stderr)
        return 1
    old = TABLE.read_text("utf-8")
    new = merge(old, versions, notes)
    lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(*lines, TABLE.name))
    if arguments.write:
        TABLE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
