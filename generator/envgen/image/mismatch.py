"""Many findings in a few lines."""

from collections.abc import Sequence
from typing import Final

_SHOWN: Final = 20


def shorten(lines: Sequence[str], what: str) -> str:
    """Return the first of many findings, under their number."""
    count = f"{len(lines)} {what}{'' if len(lines) == 1 else 's'}, the first one first:"
    more = [f"… and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join([count, *lines[:_SHOWN], *more])
