"""What modules log, on its way to the user."""

import logging
from typing import Protocol


class Write(Protocol):
    """Shows a line to the user."""

    def __call__(self, text: str, *, warning: bool) -> None: ...


def show_logs(write: Write, *, verbose: bool) -> None:
    """Send warnings to `write`, and with `verbose` everything from INFO on."""
    logger = logging.getLogger("envgen")
    logger.handlers[:] = [_Handler(write)]
    logger.propagate = False
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


class _Handler(logging.Handler):
    def __init__(self, write: Write) -> None:
        super().__init__()
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        self.write(record.getMessage(), warning=record.levelno >= logging.WARNING)
