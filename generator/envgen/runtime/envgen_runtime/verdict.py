"""The decisions: what the runs of a workload say, and what that means for the container."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envgen_runtime.workload import (
    BUSY,
    CRASHED,
    FAILED,
    HERE,
    NOT_REPRODUCIBLE,
    NOT_SUPPORTED,
    REPRODUCIBLE,
    one_line,
)

CAUGHT = "caught"
MISSED = "missed"
"""What became of the planted bit flip."""

_LARGEST_TEXT = 3500  # bytes; Docker keeps 4096 of a probe's output
_SHOWN = 16
"""Hex digits of a hash that are shown; the report has all 64."""

_RUN = "`python3 /opt/envgen/envgen_runtime run`"
_ADVICE = {
    NOT_REPRODUCIBLE: f"what to do: {_RUN} tests again. If another machine repeats it as well, "
    "these libraries do not repeat their results; if only this one does, suspect its memory or "
    "its GPU.",
    FAILED: f"what to do: {_RUN} tests again; where it fails on every machine, a library is "
    "missing or does not fit; where it fails on this one, look at its kernel log.",
}
_ACCEPT = "ENVGEN_SELFTEST=warn keeps such a container healthy and still says so."


def compare(runs: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Return the status of a workload and why, from all its runs; the last is the fresh process.

    Verdict and positive control both come from here.
    """
    digests = [run["sha256"] for run in runs if "sha256" in run]
    if len(set(digests)) > 1:
        other = next(digest for digest in digests if digest != digests[0])
        return NOT_REPRODUCIBLE, (
            f"{_culprit(runs, digests[0])} gives another result: "
            f"expected {digests[0][:_SHOWN]}, found {other[:_SHOWN]}"
        )
    for status in (FAILED, BUSY, NOT_SUPPORTED):
        for run in runs:
            if run.get("status") == status:
                return status, run["detail"]
    return REPRODUCIBLE, ""


def _culprit(runs: Sequence[dict[str, Any]], expected: str) -> str:
    """Say under which condition a result is another one."""
    other = {run["condition"] for run in runs if run.get("sha256", expected) != expected}
    if other & set(HERE):
        return "a second run in one process"
    if other == {"poisoned"}:
        return "memory that holds rubbish"
    if other == {"disturbed"}:
        return "other work beside it"
    return "a fresh process"


def control_trips(runs: Sequence[dict[str, Any]]) -> bool:
    """Tell whether the comparison notices when one bit of the first run is the other way round."""
    planted = {**runs[0], "sha256": runs[0]["flipped"]}
    return compare([planted, *runs[1:]])[0] == NOT_REPRODUCIBLE


def judge(here: dict[str, Any], fresh: dict[str, Any], drill: str = "") -> dict[str, Any]:
    """Return the record of one workload in the report.

    Args:
        here: Its runs in one process.
        fresh: Its runs in a fresh one.
        drill: The name of a workload in whose last result one bit is to be flipped.

    """
    runs = [*here["runs"], *fresh["runs"]]
    drilled = drill == here["name"] and "flipped" in runs[-1]
    if drilled:
        runs[-1] = {**runs[-1], "sha256": runs[-1]["flipped"]}
    status, detail = compare(runs)
    if drilled:
        detail += "; a drill: ENVGEN_SELFTEST_FLIP asks for it"
    record = {key: value for key, value in here.items() if key != "runs"}
    record["status"] = status
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
    remarks = [line for framework in frameworks for line in _ended(framework, essential=False)]
    remarks += [
        line
        for status in (BUSY, NOT_SUPPORTED)
        for framework in frameworks
        for line in _with_status(framework, status)
    ]
    remarks += [
        f"{_title(framework)}: control: {name}: {outcome}"
        for framework in frameworks
        for name, outcome in framework.get("controls", {}).items()
    ]
    if not problems:
        return _bounded([_success(frameworks, seconds), *remarks])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    # What to do comes second, where no list of other problems can push it out.
    lines = [f"unhealthy: {problems[0]}{more}", *_advice(frameworks), *problems[1:], *remarks]
    return _bounded(lines)


def _advice(frameworks: Sequence[dict[str, Any]]) -> list[str]:
    statuses = {work["status"] for framework in frameworks for work in framework["workloads"]}
    if CRASHED in statuses or any(framework["error"] for framework in frameworks):
        statuses.add(FAILED)
    lines = [text for status, text in _ADVICE.items() if status in statuses]
    return [*lines, _ACCEPT] if lines else []


def is_healthy(text: str) -> bool:
    return text.startswith("healthy:")


def _success(frameworks: Sequence[dict[str, Any]], seconds: float) -> str:
    statuses = [work["status"] for framework in frameworks for work in framework["workloads"]]
    counts = f"{statuses.count(REPRODUCIBLE)} workloads {REPRODUCIBLE}"
    for status in (CRASHED, FAILED, BUSY, NOT_SUPPORTED):
        if status in statuses:
            counts += f", {statuses.count(status)} {status}"
    titles = ", ".join(_title(framework) for framework in frameworks)
    return f"healthy: {counts} ({titles}); the control was caught; {seconds:.1f} s"


def _problems(framework: dict[str, Any]) -> list[str]:
    """Return what makes the container unhealthy, worst first; `busy` alone does not.

    Work that fails or crashes is no work that silently gives other bits: its user sees it end.
    It condemns the image only where it is essential, that is, where nearly every user would.
    """
    title = _title(framework)
    if framework["error"]:
        return [f"{title}: {framework['error']}"]
    works = framework["workloads"]
    lines = [
        f"{title}: the self-test cannot be trusted: a flipped bit in {work['name']} went unnoticed"
        for work in works
        if work.get("control") == MISSED
    ]
    lines += _with_status(framework, NOT_REPRODUCIBLE) + _ended(framework, essential=True)
    if not lines and not any(work["status"] == REPRODUCIBLE for work in works):
        lines.append(f"{title}: no workload could be compared")
    return lines


def _with_status(framework: dict[str, Any], status: str) -> list[str]:
    return [_line(framework, work) for work in framework["workloads"] if work["status"] == status]


def _ended(framework: dict[str, Any], *, essential: bool) -> list[str]:
    """Return a line for each workload, essential or not, that ended without a result."""
    return [
        _line(framework, work)
        for status in (CRASHED, FAILED)
        for work in framework["workloads"]
        if work["status"] == status and work.get("essential", True) == essential
    ]


def _line(framework: dict[str, Any], work: dict[str, Any]) -> str:
    detail = f" ({work['detail']})" if "detail" in work else ""
    return f"{_title(framework)}: {work['name']} on {work['device']}: {work['status']}{detail}"


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
