"""`envgen compare A B`: what could explain that two runs gave different results."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from envgen.console import Console

EXAMPLES: Final = """\
  python -m envgen compare monday/run.json tuesday/run.json"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", type=Path, metavar="RUN_A")
    parser.add_argument("second", type=Path, metavar="RUN_B")
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from envgen.runs.compare import compare_runs  # noqa: PLC0415 - only this command needs them
    from envgen.runs.record import read_run  # noqa: PLC0415

    folder = arguments.directory
    found = compare_runs(read_run(folder / arguments.first), read_run(folder / arguments.second))
    known = [f"{n}. {each.about}: {each.what}" for n, each in enumerate(found, 1) if each.certain]
    open_ones = [f"?  {each.about}: {each.what}" for each in found if not each.certain]
    lines = known or ["nothing that both records hold differs"]
    if open_ones:
        lines += ["", "cannot be ruled out:", *open_ones]
    console.result("\n".join(lines), msgspec.to_builtins(found))
    return 0
