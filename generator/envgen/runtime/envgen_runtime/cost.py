"""What determinism costs here: every workload, with the frameworks' deterministic mode and without.

Processes of the two modes take turns, so that what else the machine does meets both, and the first
run of each in its process is thrown away: it loads and compiles.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from envgen_runtime.frameworks import found
from envgen_runtime.fulltest import WorkerError, run_worker
from envgen_runtime.table import TEXT, draw

STRICT, OFF = "strict", "off"
MODES = (OFF, STRICT)

ROUNDS = 3
RUNS = 5
"""Timed runs in a process; ROUNDS processes for each mode make 15 of them."""

LIMIT_S = 900.0

BAKED = (
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_CBWR",
    "MKL_DYNAMIC",
    "NCCL_ALGO",
    "NCCL_NVLS_ENABLE",
    "NCCL_PROTO",
    "NVIDIA_TF32_OVERRIDE",
    "TF_CUDNN_DETERMINISTIC",
    "TF_DETERMINISTIC_OPS",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
"""Variables that an image with `strict` has and one with `off` has not."""


def measure(*, rounds: int = ROUNDS, runs: int = RUNS, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """Return the seconds of every workload in both modes, and what could not be measured."""
    deadline = time.monotonic() + limit_s
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    errors: list[str] = []
    for name in found():
        for mode in MODES * rounds:
            try:
                with _environment(mode):
                    conditions = ["warm", *(f"run{number}" for number in range(1, runs + 1))]
                    worked = run_worker(
                        name, conditions=conditions, deadline=deadline, determinism=mode
                    )
            except WorkerError as error:
                errors.append(f"{name}, {mode}: {error}")
                break
            _collect(rows, name, mode, worked["workloads"])
    return {"rows": [_summarise(row) for row in rows.values()], "errors": errors}


@contextmanager
def _environment(mode: str) -> Iterator[None]:
    """Give worker processes the variables that an image of this mode has."""
    kept = dict(os.environ)
    try:
        if mode == OFF:
            for name in BAKED:
                os.environ.pop(name, None)
            flags = os.environ.get("XLA_FLAGS", "").split()
            if flags:
                os.environ["XLA_FLAGS"] = " ".join(f for f in flags if "determinis" not in f)
        else:
            # torch before 2.10 refuses cuBLAS in its deterministic mode without it.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _collect(
    rows: dict[tuple[str, str, str], dict[str, Any]],
    framework: str,
    mode: str,
    works: Sequence[dict[str, Any]],
) -> None:
    for work in works:
        place = (framework, work["name"], work["device"])
        row = rows.setdefault(
            place,
            {
                "framework": framework,
                "name": work["name"],
                "device": work["device"],
                "seconds": {one: [] for one in MODES},
                "refused": {},
            },
        )
        for run in work["runs"][1:]:
            if "seconds" in run:
                row["seconds"][mode].append(run["seconds"])
            else:
                row["refused"][mode] = run.get("detail") or run["status"]


def _summarise(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with runs per second, as quartiles, and what strict costs."""
    speeds = {mode: _quartiles(row["seconds"][mode]) for mode in MODES}
    row = {**row, "per_second": speeds, "slower": None, "clear": False}
    if speeds[OFF] and speeds[STRICT]:
        row["slower"] = round(speeds[OFF][1] / speeds[STRICT][1], 3)
        apart = speeds[STRICT][2] < speeds[OFF][0] or speeds[OFF][2] < speeds[STRICT][0]
        row["clear"] = apart
    return row


def _quartiles(seconds: Sequence[float]) -> list[float]:
    """Return the lower quartile, the median and the upper quartile of runs per second."""
    speeds = [1 / max(value, 1e-6) for value in seconds]
    if len(speeds) < 2:
        return speeds * 3
    return statistics.quantiles(speeds, n=4, method="inclusive")


def describe(cost: dict[str, Any], form: str = TEXT) -> str:
    """Return the table for people, with what it says in the first line."""
    head = ["work", "device", "off: runs/s", "strict: runs/s", "strict takes"]
    rows = [
        [
            f"{row['framework']}: {row['name']}",
            row["device"],
            *(_show(row, mode) for mode in MODES),
            _judge(row),
        ]
        for row in cost["rows"]
    ]
    parts = [conclude(cost), draw(head, rows, form)] if rows else ["nothing could be measured"]
    parts += ["\n".join(cost["errors"])] if cost["errors"] else []
    return "\n\n".join(parts)


def conclude(cost: dict[str, Any]) -> str:
    """Return what the table says: about training first, as that is what users do most."""
    places: dict[str, list[dict[str, Any]]] = {}
    for row in cost["rows"]:
        if row["slower"]:
            kind = "training" if "train" in row["name"] else "operations"
            place = f"{row['framework']}, {kind} on {row['device'].partition(':')[0]}"
            places.setdefault(place, []).append(row)
    ordered = sorted(places.items(), key=lambda item: "training" not in item[0])
    lines = [f"{place}: {_conclude_place(rows)}" for place, rows in ordered]
    refused = sum(STRICT in row["refused"] and OFF not in row["refused"] for row in cost["rows"])
    lines += [f"{refused} do not run with strict, and do with off"] if refused else []
    return "\n".join(lines) or "nothing ran in both modes"


def _conclude_place(rows: Sequence[dict[str, Any]]) -> str:
    """Say what strict costs, by the rows where that is more than the noise."""
    clear = [row["slower"] for row in rows if row["clear"]]
    if not clear:
        return f"no difference beyond the noise in any of {len(rows)}"
    return (
        f"strict takes {min(clear):.2f} to {max(clear):.2f} times as long as off in {len(clear)} "
        f"of {len(rows)} (geometric mean {statistics.geometric_mean(clear):.2f}); "
        "the others are within the noise"
    )


def _show(row: dict[str, Any], mode: str) -> str:
    speeds = row["per_second"][mode]
    if not speeds:
        return "refused" if mode in row["refused"] else "-"
    low, middle, high = speeds
    return f"{middle:.4g} ({low:.4g} ... {high:.4g})"


def _judge(row: dict[str, Any]) -> str:
    if row["slower"] is None:
        return "-"
    return f"{row['slower']:.2f} x" + ("" if row["clear"] else ", within the noise")
