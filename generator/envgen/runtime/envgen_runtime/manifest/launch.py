"""`envgen-run`: start a command, record what it runs with, and end as it ends.

It may be the first process of a container: it passes signals on and reaps what nobody waits for.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import uuid
from contextlib import suppress

from envgen_runtime.manifest import events
from envgen_runtime.manifest.code import describe_code
from envgen_runtime.manifest.data import describe_data
from envgen_runtime.manifest.document import ENDED, FORMAT, RUNNING, claim, missing, now
from envgen_runtime.manifest.environment import describe_determinism, describe_environment
from envgen_runtime.manifest.hardware import describe_hardware
from envgen_runtime.manifest.options import Options, parse
from envgen_runtime.manifest.parameters import read_parameters
from envgen_runtime.manifest.recorder import Recorder, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
REFRESH_S = 5.0
"""How often the record takes in what the program told, so that kill -9 loses little."""

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as shells have it


def main(arguments: list[str]) -> int:
    """Run the command of `envgen-run [OPTIONS] -- COMMAND…` and return its exit status."""
    options = parse(arguments)
    if isinstance(options, str):
        print(options, file=sys.stderr)
        return 2
    recorder = _open(options)
    hashing = threading.Thread(target=_hash, args=(recorder, options.data), daemon=True)
    hashing.start()
    try:
        child = _start(options.command, recorder)
    except OSError as error:
        say(f"{options.command[0]}: {error.strerror}")
        recorder.document["run"]["failure"] = f"{options.command[0]}: {error.strerror}"
        return _finish(
            recorder, NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        )
    stopped = threading.Event()
    threading.Thread(target=_refresh, args=(recorder, stopped), daemon=True).start()
    status = _wait(child)
    stopped.set()
    if hashing.is_alive():
        say("the command has ended; its data is still being hashed (interrupt to leave that out)")
        _release_signals()
        with suppress(KeyboardInterrupt):
            hashing.join()
    return _finish(recorder, status)


def _open(options: Options) -> Recorder:
    started = now()
    document: dict[str, Any] = {
        "format": FORMAT,
        "run": {
            "id": uuid.uuid4().hex,
            "state": RUNNING,
            "command": options.command,
            "directory": os.getcwd(),
            "started": started,
            "updated": started,
        },
        "seeds": missing("the program has set none through envgen_runtime.seed_everything"),
        "parameters": {"arguments": options.command[1:]},
        "data": [{"given": each, "sha256": missing("not hashed yet")} for each in options.data]
        or missing("none was named with --data"),
    }
    recorder = Recorder(_claim(options.output), document)
    recorder.fill("code", lambda: describe_code(os.getcwd()))
    recorder.fill("environment", describe_environment)
    recorder.fill("determinism", lambda: describe_determinism(_verdict()))
    recorder.fill("hardware", describe_hardware)
    recorder.fill("parameters", lambda: read_parameters(options.command[1:], options.parameters))
    with suppress(OSError):
        os.close(os.open(recorder.events, os.O_CREAT | os.O_WRONLY, 0o644))
    recorder.write()
    return recorder


def _claim(output: str) -> str:
    try:
        path = claim(output)
    except OSError as error:
        say(f"{output} cannot be written, and nothing will be recorded: {error.strerror}")
        return os.devnull
    if path != os.path.abspath(output):
        say(f"the record is {path}")
    return path


def _verdict() -> str | None:
    """Return what the health check answers with now; None where the test has not run."""
    from envgen_runtime.probe import GPU_S, look_at_gpus
    from envgen_runtime.state import open_store

    fault, gpus = look_at_gpus(GPU_S)
    if fault:
        return f"unhealthy: {fault}"
    store, _ = open_store(gpus)
    return store.read() if store else None


def _start(command: list[str], recorder: Recorder) -> int:
    """Return the process of the command.

    Raises:
        OSError: It cannot be started.

    """
    child = os.posix_spawnp(command[0], command, {**os.environ, events.VARIABLE: recorder.events})
    for name in FORWARDED:
        signal.signal(getattr(signal, name), _forward_to(child))
    return child


def _release_signals() -> None:
    """Let a request to stop end the waiting; there is no child to pass it on to."""
    for name in FORWARDED:
        signal.signal(getattr(signal, name), signal.default_int_handler)


def _forward_to(child: int) -> Callable[[int, FrameType | None], None]:
    def forward(number: int, _: FrameType | None) -> None:
        # What is typed at a terminal reaches the child as well, for it is of the same group.
        typed = number in (signal.SIGINT, signal.SIGQUIT) and _is_in_foreground()
        if not typed:
            with suppress(ProcessLookupError):
                os.kill(child, number)

    return forward


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _refresh(recorder: Recorder, stopped: threading.Event) -> None:
    """Take in what the program told."""
    size = 0
    while not stopped.wait(REFRESH_S):
        with suppress(OSError):
            grown = os.path.getsize(recorder.events)
            if grown != size:
                size = grown
                recorder.write()


def _hash(recorder: Recorder, given: list[str]) -> None:
    for index, each in enumerate(given):
        described = describe_data(each)
        recorder.document["data"][index] = described
        recorder.write()


def _wait(child: int) -> int:
    """Return how the child ended, as a shell tells it; reap everything else on the way."""
    while True:
        try:
            process, status = os.waitpid(-1, 0)
        except InterruptedError:
            continue
        if process == child:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _finish(recorder: Recorder, status: int) -> int:
    run = recorder.document["run"]
    run["state"] = ENDED
    run["ended"] = now()
    run["seconds"] = round(time.monotonic() - _BEGUN, 3)
    run["exit_status"] = status
    if status > 128:
        with suppress(ValueError):
            run["signal"] = signal.Signals(status - 128).name
    recorder.write()
    with suppress(OSError):
        os.unlink(recorder.events)
    return status


_BEGUN = time.monotonic()
