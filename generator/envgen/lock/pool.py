"""Threads for work that waits for networks and programs. An interrupt does not wait for them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from envgen import process

_P = ParamSpec("_P")
_T = TypeVar("_T")

_GRACE_S: Final = 0.1
_GRACES: Final = 10


class Pool:
    """Runs up to `size` pieces of work at once; leave it by an exception and the rest is dropped.

    The threads of concurrent.futures are joined before the interpreter ends, so that Ctrl-C would
    take as long as the slowest server. These are not.
    """

    def __init__(self, size: int) -> None:
        self._slots = threading.Semaphore(size)
        self._futures: list[Future[Any]] = []

    def submit(
        self, work: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs
    ) -> Future[_T]:
        """Start work when its turn comes and return its future."""
        future: Future[_T] = Future()

        def run() -> None:
            with self._slots:
                if not future.set_running_or_notify_cancel():
                    return
                try:
                    future.set_result(work(*arguments, **named))
                except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                    future.set_exception(error)

        self._futures.append(future)
        threading.Thread(target=run, daemon=True).start()
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            wait(self._futures)
            return
        for future in self._futures:
            future.cancel()
        # Whoever waits for a program now cleans up; it may start another one before it ends.
        for _ in range(_GRACES):
            process.stop_all()
            if not wait(self._futures, timeout=_GRACE_S).not_done:
                break
