"""Refresh presets/data/cuda/labels.toml from the history of NVIDIA's image repository.

    git clone https://gitlab.com/nvidia/container-images/cuda
    python generator/bin/update_cuda_labels.py cuda            # shows the difference
    python generator/bin/update_cuda_labels.py cuda --write

NVIDIA rebuilds published tags with other driver branches in NVIDIA_REQUIRE_CUDA, so every edition
is kept with the day of its commit. Rows that only the file has (added by hand, with their own
source) stay.
"""

import argparse
import difflib
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from envgen.process import run
from envgen.resources import PRESETS

TABLE: Final = PRESETS / "data" / "cuda" / "labels.toml"
HEADER: Final = """\
# NVIDIA_REQUIRE_CUDA of nvidia/cuda images: every edition of every release, oldest first.
# `allow` names the driver branches that each brand may have although their CUDA is older;
# the brand "*" stands for a clause without a brand, "450+" for 450 and everything newer.
# Written by generator/bin/update_cuda_labels.py.
"""
SOURCE: Final = "gitlab.com/nvidia/container-images/cuda, history of the base Dockerfiles"
_REQUIRE: Final = re.compile(
    r'^\+ENV NVIDIA_REQUIRE_CUDA[ =]"?(?P<value>cuda>=\d+\.\d+(?: [^"]*)?)"?$', re.IGNORECASE
)
_CLAUSE: Final = re.compile(
    r"(?:brand=(?P<brand>\w+),)?driver>=(?P<branch>\d+)(?P<end>,driver<\d+)?"
)


Allowed = tuple[tuple[str, tuple[str, ...]], ...]


class Edition(NamedTuple):
    """One form of the label, and the first day it was seen."""

    cuda: str
    since: str
    allow: Allowed
    of_other_stage: bool = False


def parse_label(value: str) -> tuple[str, Allowed]:
    """Return the CUDA version and the branches per brand of one NVIDIA_REQUIRE_CUDA value."""
    first, *clauses = value.split()
    allowed: dict[str, set[str]] = {}
    for clause in clauses:
        if clause.count("driver>=") > 1:  # two branches at once, published for a while: never true
            continue
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            raise ValueError(f"cannot read the clause {clause!r}")
        branch = found["branch"] if found["end"] else found["branch"] + "+"
        allowed.setdefault(found["brand"] or "*", set()).add(branch)
    allow = tuple((brand, tuple(sorted(allowed[brand]))) for brand in sorted(allowed))
    return first.lower().removeprefix("cuda>="), allow


def parse_log(lines: Iterable[str]) -> Iterator[Edition]:
    """Return the labels that a `git log -p` adds, with the day of each commit.

    A label without clauses counts as an edition only where it replaces one that had some: the
    stages for other processors have had such a label from the start.
    """
    day, replaced = "", False
    for line in lines:
        if line.startswith("commit-day "):
            day = line.split()[1]
        elif line.startswith("@@"):
            replaced = False
        elif line.startswith("-ENV NVIDIA_REQUIRE_CUDA"):
            replaced = "driver" in line
        elif found := _REQUIRE.match(line):
            cuda, allow = parse_label(found["value"])
            yield Edition(cuda, day, allow, of_other_stage=not allow and not replaced)


def first_seen(editions: Iterable[Edition]) -> list[Edition]:
    """Return each form once, with its first day, ordered by version and day."""
    found = list(editions)
    own = {edition.cuda for edition in found if not edition.of_other_stage}
    earliest: dict[tuple[str, object], Edition] = {}
    for edition in found:
        if edition.of_other_stage and edition.cuda in own:
            continue
        key = (edition.cuda, edition.allow)
        known = earliest.get(key)
        if known is None or edition.since < known.since:
            earliest[key] = edition
    return sorted(
        earliest.values(), key=lambda e: (tuple(map(int, e.cuda.split("."))), e.since, e.allow)
    )


def quoted(words: Iterable[str]) -> str:
    """Return a TOML array of strings."""
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def format_row(edition: Edition, source: str = SOURCE, *, verified: bool = True) -> str:
    """Return one line of the table."""
    allow = ", ".join(f'"{brand}" = {quoted(branches)}' for brand, branches in edition.allow)
    return (
        f'  {{ cuda = "{edition.cuda}", since = "{edition.since}", allow = {{ {allow} }}, '
        f'source = "{source}", verified = {str(verified).lower()} }},'
    )


def format_table(editions: Iterable[Edition], kept: Iterable[str] = ()) -> str:
    """Return the whole file."""
    rows = [format_row(edition) for edition in editions]
    return "\n".join([HEADER + "\nlabel = [", *rows, *kept, "]", ""])


def other_rows(text: str) -> list[str]:
    """Return the rows of the current file that come from elsewhere."""
    rows = tomllib.loads(text).get("label", [])
    return [
        format_row(
            Edition(
                row["cuda"], row["since"], tuple((b, tuple(v)) for b, v in row["allow"].items())
            ),
            row["source"],
            verified=row["verified"],
        )
        for row in rows
        if row["source"] != SOURCE
    ]


def read_history(repository: Path) -> Iterator[str]:
    """Return the lines of the repository's history that touch the label."""
    log = run(
        [
            *("git", "-C", repository, "log", "-p", "--all", "--unified=0", "--date=short"),
            *("--format=commit-day %ad", "-G", "NVIDIA_REQUIRE_CUDA", "--", "*/base/Dockerfile"),
        ]
    )
    return iter(log.stdout.splitlines())


def main() -> int:
    """Show what changed, or write it; 1 when rows would be lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("repository", type=Path, help="a clone of the image repository")
    parser.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    old = TABLE.read_text("utf-8") if TABLE.is_file() else ""
    new = format_table(first_seen(parse_log(read_history(arguments.repository))), other_rows(old))
    if new.count("\n") < old.count("\n"):
        print("rows would be lost: the history is not complete", file=sys.stderr)
        return 1
    sys.stdout.writelines(
        difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), str(TABLE.name)
        )
    )
    if arguments.write:
        TABLE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
