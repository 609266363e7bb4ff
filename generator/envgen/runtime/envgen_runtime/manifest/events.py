"""What the program itself tells of its run: seeds, parameters, data. A line of JSON for each.

The lines go into a file beside run.json, because every process that a program starts inherits an
environment variable, and few inherit a pipe.
"""

from __future__ import annotations

import json
import os
import sys

from envgen_runtime.manifest.document import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLE = "ENVGEN_RUN_EVENTS"
KINDS = ("seed", "parameters", "data")

_LARGEST = 64 * 1024  # bytes of a line: what Linux appends in one piece, with a wide margin


def tell(kind: str, depth: int = 1, **facts: object) -> bool:
    """Record a fact of this run. Return whether a run is being recorded.

    A full disk must not end the program that does the work, so it is kept quiet about here; the
    recorder says it.

    Args:
        kind: One of KINDS.
        depth: How many callers to go up for the place that is named.
        facts: What JSON can hold; what it cannot is written as text.

    """
    path = os.environ.get(VARIABLE, "")
    if not path:
        return False
    caller = sys._getframe(depth)  # noqa: SLF001 - `inspect` costs ten times as much to import
    line = json.dumps(
        {
            "kind": kind,
            "at": now(),
            "where": f"{caller.f_code.co_filename}:{caller.f_lineno}",
            "process": os.getpid(),
            "rank": os.environ.get("RANK", ""),
            **facts,
        },
        default=str,
    )
    if len(line) > _LARGEST:
        return False
    try:
        handle = os.open(path, os.O_APPEND | os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(handle, line.encode() + b"\n")
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def read(path: str) -> list[dict[str, Any]]:
    """Return the facts that a program told so far; a line that was cut off is left out."""
    facts = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except OSError:
        return []
    for line in lines:
        try:
            fact = json.loads(line)
        except ValueError:
            continue
        if isinstance(fact, dict) and fact.get("kind") in KINDS:
            facts.append(fact)
    return facts


def merge(document: dict[str, Any], facts: list[dict[str, Any]]) -> None:
    """Put what a program told into the document of its run."""
    told: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for fact in facts:
        kept = {name: value for name, value in fact.items() if name != "kind" and value != ""}
        told[fact["kind"]].append(kept)
    if told["seed"]:
        document["seeds"] = told["seed"]
    if told["parameters"]:
        document["parameters"]["told"] = told["parameters"]
    if told["data"]:
        document["data_told"] = told["data"]
