"""What a workload is, what can come out of it, and how its result becomes a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

SEED = 20240229

REPRODUCIBLE = "reproducible here"
NOT_REPRODUCIBLE = "not reproducible"
NOT_SUPPORTED = "not supported"
BUSY = "busy"
FAILED = "failed"
CRASHED = "crashed"

HERE = ("first", "again")
"""The conditions under which one process runs everything: as it comes, and once more."""

FRESH = ("poisoned", "disturbed")
"""Those of a fresh process: in memory that holds rubbish, and beside other work."""

GPU_MEMORY = 1 << 30
"""Bytes of a GPU's memory that a worker may take, the driver's own context apart."""


class Piece(NamedTuple):
    """One output or gradient: its exact bytes, and what they mean."""

    label: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class Workload(NamedTuple):
    """Seeded work; `run` must give the same pieces whenever it is called.

    Attributes:
        name: What it does, the same in every release of a framework.
        device: `cpu`, or a GPU as the framework names it.
        run: Does it.
        why: What can vary in it, or what depends on it.
        essential: Nearly every program needs it, so that a crash of it condemns the image. A crash
            of other work is reported, and is the business of those who use it.
        forks: It starts processes; nothing else may run beside it then.

    """

    name: str
    device: str
    run: Callable[[], Sequence[Piece]]
    why: str = ""
    essential: bool = True
    forks: bool = False

    @property
    def label(self) -> str:
        return f"{self.name} on {self.device}"


class NotSupportedError(Exception):
    """The operation cannot be deterministic here, and says so instead of running."""


def digest(pieces: Sequence[Piece]) -> str:
    """Return the SHA-256 over label, dtype, shape and bytes of every piece, in order.

    Bytes, not values: NaN payloads and the sign of zero count.
    """
    total = hashlib.sha256()
    for piece in pieces:
        head = f"{piece.label}\0{piece.dtype}\0{piece.shape}\0{len(piece.data)}\0"
        total.update(head.encode())
        total.update(piece.data)
    return total.hexdigest()


def flip_one_bit(pieces: Sequence[Piece]) -> list[Piece]:
    """Return a copy in which one bit, in the middle of the longest piece, is the other way round.

    Pieces without a single byte come back unchanged, so that the control on them fails.
    """
    changed = list(pieces)
    index = max(range(len(changed)), key=lambda i: len(changed[i].data), default=None)
    if index is not None and changed[index].data:
        data = bytearray(changed[index].data)
        data[len(data) // 2] ^= 1
        changed[index] = changed[index]._replace(data=bytes(data))
    return changed


def one_line(text: str, *, limit: int = 300) -> str:
    """Return `text` without line breaks and control characters, cut to `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
