"""The one place that starts other programs."""

import logging
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from envgen.errors import ToolError

_log = logging.getLogger(__name__)

_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s@'\"]+@")


_running: Final[set["subprocess.Popen[str]"]] = set()
_running_guard: Final = threading.Lock()


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A program that ran to its end."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def redact(text: str) -> str:
    """Return `text` without the user names and passwords that its URLs carry."""
    return _CREDENTIALS.sub("***@", text)


def find_program(name: str, *, why: str, fix: str) -> str:
    """Return the path of a program on PATH.

    Raises:
        ToolError: It is not there; `why` and `fix` tell the user what it is for and how to get it.

    """
    found = shutil.which(name)
    if found is None:
        raise ToolError.single(f"{name} is not on PATH", why=why, fix=fix)
    return found


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input_text: str | None = None,
    timeout_s: float | None = None,
    passthrough: bool = False,
) -> Finished:
    """Run a program to its end and return what it said, whatever its exit code.

    Args:
        argv: The program and its arguments; no shell is involved.
        cwd: Where to run it; here when not given.
        env: Variables that are added to this process's own.
        input_text: What it reads on standard input; nothing when not given.
        timeout_s: Seconds after which it is killed.
        passthrough: Let its output go straight to the terminal instead of capturing it.

    Raises:
        ToolError: It cannot be started, or it ran into its time limit.

    """
    words = tuple(str(word) for word in argv)
    _log.info("+ %s", redact(shlex.join(words)))
    stream = None if passthrough else subprocess.PIPE
    try:
        program = subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise ToolError.single(
            f"{words[0]} cannot be started", why=error.strerror or str(error)
        ) from error
    with _running_guard:
        _running.add(program)
    try:
        stdout, stderr = program.communicate(input_text, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise ToolError.single(
            f"{Path(words[0]).name} did not finish within {timeout_s:g} s",
            why=redact(shlex.join(words)),
        ) from error
    finally:
        _stop(program)
        with _running_guard:
            _running.discard(program)
    return Finished(
        argv=words,
        returncode=program.returncode,
        stdout=redact(stdout or ""),
        stderr=redact(stderr or ""),
    )


def stop_all() -> None:
    """Stop every program that is running, so that threads that wait for one come to their end."""
    with _running_guard:
        programs = tuple(_running)
    for program in programs:
        program.kill()


def _stop(program: "subprocess.Popen[str]") -> None:
    if program.poll() is None:
        program.kill()
        program.wait()
    for pipe in (program.stdin, program.stdout, program.stderr):
        if pipe is not None:
            pipe.close()
