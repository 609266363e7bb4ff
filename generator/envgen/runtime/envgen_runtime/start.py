"""The start of a container: compare, then become the command.

It stops a start only for what is known to fail. What cannot be found out is said in a line or not
at all, and a mistake in here must never be the reason why a container does not run.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as typing has it, without its import
if TYPE_CHECKING:
    from envgen_runtime.gpu import Seen
    from envgen_runtime.requirement import Requirement

CHECK, WARN, OFF = "check", "warn", "off"

_NOT_EXECUTABLE = 126
_NOT_FOUND = 127
"""The exit codes of env(1), of shells and of Docker for a command that cannot be started."""


def start(command: list[str], look_in: str = "/", library: str = "") -> int:
    """Become `command`, unless it has no chance here. Returns only where it does not.

    Args:
        command: The program and its arguments.
        look_in: Where /proc, /sys and /dev are.
        library: NVML, where it is another one than the system's.

    """
    mode = os.environ.get("ENVGEN_START") or CHECK
    if mode not in (CHECK, WARN, OFF):
        say(f"ENVGEN_START={mode[:40]!r} means nothing; it can be {CHECK}, {WARN}, {OFF}")
        mode = CHECK
    if mode != OFF and not _may_start(mode, look_in, library):
        return 1
    if command and os.environ.get("ENVGEN_SELFTEST_AT") == "start":
        _test()
    return execute(command)


def _test() -> None:
    """Make the verdict that probes will answer with, while nothing else uses the GPU yet.

    It ends no start: an orchestrator acts on the health of a container, and may be told not to.
    """
    if os.environ.get("ENVGEN_SELFTEST") == "off":
        return
    say("testing before the command runs (ENVGEN_SELFTEST_AT=start)")
    try:
        say(f"self-test: {_run_test() or 'it ended without an answer'}")
    except Exception as error:  # noqa: BLE001 see the module's docstring
        say(f"self-test: {type(error).__name__}: {error}"[:300])


def _run_test() -> str:
    import _signal  # type: ignore[import-not-found]  # builtin, see `execute`
    import subprocess

    from envgen_runtime.probe import look_at_gpus

    # The kernel keeps a signal without a handler from PID 1: `docker stop` would wait in vain.
    _signal.signal(_signal.SIGTERM, lambda *_: os._exit(143))
    # With the packages that this process was started without.
    package = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, package, "test", look_at_gpus(5.0)[1]]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
    return answer.stdout.decode("utf-8", "replace").partition("\n")[0]


def _may_start(mode: str, look_in: str, library: str) -> bool:
    try:
        hopeless, message = check(look_in, library)
    except Exception as error:  # noqa: BLE001 see the module's docstring
        say(f"driver and GPU are not checked: {type(error).__name__}: {error}"[:300])
        return True
    if not hopeless:
        if message:
            say(message)
        return True
    if mode == WARN:
        say(f"{message} (started nevertheless: ENVGEN_START=warn)")
        return True
    say(f"{message} (ENVGEN_START=warn starts it nevertheless)")
    return False


def check(look_in: str = "/", library: str = "") -> tuple[bool, str]:
    """Return whether a start is hopeless, and what is to be said; often nothing."""
    from envgen_runtime.requirement import REQUIREMENT, read_requirement

    requirement = read_requirement(REQUIREMENT, os.uname().machine)
    if requirement is None:
        return False, ""
    from envgen_runtime.gpu import look
    from envgen_runtime.nvml import LIBRARY

    return decide(requirement, look(look_in, library or LIBRARY))


def decide(requirement: Requirement, seen: Seen) -> tuple[bool, str]:
    """Return whether a start is hopeless, and what is to be said; nothing where all is well."""
    from envgen_runtime.fit import compare
    from envgen_runtime.gpu import ABSENT, BROKEN

    if seen.state == ABSENT:
        return _without_gpu(requirement, seen)
    if seen.state == BROKEN:
        hopeless = requirement.required or bool(requirement.parts)
        return hopeless, f"needs an NVIDIA driver that works; has {seen.detail}; fix: {seen.fix}"
    said = [*seen.lost, *seen.notes]
    said += [f"the GPU cannot be looked at: {seen.detail}; fix: {seen.fix}"] if seen.detail else []
    objections = compare(requirement, seen)
    certain = [objection for objection in objections if objection.certain]
    # One GPU that fits is enough: the program may have been told to use that one.
    if certain and len(certain) >= len(seen.gpus):
        return True, str(certain[0])
    said += [f"may fail: {text}" for text in dict.fromkeys(map(str, objections))]
    return False, "; ".join(said)


def _without_gpu(requirement: Requirement, seen: Seen) -> tuple[bool, str]:
    if requirement.required:
        return True, f"needs a GPU; has none: {seen.detail}; fix: {seen.fix}"
    return False, f"no GPU here, going on without one: {seen.detail}"


def execute(command: list[str]) -> int:
    """Replace this process by a command. Returns an exit code where that does not work."""
    # Builtin; `signal` wraps it in enums, which take milliseconds to import.
    import _signal

    if not command:
        say("there is no command: give one after the image's name, or as `command` in the spec")
        return _NOT_FOUND
    # Python ignores these two, and what is ignored stays ignored in the next program.
    for ignored in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(ignored, _signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 there is no shell, on purpose
    except OSError as error:
        say(f"{command[0]} cannot be started: {error.strerror}")
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        return _NOT_FOUND if missing else _NOT_EXECUTABLE


def say(message: str) -> None:
    """Write one line to stderr, as far as there is one."""
    try:
        print(f"envgen: {' '.join(message.split())}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return


if __name__ == "__main__":
    # As a file: to run a directory or a module, Python imports runpy, which takes longer than this.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    raise SystemExit(start(sys.argv[1:]))
