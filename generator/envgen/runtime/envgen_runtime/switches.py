"""The switches that an operator sets in the environment."""

from __future__ import annotations

import os

MODES = ("strict", "warn", "off")


class SwitchError(Exception):
    """A switch has a value that means nothing."""


def mode() -> str:
    """Return ENVGEN_SELFTEST.

    Raises:
        SwitchError: It is none of MODES. A misspelt "off" must not pass for strict in silence.

    """
    value = os.environ.get("ENVGEN_SELFTEST") or "strict"
    if value not in MODES:
        raise SwitchError(
            f"ENVGEN_SELFTEST={value[:40]!r} means nothing; it can be {', '.join(MODES)}"
        )
    return value


def limit_s() -> float:
    """Return ENVGEN_SELFTEST_TIMEOUT, the seconds that the full test may take.

    Raises:
        SwitchError: It is no number between 1 and 3600.

    """
    value = os.environ.get("ENVGEN_SELFTEST_TIMEOUT") or "120"
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:  # false for NaN too
        named = f"ENVGEN_SELFTEST_TIMEOUT={value[:40]!r}"
        raise SwitchError(f"{named} means nothing; it is a number of seconds, 1 ... 3600")
    return seconds
