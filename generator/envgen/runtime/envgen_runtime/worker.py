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
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

from envgen_runtime.claims import find_claim
from envgen_runtime.disturb import Beside, poison_malloc
from envgen_runtime.refusals import advise
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

_BUSY_MESSAGES = ("out of memory", "alloc_failed", "busy or unavailable", "resource_exhausted")

# What frameworks say instead of running: "deterministic" where strict mode refuses, the rest where
# a release has no kernel for a type or a device.
_REFUSALS = ("determinis", "not implemented for", "no available kernel", "unimplemented")


def work(
    name: str, *, mode: str, conditions: Sequence[str], limit_s: float, without: Sequence[str]
) -> int:
    """Run the workloads of a framework under each condition; write JSON lines to standard output.

    Args:
        name: The framework.
        mode: Of determinism: `strict`, `warn` or `off`.
        conditions: One pass over all workloads for each. `poisoned` and `disturbed` mean
            something, other names mark a pass as it comes.
        limit_s: Seconds after which the process ends, whatever it does.
        without: Labels of workloads to leave out.

    """
    # The parent enforces the limit. Should it be killed, this ends the orphan, even inside a C
    # call that never returns: the default action of the signal needs no interpreter.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(math.ceil(limit_s) + 1)
    _go_first_when_memory_runs_out()
    # Frameworks print banners; they may not reach the channel that results take.
    channel = os.dup(1)
    os.dup2(2, 1)
    with open(channel, "w", encoding="utf-8") as output:
        for event in _events(name, mode, conditions, without):
            output.write(json.dumps(event) + "\n")
            output.flush()
    return 0


def _go_first_when_memory_runs_out() -> None:
    """Let the kernel end this process rather than the program of the container (proc(5))."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _events(
    name: str, mode: str, conditions: Sequence[str], without: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield {"doing": …} before each step, so that a crash or hang has a place, then the result."""
    yield {"doing": f"import {name}"}
    try:
        framework = import_module(f"envgen_runtime.{name}_workloads")
        framework.configure(mode)
    except Exception as error:  # noqa: BLE001
        yield {"failed": f"import {name}: {describe(_first_cause(error))}"}
        return
    yield {"doing": "devices"}
    try:
        work_list = [item for item in framework.workloads() if item.label not in without]
    except Exception as error:  # noqa: BLE001
        yield {"failed": f"devices: {describe(error)}"}
        return
    records = [_record(name, framework.version(), item) for item in work_list]
    # All of them, then all of them again: what one leaves behind must not change another.
    for condition in conditions:
        for item, record in zip(work_list, records):
            yield {"doing": item.label, "workload": item.label, "essential": item.essential}
            with _condition(condition, framework, item):
                record["runs"].append(attempt(item, condition))
    result = {"version": framework.version(), "workloads": records}
    for key in ("controls", "devices"):
        yield {"doing": key}
        try:
            result[key] = dict(getattr(framework, key)())
        except Exception as error:  # noqa: BLE001
            result[key] = {"error": describe(error)}
    yield {"done": result}


def _record(framework: str, version: str, item: Workload) -> dict[str, Any]:
    claim = find_claim(framework, version, item.name, item.device)
    record: dict[str, Any] = {
        "name": item.name,
        "device": item.device,
        "essential": item.essential,
        "why": item.why,
        "runs": [],
    }
    if claim is not None:
        record["claim"] = {"says": claim.says, "source": claim.source}
    return record


@contextmanager
def _condition(condition: str, framework: ModuleType, item: Workload) -> Iterator[None]:
    """Make the surroundings of a workload less kind, as far as this machine can."""
    if condition == "poisoned":
        poison_malloc(on=True)
        try:
            with suppress(Exception):  # the workload itself will say what is wrong with the device
                framework.poison(item.device)
            yield
        finally:
            poison_malloc(on=False)
    elif condition == "disturbed" and not item.forks:
        with _companion(framework, item.device):
            yield
    else:
        yield


def _companion(framework: ModuleType, device: str) -> AbstractContextManager[None]:
    try:
        return Beside(framework.companion(device))
    except Exception:  # noqa: BLE001 the workload itself will say what is wrong with the device
        return nullcontext()


def attempt(item: Workload, condition: str) -> dict[str, Any]:
    """Run a workload once; return its hash and the hash of a copy with one bit flipped."""
    started = time.monotonic()
    try:
        pieces = item.run()
    except Exception as error:  # noqa: BLE001
        return {"condition": condition, **refuse_or_fail(error)}
    seconds = round(time.monotonic() - started, 4)
    return {
        "condition": condition,
        "sha256": digest(pieces),
        "flipped": digest(flip_one_bit(pieces)),
        "seconds": seconds,
    }


def refuse_or_fail(error: Exception) -> dict[str, Any]:
    """Return the run of a workload that gave no result, with what to use where it is refused."""
    status = classify(error)
    run = {"status": status, "detail": describe(error)}
    instead = advise(str(error)) if status == NOT_SUPPORTED else ""
    if instead:
        run["detail"] = f"{run['detail']}; use {instead}"
    return run


def classify(error: Exception) -> str:
    """Tell a refusal and a full device from a failure.

    Frameworks raise RuntimeError for all three, so the message decides.
    """
    message = f"{type(error).__name__}: {error}".lower()
    if isinstance(error, NotSupportedError) or any(text in message for text in _REFUSALS):
        return NOT_SUPPORTED
    if isinstance(error, MemoryError) or any(text in message for text in _BUSY_MESSAGES):
        return BUSY
    return FAILED


def _first_cause(error: BaseException) -> BaseException:
    """Return what an error was raised from: NumPy wraps the library that is missing in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def describe(error: BaseException) -> str:
    """Return one line of at most 300 characters."""
    return one_line(f"{type(error).__name__}: {error}")
