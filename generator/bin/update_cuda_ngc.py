"""Refresh presets/data/cuda/ngc.toml from the release notes of NVIDIA's monthly images.

    python generator/bin/update_cuda_ngc.py            # shows the difference
    python generator/bin/update_cuda_ngc.py --write

Asked are the notes of the PyTorch image for each month after the newest row, up to the present one;
months without a release have no notes. Rows that could not be checked before are asked for again.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Final

from envgen.cuda.refresh import download, replace_rows, update
from envgen.cuda.tables import FOLDER, NgcRelease, tables
from envgen.errors import ToolError

FILE: Final = "ngc.toml"
NOTES: Final = (
    "https://docs.nvidia.com/deeplearning/frameworks/pytorch-release-notes/rel-{month}.html"
)
_BASED_ON: Final = re.compile(
    r"Release \d\d\.\d\d is based on (?:NVIDIA )?CUDA[^\d]{0,3}(\d+(?:\.\d+)?)"
)


def read_cuda(notes: str) -> str:
    """Return the CUDA release that a month's notes name; empty where they do not."""
    found = _BASED_ON.search(re.sub(r"<[^>]+>", "", notes))
    if found is None:
        return ""
    return found[1] if "." in found[1] else f"{found[1]}.0"


def months_after(release: str, today: date) -> Iterator[str]:
    """Yield `YY.MM` for each month after a release, up to the present one."""
    year, month = (int(part) for part in release.split("."))
    while (year, month) < (today.year % 100, today.month):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        yield f"{year}.{month:02}"


def merge(rows: Iterable[NgcRelease], found: Mapping[str, str]) -> tuple[NgcRelease, ...]:
    """Return the rows with what the notes say, oldest first."""
    known = {row.release: row for row in rows}
    for release, cuda in found.items():
        source = f"docs.nvidia.com/deeplearning/frameworks, release notes {release}"
        known[release] = NgcRelease(release=release, cuda=cuda, source=source, verified=True)
    return tuple(known[release] for release in sorted(known))


def read_notes(releases: Iterable[str]) -> dict[str, str]:
    """Ask for the notes of months; those without notes are left out."""
    found = {}
    for release in releases:
        try:
            cuda = read_cuda(download(NOTES.format(month=release.replace(".", "-"))))
        except ToolError:  # no release in this month
            continue
        if cuda:
            found[release] = cuda
    return found


def main() -> int:
    """Show what changed, or write it; 1 where no notes could be read at all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    rows = tables().ngc
    newest = rows[-1].release
    wanted = [row.release for row in rows if not row.verified or row.release == newest]
    found = read_notes([*wanted, *months_after(newest, datetime.now(UTC).date())])
    if not found:
        print("no release notes could be read: the pages have changed", file=sys.stderr)
        return 1
    text = replace_rows((FOLDER / FILE).read_text("utf-8"), "release", merge(rows, found))
    sys.stdout.write(update(FILE, text, write=arguments.write))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
