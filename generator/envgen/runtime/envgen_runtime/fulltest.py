"""The full test: every framework twice in one process and once in a fresh one."""

from __future__ import annotations

import json
import os
import platform
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import IO, Any, NamedTuple, cast

from envgen_runtime import __version__
from envgen_runtime.frameworks import found
from envgen_runtime.state import VARIABLES
from envgen_runtime.verdict import is_healthy, judge, summarise
from envgen_runtime.workload import FAILED, one_line

MOST_CRASHES = 3
"""Attempts cost time; a framework where more than this many workloads crash has no result."""

PACKAGE = os.path.dirname(os.path.abspath(__file__))


class WorkerError(Exception):
    """A worker ended, or was ended, without a result; the message is one line."""


class CrashError(WorkerError):
    """A workload took its process down."""

    def __init__(self, workload: str, reason: str) -> None:
        super().__init__(f"{workload}: {reason}")
        self.workload = workload
        self.reason = reason


class Report(NamedTuple):
    """What came out: for the log of the health check, and in full."""

    text: str
    document: dict[str, Any]


def run(limit_s: float) -> Report:
    """Test everything that is installed here, in `limit_s` seconds all in all."""
    started = time.monotonic()
    tested = [_test(name, started + limit_s) for name in found()]
    seconds = time.monotonic() - started
    text = summarise(tested, seconds)
    document = {
        "envgen_runtime": __version__,
        "healthy": is_healthy(text),
        "summary": text.partition("\n")[0],
        "seconds": round(seconds, 3),
        "python": {"version": sys.version, "executable": sys.executable},
        "platform": {
            "system": platform.platform(),
            "machine": platform.machine(),
            "libc": " ".join(platform.libc_ver()),
            "cpu": _cpu_model(),
            "cpus": len(os.sched_getaffinity(0)),
        },
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "frameworks": tested,
    }
    return Report(text, document)


def _test(name: str, deadline: float) -> dict[str, Any]:
    """Return the record of one framework in the report.

    A workload that crashes is left out of another attempt, so that the others have a result.
    """
    crashed: dict[str, str] = {}
    while len(crashed) <= MOST_CRASHES:
        try:
            return _attempt(name, deadline, crashed)
        except CrashError as error:
            crashed[error.workload] = error.reason
        except WorkerError as error:
            return {"name": name, "error": str(error), "workloads": []}
    crashes = "; ".join(f"{workload}: {reason}" for workload, reason in crashed.items())
    return {"name": name, "error": f"workload after workload crashes: {crashes}", "workloads": []}


def _attempt(name: str, deadline: float, crashed: Mapping[str, str]) -> dict[str, Any]:
    here = run_worker(name, passes=2, deadline=deadline, without=crashed)
    fresh = run_worker(name, passes=1, deadline=deadline, without=crashed)
    if _labels(here) != _labels(fresh):
        raise WorkerError("a fresh process sees other devices")
    return {
        "name": name,
        "version": here["version"],
        "devices": here["devices"],
        "error": None,
        "controls": here["controls"],
        "workloads": [
            *(_crash_record(label, reason) for label, reason in crashed.items()),
            *(judge(*pair) for pair in zip(here["workloads"], fresh["workloads"])),
        ],
    }


def _labels(result: dict[str, Any]) -> list[str]:
    return [f"{work['name']} on {work['device']}" for work in result["workloads"]]


def _crash_record(label: str, reason: str) -> dict[str, Any]:
    workload, _, device = label.rpartition(" on ")
    return {"name": workload, "device": device, "status": FAILED, "detail": reason}


def run_worker(
    name: str, *, passes: int, deadline: float, without: Iterable[str] = ()
) -> dict[str, Any]:
    """Run a worker process to its result; it and its children are gone afterwards.

    Raises:
        CrashError: A workload ended the process.
        WorkerError: There is no result for another reason: a broken import, no time left.

    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise WorkerError("not tested, the time limit was used up before")
    worker = subprocess.Popen(
        [*interpreter(), PACKAGE, "worker", name, str(passes), f"{left:.3f}", *without],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a process group of its own, to be killed as one
    )
    try:
        lines, complaint, in_time = _listen(worker, deadline)
    finally:
        _kill_group(worker)
    return _result(lines, complaint, worker.returncode, in_time=in_time)


def interpreter() -> list[str]:
    """Return this interpreter with the flags it was started with.

    The function is private, but has the same name in every Python from 3.9 to 3.14, and
    multiprocessing starts its children by it.
    """
    return [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]  # noqa: SLF001


def _listen(worker: subprocess.Popen[bytes], deadline: float) -> tuple[list[bytes], str, bool]:
    """Return the lines of a worker, the end of its standard error, and whether it was in time.

    Not communicate(): that would keep all that a framework may print, and would wait for
    grandchildren that hold the pipes open after the result has come.
    """
    output = complaint = b""
    in_time = True
    pipes = (cast("IO[bytes]", worker.stdout), cast("IO[bytes]", worker.stderr))
    with pipes[0], pipes[1], selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and not _has_result(output):
            in_time = time.monotonic() < deadline
            ready = selector.select(0.2)
            if not in_time or not (ready or worker.poll() is None):
                break
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is pipes[0]:
                    output += chunk
                else:
                    complaint = (complaint + chunk)[-2000:]
    return output.splitlines(), complaint.decode(errors="replace"), in_time


def _has_result(output: bytes) -> bool:
    return b'\n{"done":' in output and output.endswith(b"\n")


def _kill_group(worker: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _result(
    lines: list[bytes], complaint: str, returncode: int, *, in_time: bool
) -> dict[str, Any]:
    event: dict[str, Any] = {"doing": "starting python"}
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # cut off in the middle
            break
    if "done" in event:
        result: dict[str, Any] = event["done"]
        return result
    if "failed" in event:
        raise WorkerError(event["failed"])
    if not in_time:
        raise WorkerError(f"{event['doing']}: no answer within the time limit")
    if "workload" in event:
        raise CrashError(event["workload"], _ending(returncode, complaint))
    raise WorkerError(f"{event['doing']}: {_ending(returncode, complaint)}")


def _ending(returncode: int, complaint: str) -> str:
    """Say how a process ended, with its last words where the ending leaves time for some."""
    lines = [line for line in complaint.splitlines() if line.strip()]
    words = f": {one_line(lines[-1])}" if lines else ""
    if returncode >= 0:
        return f"the process ended with exit code {returncode}{words}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    if name == "SIGKILL":
        words = " (out of memory?)"  # nobody but the kernel sends it here
    elif name != "SIGABRT":
        words = ""
    return f"the process was killed by {name}{words}"


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()  # no "model name" on arm64
