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
from envgen_runtime.refusals import advise
from envgen_runtime.state import VARIABLES, locked_frameworks
from envgen_runtime.switches import flipped, memory_mib, mode
from envgen_runtime.verdict import is_healthy, judge, summarise
from envgen_runtime.workload import BUSY, CRASHED, FRESH, HERE, one_line

MOST_CRASHES = 5
"""Attempts cost time; a framework where more than this many workloads crash has no result."""

PACKAGE = os.path.dirname(os.path.abspath(__file__))


class WorkerError(Exception):
    """A worker ended, or was ended, without a result; the message is one line."""


class CrashError(WorkerError):
    """A workload took its process down; `record` is its record in the report."""

    def __init__(self, event: Mapping[str, Any], reason: str) -> None:
        super().__init__(f"{event['workload']}: {reason}")
        self.workload: str = event["workload"]
        name, _, device = self.workload.rpartition(" on ")
        avoidance = advise(reason)
        self.record = {
            "name": name,
            "device": device,
            "essential": event["essential"],
            # Nobody but the kernel sends SIGKILL here: there is no memory left for the test.
            "status": BUSY if "SIGKILL" in reason else CRASHED,
            "detail": f"{reason}; use {avoidance}" if avoidance else reason,
        }


class Report(NamedTuple):
    """What came out: for the log of the health check, and in full."""

    text: str
    document: dict[str, Any]


def run(limit_s: float) -> Report:
    """Test everything that is installed here, in `limit_s` seconds all in all."""
    started = time.monotonic()
    tested = [_test(name, started + limit_s) for name in found()]
    tested += [_miss(name, version) for name, version in _missing()]
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


def _missing() -> list[tuple[str, str]]:
    """Return the frameworks that are locked and not to be found, with their versions."""
    here = found()
    return [item for item in locked_frameworks().items() if item[0] not in here]


def _miss(name: str, version: str) -> dict[str, Any]:
    error = f"version {version} is locked, and Python does not find it"
    return {"name": name, "error": error, "workloads": []}


def _test(name: str, deadline: float) -> dict[str, Any]:
    """Return the record of one framework in the report.

    A workload that crashes is left out of another attempt, so that the others have a result.
    """
    crashed: dict[str, dict[str, Any]] = {}
    while len(crashed) <= MOST_CRASHES:
        try:
            return _attempt(name, deadline, crashed)
        except CrashError as error:
            crashed[error.workload] = error.record
        except WorkerError as error:
            return {"name": name, "error": str(error), "workloads": []}
    crashes = "; ".join(f"{label}: {record['detail']}" for label, record in crashed.items())
    return {"name": name, "error": f"workload after workload crashes: {crashes}", "workloads": []}


def _attempt(name: str, deadline: float, crashed: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    here = run_worker(name, conditions=HERE, deadline=deadline, without=crashed)
    fresh = run_worker(name, conditions=FRESH, deadline=deadline, without=crashed)
    if _labels(here) != _labels(fresh):
        raise WorkerError("a fresh process sees other devices")
    drill = flipped()
    return {
        "name": name,
        "version": here["version"],
        "devices": here["devices"],
        "error": None,
        "controls": here["controls"],
        "workloads": [
            *crashed.values(),
            *(judge(*pair, drill) for pair in zip(here["workloads"], fresh["workloads"])),
        ],
    }


def _labels(result: dict[str, Any]) -> list[str]:
    return [f"{work['name']} on {work['device']}" for work in result["workloads"]]


def run_worker(
    name: str,
    *,
    conditions: Iterable[str],
    deadline: float,
    without: Iterable[str] = (),
    determinism: str = "",
) -> dict[str, Any]:
    """Run a worker process to its result; it and its children are gone afterwards.

    Args:
        name: The framework.
        conditions: One pass over all workloads for each; see `worker.work`.
        deadline: On the monotonic clock; it is killed then.
        without: Labels of workloads to leave out.
        determinism: `strict`, `warn` or `off`; what ENVGEN_SELFTEST says unless it is given.

    Raises:
        CrashError: A workload ended the process.
        WorkerError: There is no result for another reason: a broken import, no time left.

    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise WorkerError("not tested, the time limit was used up before")
    worker = subprocess.Popen(
        [
            *(*interpreter(), PACKAGE, "worker", name, determinism or mode()),
            *(" ".join(conditions), f"{left:.3f}", *without),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a process group of its own, to be killed as one
    )
    try:
        lines, complaint, stopped = _listen(worker, deadline)
    finally:
        _kill_group(worker)
    return _result(lines, complaint, worker.returncode, stopped)


def interpreter() -> list[str]:
    """Return this interpreter with the flags it was started with.

    The function is private, but has the same name in every Python from 3.9 to 3.14, and
    multiprocessing starts its children by it.
    """
    return [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]  # noqa: SLF001


_LATE = "no answer within the time limit"


def _listen(worker: subprocess.Popen[bytes], deadline: float) -> tuple[list[bytes], str, str]:
    """Return the lines of a worker, the end of its standard error, and why it has to end now.

    Not communicate(): that would keep all that a framework may print, and would wait for
    grandchildren that hold the pipes open after the result has come.
    """
    output = complaint = b""
    stopped, room = "", memory_mib()
    pipes = (cast("IO[bytes]", worker.stdout), cast("IO[bytes]", worker.stderr))
    with pipes[0], pipes[1], selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and not _has_result(output):
            ready = selector.select(0.2)
            if time.monotonic() >= deadline:
                stopped = _LATE
            elif _taken_mib(worker.pid) > room:
                stopped = f"it took more than {room:g} MiB (ENVGEN_SELFTEST_MEMORY)"
            if stopped or not (ready or worker.poll() is None):
                break
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is pipes[0]:
                    output += chunk
                else:
                    complaint = (complaint + chunk)[-2000:]
    return output.splitlines(), complaint.decode(errors="replace"), stopped


def _taken_mib(process: int) -> float:
    """Return the MiB that a process has for itself, what it maps of libraries apart; 0 if unknown.

    Not a limit set by the kernel: CUDA reserves address space by the hundred gigabytes.
    """
    try:
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("RssAnon:"):  # in kB, proc(5)
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def _has_result(output: bytes) -> bool:
    return b'\n{"done":' in output and output.endswith(b"\n")


def _kill_group(worker: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _result(lines: list[bytes], complaint: str, returncode: int, stopped: str) -> dict[str, Any]:
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
    if stopped == _LATE:
        raise WorkerError(f"{event['doing']}: {stopped}")
    # The kernel's SIGKILL and our own are the same to the workload: there is no room for it here.
    reason = f"SIGKILL: {stopped}" if stopped else _ending(returncode, complaint)
    if "workload" in event:
        raise CrashError(event, reason)
    raise WorkerError(f"{event['doing']}: {reason}")


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
