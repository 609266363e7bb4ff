"""What could explain that two runs gave different results, the most likely first."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from envgen.runs.record import find_missing


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not the same in both runs, or not known of one of them.

    Attributes:
        about: The field.
        what: How it differs.
        certain: Whether both records hold it. What a record lacks cannot be ruled out.

    """

    about: str
    what: str
    certain: bool = True


def compare_runs(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Explanation, ...]:
    """Return what differs, in the order of `_FIELDS`; what is unknown comes after what is known."""
    found = [
        explanation
        for path in _FIELDS
        for explanation in _compare(path, _get(first, path), _get(second, path))
    ]
    return tuple(sorted(found, key=lambda each: not each.certain))


_FIELDS: Final = (
    "parameters.arguments",
    "parameters.files",
    "parameters.told",
    "code",
    "data",
    "data_told",
    "seeds",
    "environment.lock",
    "environment.packages",
    "environment.python",
    "determinism",
    "hardware.gpus",
    "hardware.driver",
    "environment.variables",
    "environment.image_digest",
    "hardware.cpu",
    "hardware.cpus",
    "environment.libc",
    "hardware.kernel",
)
"""What is compared. Other inputs (parameters, code, data, seeds) change results by design; another
environment and other hardware change them by rounding; the rest seldom does."""

_INCIDENTAL: Final = frozenset({"at", "process", "where", "tracked", "path", "uuid", "source"})
"""Facts that differ between two runs of one program, or between two GPUs of one model."""


def _get(run: Mapping[str, Any], path: str) -> object:
    value: Any = run
    for name in path.split("."):
        if not isinstance(value, Mapping) or find_missing(value):
            return value
        value = value.get(name)
    return value


def _compare(path: str, first: object, second: object) -> Iterator[Explanation]:
    lacking = [f"{side}: {reason}" for side, reason in _sides(first, second) if reason]
    if lacking:
        yield Explanation(about=path, what="; ".join(lacking), certain=False)
        return
    one, other = _essence(first), _essence(second)
    if one == other:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        changes = list(_changes(one, other))
        shown = ", ".join(changes[:8]) + (f" and {len(changes) - 8} more" * (len(changes) > 8))
        yield Explanation(about=path, what=shown)
    else:
        yield Explanation(about=path, what=f"{_show(one)} and {_show(other)}")


def _sides(first: object, second: object) -> Iterator[tuple[str, str]]:
    one, other = find_missing(first), find_missing(second)
    if one and one == other:
        yield "both", one
    else:
        yield "first", one
        yield "second", other


def _essence(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _essence(each) for name, each in value.items() if name not in _INCIDENTAL}
    if isinstance(value, list):
        return [_essence(each) for each in value]
    return value


def _changes(first: dict[str, Any], second: dict[str, Any]) -> Iterator[str]:
    for name in sorted(first.keys() | second.keys()):
        if first.get(name) != second.get(name):
            yield f"{name} {_show(first.get(name))} → {_show(second.get(name))}"


def _show(value: object) -> str:
    text = "nothing" if value in (None, [], {}) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
