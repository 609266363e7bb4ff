"""The decisions: what the runs of a workload say, and what that means for the container."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envgen_runtime.workload import (
    BUSY,
    FAILED,
    NOT_REPRODUCIBLE,
    NOT_SUPPORTED,
    REPRODUCIBLE,
    one_line,
)

CAUGHT = "caught"
MISSED = "missed"
"""What became of the planted bit flip."""

_LARGEST_TEXT = 3500  # bytes; Docker keeps 4096 of a probe's output


def compare(runs: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Return the status of a workload and why, from all its runs; the last is the fresh process.

    Verdict and positive control both come from here.
    """
    digests = [run["sha256"] for run in runs if "sha256" in run]
    if len(set(digests)) > 1:
        here = {run.get("sha256") for run in runs[:-1]}
        return NOT_REPRODUCIBLE, (
            "a fresh process gives another result"
            if len(here) == 1
            else "two runs in one process give different results"
        )
    for status in (FAILED, BUSY, NOT_SUPPORTED):
        for run in runs:
            if run.get("status") == status:
                return status, run["detail"]
    return REPRODUCIBLE, ""


def control_trips(runs: Sequence[dict[str, Any]]) -> bool:
    """Tell whether the comparison notices when one bit of the first run is the other way round."""
    planted = {**runs[0], "sha256": runs[0]["flipped"]}
    return compare([planted, *runs[1:]])[0] == NOT_REPRODUCIBLE


def judge(here: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """Return the record of one workload in the report."""
    runs = [*here["runs"], *fresh["runs"]]
    status, detail = compare(runs)
    record = {"name": here["name"], "device": here["device"], "status": status}
    if detail:
        record["detail"] = detail
    if status == REPRODUCIBLE:
        record["sha256"] = runs[0]["sha256"]
        record["seconds"] = max(run["seconds"] for run in runs)
        record["control"] = CAUGHT if control_trips(runs) else MISSED
    return record


def summarise(frameworks: Sequence[dict[str, Any]], seconds: float) -> str:
    """Return the answer of the health check: the verdict in the first line, then what is wrong.

    It begins with "healthy:" or "unhealthy:", and that word is the verdict.
    """
    problems = [line for framework in frameworks for line in _problems(framework)]
    remarks = [
        line
        for status in (BUSY, NOT_SUPPORTED)
        for framework in frameworks
        for line in _with_status(framework, status)
    ]
    if not problems:
        return _bounded([_success(frameworks, seconds), *remarks])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return _bounded([f"unhealthy: {problems[0]}{more}", *problems[1:], *remarks])


def is_healthy(text: str) -> bool:
    return text.startswith("healthy:")


def _success(frameworks: Sequence[dict[str, Any]], seconds: float) -> str:
    statuses = [work["status"] for framework in frameworks for work in framework["workloads"]]
    counts = f"{statuses.count(REPRODUCIBLE)} workloads {REPRODUCIBLE}"
    for status in (BUSY, NOT_SUPPORTED):
        if status in statuses:
            counts += f", {statuses.count(status)} {status}"
    titles = ", ".join(_title(framework) for framework in frameworks)
    return f"healthy: {counts} ({titles}); the control was caught; {seconds:.1f} s"


def _problems(framework: dict[str, Any]) -> list[str]:
    """Return what makes the container unhealthy, worst first; `busy` alone does not."""
    title = _title(framework)
    if framework["error"]:
        return [f"{title}: {framework['error']}"]
    works = framework["workloads"]
    lines = [
        f"{title}: the self-test cannot be trusted: a flipped bit in {work['name']} went unnoticed"
        for work in works
        if work.get("control") == MISSED
    ]
    lines += _with_status(framework, NOT_REPRODUCIBLE) + _with_status(framework, FAILED)
    if not lines and not any(work["status"] == REPRODUCIBLE for work in works):
        lines.append(f"{title}: no workload could be compared")
    return lines


def _with_status(framework: dict[str, Any], status: str) -> list[str]:
    return [
        f"{_title(framework)}: {work['name']} on {work['device']}: {status}"
        + (f" ({work['detail']})" if "detail" in work else "")
        for work in framework["workloads"]
        if work["status"] == status
    ]


def _title(framework: dict[str, Any]) -> str:
    name = "python" if framework["name"] == "plain" else framework["name"]
    return f"{name} {framework['version']}" if "version" in framework else str(name)


def _bounded(lines: Sequence[str]) -> str:
    """Join as many lines as fit, and say how many do not."""
    kept: list[str] = []
    room = _LARGEST_TEXT
    for index, text in enumerate(lines):
        line = one_line(text, limit=700)
        room -= len(line.encode("utf-8", "backslashreplace")) + 1
        if room < 0:
            kept.append(f"… and {len(lines) - index} more lines")
            break
        kept.append(line)
    return "\n".join(kept)
