# /// script
# requires-python = ">=3.11"
# dependencies = ["envgen", "pip"]
#
# [tool.uv.sources]
# envgen = { path = "../..", editable = true }
# ///
"""Fetch the newest wheels of the tools in presets/data/tools.toml and show what has changed.

    python generator/bin/update_tools.py [--write]

pip does the fetching, so its configuration (index, proxy, certificates) holds here too. What is
recorded is the hash of the file that came, after pip has checked it against the index.
"""

import argparse
import difflib
import hashlib
import re
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
from packaging.utils import parse_wheel_filename

from envgen.errors import EnvgenError, ToolError
from envgen.platforms import MACHINES
from envgen.process import run
from envgen.tables import (
    TOOLS_FILE,
    Distro,
    ToolArtifact,
    distros,
    parse_rows,
    replace_rows,
)


def manylinux_tags(machine: str, rows: Iterable[Distro]) -> list[str]:
    """Return the wheel platforms that run on every distribution of the table, newest first."""
    newest = min(int(row.glibc.partition(".")[2]) for row in rows)
    return [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)]


def pinned_requirement(name: str) -> str:
    """Return what pip is asked for: `name`, or `name==version` where a tool environment pins it.

    What solves an environment and what installs it have to be the same release.
    """
    for wanted in sorted((TOOLS_FILE.parent / "tools").glob("*.in")):
        found = re.search(rf"^{re.escape(name)}==\S+$", wanted.read_text("utf-8"), re.MULTILINE)
        if found:
            return found[0]
    return name


def download(name: str, platform: str, folder: Path) -> Path:
    """Return a tool's wheel for a platform: the newest, or the one that its environment pins.

    Raises:
        ToolError: pip found none.

    """
    tags = manylinux_tags(MACHINES[platform], distros())
    options = ["--quiet", "--no-deps", "--only-binary=:all:", f"--dest={folder}"]
    options += [f"--platform={tag}" for tag in tags]
    done = run([sys.executable, "-m", "pip", "download", *options, pinned_requirement(name)])
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise ToolError.single(f"pip found no wheel of {name} for {platform}", why=done.stderr)
    return wheels[0]


def describe(wheel: Path, platform: str, today: date) -> ToolArtifact:
    """Return the row for a wheel."""
    name, version, _, _ = parse_wheel_filename(wheel.name)
    return ToolArtifact(
        name=name,
        version=str(version),
        platform=platform,
        file=wheel.name,
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        size=wheel.stat().st_size,
        source=f"PyPI, {today.isoformat()}",
    )


def merge(old: Iterable[ToolArtifact], fetched: Iterable[ToolArtifact]) -> tuple[ToolArtifact, ...]:
    """Return the new rows; one whose file has not changed stays as it is.

    Raises:
        EnvgenError: A row would be lost, or a tool would have two versions.

    """
    before = {(row.name, row.platform): row for row in old}
    after = {(row.name, row.platform): row for row in fetched}
    if lost := before.keys() - after.keys():
        raise EnvgenError.single(f"rows would be lost: {sorted(lost)}")
    for name in {row.name for row in after.values()}:
        versions = {row.version for row in after.values() if row.name == name}
        if len(versions) > 1:
            raise EnvgenError.single(f"{name} has several versions: {sorted(versions)}")
    return tuple(_unchanged(before.get(key), row) or row for key, row in after.items())


def _unchanged(old: ToolArtifact | None, new: ToolArtifact) -> ToolArtifact | None:
    same = old is not None and msgspec.structs.replace(old, source=new.source) == new
    return old if same else None


def fetch(names: Iterable[str], today: date) -> list[ToolArtifact]:
    """Return the newest rows of some tools.

    Raises:
        ToolError: pip found none.

    """
    rows = []
    for name in names:
        for platform in MACHINES:
            with tempfile.TemporaryDirectory() as folder:
                wheel = download(name, platform, Path(folder))
                rows.append(describe(wheel, platform, today))
    return rows


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help="write the table")
    parser.add_argument("--table", type=Path, default=TOOLS_FILE)
    arguments = parser.parse_args()

    table: Path = arguments.table
    old = table.read_text(encoding="utf-8")
    rows = parse_rows(old, table.name, "tools", ToolArtifact)
    names = dict.fromkeys(row.name for row in rows)
    new = replace_rows(old, "tools", merge(rows, fetch(names, datetime.now(UTC).date())))
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(before, after, table.name, table.name))
    if arguments.write:
        table.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
