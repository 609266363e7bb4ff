"""A run.json, read."""

import json
from pathlib import Path
from typing import Any, Final

from envgen.errors import SpecError, StorageError

FORMAT: Final = 1


def read_run(path: Path) -> dict[str, Any]:
    """Return the record of a run, with what its program told since it was last brought up to date.

    A run that was killed leaves those facts beside it, in `run.json.events`.

    Raises:
        StorageError: It cannot be read.
        SpecError: It is no record of a run that this envgen can read.

    """
    document = _parse(path, _read(path))
    told = path.with_name(f"{path.name}.events")
    if told.is_file():
        _merge(document, _read(told))
    return document


_FIELDS: Final = {"seed": "seeds", "data": "data_told"}
"""Where a fact of this kind stands in the document; `parameters` have a place inside theirs."""


def _merge(document: dict[str, Any], lines: bytes) -> None:
    """Put in what the program told, as `envgen_runtime.manifest.events` does while it runs."""
    told: dict[str, list[dict[str, Any]]] = {}
    for line in lines.splitlines():
        try:
            fact = json.loads(line)
        except ValueError:
            continue  # cut off by what ended the run
        kind = fact.pop("kind", "")
        kept = {name: value for name, value in fact.items() if value != ""}
        told.setdefault(kind, []).append(kept)
    for kind, field in _FIELDS.items():
        if kind in told:
            document[field] = told[kind]
    if "parameters" in told:
        document.setdefault("parameters", {})["told"] = told["parameters"]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError.single(
            "cannot be read", file=str(path), why=error.strerror or str(error)
        ) from error


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    fix = "name a file that `envgen-run` wrote"
    try:
        document = json.loads(content)
    except ValueError as error:
        raise SpecError.single("is not JSON", file=str(path), why=str(error), fix=fix) from error
    if not isinstance(document, dict) or "run" not in document:
        raise SpecError.single("is no record of a run", file=str(path), fix=fix)
    if document.get("format") != FORMAT:
        raise SpecError.single(
            f"has format {document.get('format')!r}; this envgen reads format {FORMAT}",
            file=str(path),
            fix="upgrade envgen",
        )
    return document


def find_missing(value: object) -> str:
    """Return why a fact is missing; empty where it is there."""
    if isinstance(value, dict) and set(value) == {"missing"}:
        return str(value["missing"])
    return ""
