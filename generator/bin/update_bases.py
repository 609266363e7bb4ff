# /// script
# requires-python = ">=3.11"
# dependencies = ["envgen"]
#
# [tool.uv.sources]
# envgen = { path = "../..", editable = true }
# ///
"""Ask the registries for the digests in presets/data/bases.toml and show what has changed.

    python generator/bin/update_bases.py [--write] [--mirror docker.io=mirror.example]

All or nothing: where one image has no answer, or one that covers a single platform, the table
stays as it is and the exit code is 1. To add an image, write its row with any digest and
`verified = false` first; to drop one, delete its row.
"""

import argparse
import difflib
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from envgen.errors import NetworkError
from envgen.registry.client import FetchedImage, fetch_digest
from envgen.registry.reference import parse_reference
from envgen.tables import BASES_FILE, BaseImage, parse_rows, replace_rows


def fetch(
    rows: Iterable[BaseImage], mirrors: Mapping[str, str], ca_certificates: Path | None
) -> tuple[dict[str, FetchedImage], list[str]]:
    """Return what the registries say of each image, and why where they say nothing."""
    fetched: dict[str, FetchedImage] = {}
    failures: list[str] = []
    for row in rows:
        try:
            fetched[row.image] = fetch_digest(
                parse_reference(row.image), mirrors=mirrors, ca_certificates=ca_certificates
            )
        except NetworkError as error:
            failures.append(str(error))
    return fetched, failures


def refuse(fetched: Mapping[str, FetchedImage]) -> list[str]:
    """Return the answers that may not become rows: a digest of one platform fits no other."""
    return [
        f"{image} covers {', '.join(answer.platforms)} only"
        for image, answer in fetched.items()
        if not answer.is_index
    ]


def refresh(
    rows: Iterable[BaseImage], fetched: Mapping[str, FetchedImage], today: date
) -> tuple[BaseImage, ...]:
    """Return the rows with the digests of today. A row that was verified before stays as it is."""
    return tuple(_refresh_row(row, fetched[row.image].digest, today) for row in rows)


def _refresh_row(row: BaseImage, digest: str, today: date) -> BaseImage:
    if row.verified and row.digest == digest:
        return row
    return msgspec.structs.replace(
        row,
        digest=digest,
        kind="index",
        date=today.isoformat(),
        seen=row.seen if row.digest == digest else 0,
        verified=True,
        source=f"registry, {today.isoformat()}",
    )


def _mirror(text: str) -> tuple[str, str]:
    registry, separator, host = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("it has the form REGISTRY=HOST")
    return registry, host


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help="write the table")
    parser.add_argument("--mirror", type=_mirror, action="append", default=[])
    parser.add_argument("--ca-certificates", type=Path)
    parser.add_argument("--table", type=Path, default=BASES_FILE)
    arguments = parser.parse_args()

    table: Path = arguments.table
    old = table.read_text(encoding="utf-8")
    rows = parse_rows(old, table.name, "bases", BaseImage)
    fetched, failures = fetch(rows, dict(arguments.mirror), arguments.ca_certificates)
    failures += refuse(fetched)
    if failures:
        print("\n".join(failures), file=sys.stderr)
        return 1
    new = replace_rows(old, "bases", refresh(rows, fetched, datetime.now(UTC).date()))
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(before, after, table.name, table.name))
    if arguments.write:
        table.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
