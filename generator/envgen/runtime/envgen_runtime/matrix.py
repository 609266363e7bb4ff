"""The fingerprints of a fleet: which device gives other bits than its equals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from envgen_runtime.record import describe_key, label
from envgen_runtime.table import MARKDOWN, TEXT, draw
from envgen_runtime.workload import NOT_REPRODUCIBLE

AGREES = "agrees"
ODD = "ODD ONE OUT"
DISPUTED = "disputed"
UNSTABLE = "not reproducible"
ALONE = "alone"
"""AGREES: with all or most of its equals, in every result. ODD: most of its equals have other bits.
DISPUTED: its equals differ, and no majority says who is right. UNSTABLE: it does not repeat its own
results. ALONE: it has no equal to be compared with."""

_SHOWN = 16  # hex digits of a hash


def make_matrix(fingerprints: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Compare every device with those that have the same key.

    Two devices are equals where everything that the results may depend on is the same; only then
    do other bits mean that something is wrong with one of them.
    """
    rows = [row for fingerprint in fingerprints for row in _rows(fingerprint)]
    _tell_apart(rows)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(repr(sorted(row["key"].items())), []).append(row)
    for number, group in enumerate(groups.values(), 1):
        expected = _majority(group)
        for row in group:
            row["group"] = number
            row.update(_judge(row, group, expected))
    keys = [group[0]["key"] for group in groups.values()]
    return {
        "machines": len(fingerprints),
        "devices": [{key: row[key] for key in row if key not in ("key", "hashes")} for row in rows],
        "groups": _distinguish(keys),
    }


def _rows(fingerprint: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each device of a machine that has results."""
    devices: dict[str, dict[str, Any]] = {}
    for result in fingerprint["results"]:
        device = devices.setdefault(
            result["device"],
            {
                "machine": fingerprint["machine"]["name"],
                "device": result["device"],
                "key": {"kind": result["device"].partition(":")[0]}
                | describe_key(fingerprint["key"], result["device"]),
                "hashes": {},
                "unstable": [],
            },
        )
        if result["status"] == NOT_REPRODUCIBLE:
            device["unstable"].append(label(result))
        elif "sha256" in result:
            device["hashes"][label(result)] = result["sha256"]
    return list(devices.values())


def _tell_apart(rows: list[dict[str, Any]]) -> None:
    """Number machines of the same name, as containers on one host may have it."""
    seen: Counter[tuple[str, str]] = Counter()
    for row in rows:
        place = (row["machine"], row["device"])
        seen[place] += 1
        if seen[place] > 1:
            row["machine"] = f"{row['machine']} ({seen[place]})"


def _majority(group: list[dict[str, Any]]) -> dict[str, str]:
    """Return the hash of every result that more than half of the devices have; empty on a tie."""
    expected = {}
    for name in {name for row in group for name in row["hashes"]}:
        counts = Counter(row["hashes"][name] for row in group if name in row["hashes"])
        digest, count = counts.most_common(1)[0]
        expected[name] = digest if 2 * count > sum(counts.values()) else ""
    return expected


def _judge(
    row: dict[str, Any], group: list[dict[str, Any]], expected: dict[str, str]
) -> dict[str, Any]:
    odd = {
        name: {"expected": expected[name], "found": digest}
        for name, digest in row["hashes"].items()
        if expected[name] and digest != expected[name]
    }
    disputed = sorted(name for name in row["hashes"] if not expected[name])
    shared = [name for name in row["hashes"] if sum(name in other["hashes"] for other in group) > 1]
    if row["unstable"]:
        verdict = UNSTABLE
    elif odd:
        verdict = ODD
    elif disputed:
        verdict = DISPUTED
    else:
        verdict = AGREES if shared else ALONE
    return {"verdict": verdict, "compared": len(shared), "odd": odd, "disputed": disputed}


def _distinguish(keys: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return of every key what is not the same in all of them."""
    names = sorted({name for key in keys for name in key})
    differing = [name for name in names if len({key.get(name, "") for key in keys}) > 1]
    return [{name: key[name] for name in differing if key.get(name)} for key in keys]


def is_sound(matrix: dict[str, Any]) -> bool:
    return all(row["verdict"] in (AGREES, ALONE) for row in matrix["devices"])


def describe(matrix: dict[str, Any], form: str = TEXT) -> str:
    """Return a matrix for people, the verdict in the first line."""
    head = ["machine", "device", "group", "compared", "verdict"]
    rows = [
        [row["machine"], row["device"], str(row["group"]), str(row["compared"]), row["verdict"]]
        for row in matrix["devices"]
    ]
    parts = [conclude(matrix), draw(head, rows, form)]
    groups = [
        [str(number), "; ".join(f"{name} {value}" for name, value in key.items())]
        for number, key in enumerate(matrix["groups"], 1)
    ]
    if len(groups) > 1:
        parts.append(draw(["group", "what it differs in from other groups"], groups, form))
    details = [line for row in matrix["devices"] for line in _details(row)]
    if details:
        parts.append("\n".join(f"- {line}" if form == MARKDOWN else line for line in details))
    return "\n\n".join(parts)


def conclude(matrix: dict[str, Any]) -> str:
    """Return the verdict in one line."""
    wrong = [row for row in matrix["devices"] if row["verdict"] not in (AGREES, ALONE)]
    size = f"{len(matrix['devices'])} devices of {matrix['machines']} machines"
    if not wrong:
        alone = sum(row["verdict"] == ALONE for row in matrix["devices"])
        more = f"; {alone} have no equal to be compared with" if alone else ""
        return f"{size}: every device agrees with its equals{more}"
    names = ", ".join(f"{row['machine']} {row['device']}" for row in wrong[:5])
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return f"{size}: look at {names}{more}"


def _details(row: dict[str, Any]) -> list[str]:
    place = f"{row['machine']} {row['device']}"
    lines = [f"{place}: {name}: it does not repeat its own result" for name in row["unstable"]]
    for name, hashes in row["odd"].items():
        shown = f"expected {hashes['expected'][:_SHOWN]}, found {hashes['found'][:_SHOWN]}"
        lines.append(f"{place}: {name}: {shown}")
    if row["disputed"]:
        names = ", ".join(row["disputed"])
        lines.append(f"{place}: its equals differ, without a majority: {names}")
    return lines
