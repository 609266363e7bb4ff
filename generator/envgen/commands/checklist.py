"""`envgen checklist run.json`: what it takes to repeat a run, and what its record lacks."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from envgen.console import Console

EXAMPLES: Final = """\
  python -m envgen checklist run.json
  python -m envgen checklist run.json --strict    # fails unless all seven are there"""

_MARKS: Final = {"yes": "✓", "partly": "~", "no": "✗"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN_JSON")
    parser.add_argument("--strict", action="store_true", help="exit with 1 unless all are a yes")
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from envgen.runs.checklist import check_run  # noqa: PLC0415 - only this command needs them
    from envgen.runs.record import read_run  # noqa: PLC0415

    points = check_run(read_run(arguments.directory / arguments.run))
    lines = []
    for point in points:
        lines.append(f"{_MARKS[point.answer]} {point.name}: {point.found}")
        if point.fix:
            lines.append(f"    fix: {point.fix}")
    complete = sum(point.answer == "yes" for point in points)
    lines.append(f"{complete} of {len(points)}")
    console.result("\n".join(lines), msgspec.to_builtins(points))
    return int(arguments.strict and complete < len(points))
