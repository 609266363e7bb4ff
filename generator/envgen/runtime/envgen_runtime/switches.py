"""The switches that an operator sets in the environment."""

from __future__ import annotations

import os

MODES = ("strict", "warn", "off")
AT_PROBE, AT_START = "probe", "start"


class SwitchError(Exception):
    """A switch has a value that means nothing."""


def mode() -> str:
    """Return ENVGEN_SELFTEST.

    Raises:
        SwitchError: It is none of MODES. A misspelt "off" must not pass for strict in silence.

    """
    return _choose("ENVGEN_SELFTEST", MODES)


def tested_at() -> str:
    """Return ENVGEN_SELFTEST_AT: whether the first probe may test, or only the start may.

    Raises:
        SwitchError: It is neither.

    """
    return _choose("ENVGEN_SELFTEST_AT", (AT_PROBE, AT_START))


def limit_s() -> float:
    """Return ENVGEN_SELFTEST_TIMEOUT, the seconds that the full test may take.

    Raises:
        SwitchError: It is no number between 1 and 3600.

    """
    return _number("ENVGEN_SELFTEST_TIMEOUT", 120, "seconds", 1, 3600)


def memory_mib() -> float:
    """Return ENVGEN_SELFTEST_MEMORY, the MiB that a process of the full test may take.

    Raises:
        SwitchError: It is no number between 64 and 1048576.

    """
    return _number("ENVGEN_SELFTEST_MEMORY", 4096, "MiB", 64, 1 << 20)


def flipped() -> str:
    """Return ENVGEN_SELFTEST_FLIP, the workload in which a bit is flipped: a drill for alarms."""
    return os.environ.get("ENVGEN_SELFTEST_FLIP", "")


def _choose(name: str, values: tuple[str, ...]) -> str:
    """Return what a variable chooses, the first of `values` where it is empty or not set."""
    value = os.environ.get(name) or values[0]
    if value not in values:
        raise SwitchError(f"{name}={value[:40]!r} means nothing; it can be {', '.join(values)}")
    return value


def _number(name: str, otherwise: float, unit: str, least: int, most: int) -> float:
    value = os.environ.get(name) or str(otherwise)
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not least <= number <= most:  # true for NaN too
        named = f"{name}={value[:40]!r}"
        raise SwitchError(f"{named} means nothing; it is a number of {unit}, {least} ... {most}")
    return number
