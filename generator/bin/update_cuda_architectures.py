"""Refresh presets/data/cuda/architectures.toml from Spack's table of CUDA architectures.

    python generator/bin/update_cuda_architectures.py            # shows the difference
    python generator/bin/update_cuda_architectures.py --recipe FILE --write

Spack's build_systems/cuda.py says which toolkits make code for an architecture:
`depends_on("cuda@8.0:12.9", when="cuda_arch=61")`. What has no row yet is added, without a driver
branch and unverified: these come from driver release notes. A last toolkit that has become known
is filled in; a first one that differs stops the refresh.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from envgen.cuda.refresh import download, replace_rows, update
from envgen.cuda.tables import FOLDER, Architecture, tables
from envgen.cuda.version import parse_capability, parse_version

FILE: Final = "architectures.toml"
RECIPE: Final = (
    "https://raw.githubusercontent.com/spack/spack-packages/develop/"
    "repos/spack_repo/builtin/build_systems/cuda.py"
)
SOURCE: Final = "spack build_systems/cuda.py; driver branch not read"
_RULE: Final = re.compile(
    r'depends_on\("cuda@(?P<first>[\d.]*):(?P<last>[\d.]*)", when="cuda_arch=(?P<code>\d+)"\)'
)


def parse_recipe(text: str) -> dict[str, tuple[str, str]]:
    """Return the first and last toolkit of each compute capability; empty for none known."""
    return {
        f"{rule['code'][:-1]}.{rule['code'][-1]}": (rule["first"], rule["last"])
        for rule in _RULE.finditer(text)
    }


def merge(
    rows: Iterable[Architecture], found: Mapping[str, tuple[str, str]]
) -> tuple[tuple[Architecture, ...], list[str]]:
    """Return the rows with what is new, and what contradicts them."""
    known = {row.capability: row for row in rows}
    contradictions = []
    for capability, (first, last) in found.items():
        row = known.get(capability)
        if row is None:
            known[capability] = _new_row(capability, first, last)
        elif first and parse_version(first) != parse_version(row.cuda_first):
            contradictions.append(f"{capability}: first toolkit {first}, not {row.cuda_first}")
        elif last and not row.cuda_last:
            known[capability] = msgspec.structs.replace(row, cuda_last=last)
    return tuple(known[key] for key in sorted(known, key=parse_capability)), contradictions


def _new_row(capability: str, first: str, last: str) -> Architecture:
    return Architecture(
        capability=capability,
        family="new",
        cuda_first=first or "1.0",
        cuda_last=last,
        driver_first=0,
        driver_last=0,
        integrated=False,
        source=SOURCE,
        verified=False,
    )


def main() -> int:
    """Show what changed, or write it; 1 where the recipe says nothing or contradicts the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--recipe", type=Path, help="Spack's cuda.py as it was saved")
    parser.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    recipe = arguments.recipe.read_text("utf-8") if arguments.recipe else download(RECIPE)
    found = parse_recipe(recipe)
    rows, contradictions = merge(tables().architectures, found)
    if contradictions or not found:
        print("\n".join(contradictions) or "the recipe has no rules", file=sys.stderr)
        return 1
    text = replace_rows((FOLDER / FILE).read_text("utf-8"), "architecture", rows)
    sys.stdout.write(update(FILE, text, write=arguments.write))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
