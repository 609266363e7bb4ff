"""Refresh presets/data/cuda/drivers.toml and compat.toml from toolkits.toml and labels.toml.

    python generator/bin/update_cuda_drivers.py            # shows the difference
    python generator/bin/update_cuda_drivers.py --write

No network: run it after update_cuda_toolkits.py and update_cuda_labels.py. A driver branch supports
the newest CUDA that was released with it, and cuda-compat-X-Y works on the branches that NVIDIA's
own images of X.Y let pass. Only what has no row yet is added; the rest was checked by a person.
"""

import argparse
import sys
from collections.abc import Iterable
from typing import Final

from envgen.cuda.refresh import replace_rows, update
from envgen.cuda.tables import FOLDER, Branch, CompatPackage, Label, Toolkit, tables
from envgen.cuda.version import Version, parse_version

TOOLKITS: Final = "the toolkit that came with the branch, toolkits.toml"
LABELS: Final = "driver branches in NVIDIA_REQUIRE_CUDA of nvidia/cuda"


def add_branches(rows: Iterable[Branch], toolkits: Iterable[Toolkit]) -> tuple[Branch, ...]:
    """Return the branches with those that a toolkit's driver belongs to, in order."""
    known = {row.branch: row for row in rows}
    newest: dict[int, Version] = {}
    for toolkit in toolkits:
        if toolkit.linux_driver:
            branch = parse_version(toolkit.linux_driver).major
            cuda = parse_version(toolkit.version).release
            newest[branch] = max(cuda, newest.get(branch, cuda))
    for branch, cuda in newest.items():
        made = Branch(branch=branch, cuda=str(cuda), source=TOOLKITS, verified=False)
        known.setdefault(branch, made)
    return tuple(known[branch] for branch in sorted(known))


def add_packages(
    rows: Iterable[CompatPackage], labels: Iterable[Label], branches: Iterable[Branch]
) -> tuple[CompatPackage, ...]:
    """Return the packages with those of images that have a label, in the order of their CUDA."""
    known = {row.cuda: row for row in rows}
    native = {row.cuda: row.branch for row in branches}
    for label in sorted(labels, key=lambda label: label.since, reverse=True):
        allowed = sorted({int(b) for each in label.allow.values() for b in each if b.isdigit()})
        if allowed and label.cuda in native and label.cuda not in known:
            known[label.cuda] = CompatPackage(
                cuda=label.cuda,
                driver=native[label.cuda],
                branches=tuple(allowed),
                source=LABELS,
                verified=True,
            )
    return tuple(known[cuda] for cuda in sorted(known, key=parse_version))


def main() -> int:
    """Show what changed, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help="write the files")
    arguments = parser.parse_args()
    branches = add_branches(tables().branches, tables().toolkits)
    packages = add_packages(tables().compat, tables().labels, branches)
    for file, key, rows in (
        ("drivers.toml", "branch", branches),
        ("compat.toml", "compat", packages),
    ):
        text = replace_rows((FOLDER / file).read_text("utf-8"), key, rows)
        sys.stdout.write(update(file, text, write=arguments.write))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
