"""The record of a run while it is being made."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress

from envgen_runtime.manifest import document as documents
from envgen_runtime.manifest import events
from envgen_runtime.manifest.document import missing, now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Recorder:
    """The record of one run, written whenever something new is known."""

    def __init__(self, path: str, document: dict[str, Any]) -> None:
        self.path = path
        self.document = document
        self.events = f"{path}.events"
        self._lock = threading.Lock()
        self._complaint = ""

    def write(self) -> None:
        """Write what is known. A full disk is told once, and tried again each time."""
        with self._lock:
            events.merge(self.document, events.read(self.events))
            self.document["run"]["updated"] = now()
            complaint = documents.write(self.path, self.document)
            if complaint and complaint != self._complaint:
                say(f"{self.path} cannot be brought up to date: {complaint}")
            self._complaint = complaint

    def fill(self, name: str, describe: Callable[[], Any]) -> None:
        """Fill in a field. A fact that cannot be had must not end the run that it is about."""
        try:
            value = describe()
        except Exception as error:  # noqa: BLE001 whatever it is, it is the reason
            value = missing(f"{type(error).__name__}: {error}")
        with self._lock:
            self.document[name] = value


def say(message: str) -> None:
    """Tell the user; a closed standard error must not end the run."""
    with suppress(OSError, ValueError):
        print(f"envgen-run: {message}", file=sys.stderr, flush=True)
