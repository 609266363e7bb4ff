"""Memory that holds rubbish, and other work beside the test's own.

Work that reads memory which it never wrote, or whose result depends on who comes first, often
gives the same bits while nothing else goes on. So it runs again under conditions less kind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

_M_PERTURB = -6  # malloc.h of glibc
_RUBBISH = 0x7F  # as a float32 3.4e38, as a float16 NaN, as an integer far from 0


def poison_malloc(*, on: bool) -> bool:
    """Let malloc hand out memory full of rubbish (mallopt(3), M_PERTURB), or stop that.

    Returns:
        Whether the C library can: musl cannot, and neither can a Python without ctypes.

    """
    try:
        # A Python may have come without the libffi that it is linked with; it works without, too.
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, ImportError, OSError):
        return False
    # glibc fills what it hands out with the complement, and what it takes back with the byte.
    return bool(mallopt(_M_PERTURB, 0xFF ^ _RUBBISH if on else 0) == 1)


class Beside:
    """Repeats work in a thread of its own, from the first to the last line of a `with` block.

    The thread ends when the work does: it has to be short, and to draw from no random generator
    that the block uses.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self.rounds = 0
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def _repeat(self) -> None:
        while not self._stop.is_set():
            self._work()
            self.rounds += 1

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
