"""Two fingerprints: what changed, and whether that was to be expected."""

from __future__ import annotations

from typing import Any

from envgen_runtime.record import describe_key, label
from envgen_runtime.table import TEXT, draw
from envgen_runtime.workload import NOT_REPRODUCIBLE, REPRODUCIBLE

SAME = "same"
EXPECTED = "expected"
DEFECT = "defect"
MISSING = "missing"
"""What became of a result from one fingerprint to the other.

SAME: the same bits. EXPECTED: other bits, and something that they may depend on is another one.
DEFECT: other bits although nothing is, or a result that one machine itself does not repeat.
MISSING: only one of the two has it.
"""

_SHOWN = 16  # hex digits of a hash


def compare(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what changed from one fingerprint to another."""
    old, new = _results(before), _results(after)
    devices = sorted({device for _, device in [*old, *new]})
    changes = {
        device: _changes(describe_key(before["key"], device), describe_key(after["key"], device))
        for device in devices
    }
    results = [
        _compare_result(place, old.get(place), new.get(place), sorted(changes[place[1]]))
        for place in {**old, **new}
    ]
    outcomes = [result["outcome"] for result in results]
    return {
        "before": before["machine"]["name"],
        "after": after["machine"]["name"],
        "changes": {key: change for found in changes.values() for key, change in found.items()},
        "counts": {name: outcomes.count(name) for name in (SAME, EXPECTED, DEFECT, MISSING)},
        "results": [result for result in results if result["outcome"] != SAME],
    }


def _results(fingerprint: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(label(result), result["device"]): result for result in fingerprint["results"]}


def _changes(old: dict[str, str], new: dict[str, str]) -> dict[str, list[str]]:
    return {
        name: [old.get(name, ""), new.get(name, "")]
        for name in sorted({**old, **new})
        if old.get(name, "") != new.get(name, "")
    }


def _compare_result(
    place: tuple[str, str],
    old: dict[str, Any] | None,
    new: dict[str, Any] | None,
    changed: list[str],
) -> dict[str, Any]:
    texts = [_show(old), _show(new)]
    result = {"name": place[0], "device": place[1], "before": texts[0], "after": texts[1]}
    if old is None or new is None:
        return {**result, "outcome": MISSING, "because": changed}
    if NOT_REPRODUCIBLE in (old["status"], new["status"]):
        return {**result, "outcome": DEFECT, "because": []}
    if (old["status"], old.get("sha256")) == (new["status"], new.get("sha256")):
        return {**result, "outcome": SAME, "because": []}
    if REPRODUCIBLE not in (old["status"], new["status"]):
        return {**result, "outcome": MISSING, "because": changed}
    if old["status"] != new["status"] and not changed:
        # Busy, refused or failed on one of the two: no bits to compare.
        return {**result, "outcome": MISSING, "because": []}
    return {**result, "outcome": EXPECTED if changed else DEFECT, "because": changed}


def _show(result: dict[str, Any] | None) -> str:
    """Return the beginning of a hash, or why there is none."""
    if result is None:
        return "-"
    return result["sha256"][:_SHOWN] if "sha256" in result else str(result["status"])


def is_sound(comparison: dict[str, Any], *, exact: bool = False) -> bool:
    """Tell whether nothing is wrong: no defect, and with `exact` no difference at all."""
    counts = comparison["counts"]
    return not (counts[DEFECT] or (exact and (counts[EXPECTED] or counts[MISSING])))


def has_common(comparison: dict[str, Any]) -> bool:
    """Tell whether there was anything to compare."""
    counts = comparison["counts"]
    return bool(counts[SAME] + counts[EXPECTED] + counts[DEFECT])


def describe(comparison: dict[str, Any], form: str = TEXT) -> str:
    """Return a comparison for people, the verdict in the first line."""
    parts = [conclude(comparison)]
    if comparison["changes"]:
        head = ["what changed", comparison["before"], comparison["after"]]
        rows = [[name, *map(_shorten, pair)] for name, pair in comparison["changes"].items()]
        parts.append(draw(head, rows, form))
    if comparison["results"]:
        head = ["result", "device", comparison["before"], comparison["after"], "outcome", "because"]
        rows = [
            [
                *(result[name] for name in ("name", "device", "before", "after", "outcome")),
                _join(result["because"]),
            ]
            for result in comparison["results"]
        ]
        parts.append(draw(head, rows, form))
    return "\n\n".join(parts)


def conclude(comparison: dict[str, Any]) -> str:
    """Return the verdict in one line."""
    counts = comparison["counts"]
    missing = f"; {counts[MISSING]} only on one of the two" if counts[MISSING] else ""
    if not has_common(comparison):
        return "nothing to compare: the two have no result in common"
    if counts[DEFECT]:
        return (
            f"DEFECT: {counts[DEFECT]} results have other bits and nothing explains it, "
            f"{counts[SAME]} are the same{missing}"
        )
    if counts[EXPECTED]:
        return (
            f"as expected: {counts[EXPECTED]} results have other bits, because what they depend on "
            f"changed; {counts[SAME]} are the same{missing}"
        )
    return f"the same bits in all {counts[SAME]} results{missing}"


def _join(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _shorten(text: str) -> str:
    return f"{text[:40]}…" if len(text) > 41 else text or "-"
