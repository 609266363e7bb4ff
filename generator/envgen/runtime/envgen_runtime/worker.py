"""The process that does the work of one framework and tells its parent what came out.

Workloads run here and not in the health check itself, because an import may hang or crash.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from envgen_runtime.workload import (
    BUSY,
    FAILED,
    NOT_SUPPORTED,
    NotSupportedError,
    Workload,
    digest,
    flip_one_bit,
    one_line,
)

_BUSY_MESSAGES = ("out of memory", "alloc_failed", "busy or unavailable")


def work(name: str, *, passes: int, limit_s: float, without: Sequence[str]) -> int:
    """Run the workloads of a framework `passes` times; write JSON lines to standard output."""
    # The parent enforces the limit. Should it be killed, this ends the orphan, even inside a C
    # call that never returns: the default action of the signal needs no interpreter.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(math.ceil(limit_s) + 1)
    # Frameworks print banners; they may not reach the channel that results take.
    channel = os.dup(1)
    os.dup2(2, 1)
    with open(channel, "w", encoding="utf-8") as output:
        for event in _events(name, passes, without):
            output.write(json.dumps(event) + "\n")
            output.flush()
    return 0


def _events(name: str, passes: int, without: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield {"doing": …} before each step, so that a crash or hang has a place, then the result."""
    yield {"doing": f"import {name}"}
    try:
        framework = import_module(f"envgen_runtime.{name}_workloads")
    except Exception as error:  # noqa: BLE001
        yield {"failed": f"import {name}: {describe(error)}"}
        return
    work_list = [item for item in framework.workloads() if item.label not in without]
    records = [{"name": item.name, "device": item.device, "runs": []} for item in work_list]
    # All of them, then all of them again: what one leaves behind must not change another.
    for _ in range(passes):
        for item, record in zip(work_list, records):
            yield {"doing": item.label, "workload": item.label}
            record["runs"].append(attempt(item))
    result = {"version": framework.version(), "workloads": records}
    for key in ("controls", "devices"):
        yield {"doing": key}
        try:
            result[key] = dict(getattr(framework, key)())
        except Exception as error:  # noqa: BLE001
            result[key] = {"error": describe(error)}
    yield {"done": result}


def attempt(item: Workload) -> dict[str, Any]:
    """Run a workload once; return its hash and the hash of a copy with one bit flipped."""
    started = time.monotonic()
    try:
        pieces = item.run()
    except Exception as error:  # noqa: BLE001
        return {"status": classify(error), "detail": describe(error)}
    return {
        "sha256": digest(pieces),
        "flipped": digest(flip_one_bit(pieces)),
        "seconds": round(time.monotonic() - started, 4),
    }


def classify(error: Exception) -> str:
    """Tell a refusal and a full device from a failure.

    Frameworks raise RuntimeError for all three, so the message decides: torch says
    "deterministic" when it refuses, and "out of memory" is in every CUDA library's report.
    """
    message = str(error).lower()
    if isinstance(error, NotSupportedError) or "deterministic" in message:
        return NOT_SUPPORTED
    if isinstance(error, MemoryError) or any(text in message for text in _BUSY_MESSAGES):
        return BUSY
    return FAILED


def describe(error: BaseException) -> str:
    """Return one line of at most 300 characters."""
    return one_line(f"{type(error).__name__}: {error}")
