"""Commands: start (of a container), probe (the health check), and what people run.

`test`, `worker` and `devices` are processes that the others start; they are not for people.
"""

from __future__ import annotations

import os
import sys

FOR_PEOPLE = ("run", "record", "compare", "matrix", "cost", "explain", "--help", "-h")
USAGE = (
    "usage: python /opt/envgen/envgen_runtime start -- COMMAND... | probe [--port N] | run | "
    "record | compare | matrix | cost | explain; --help tells more"
)


def main(arguments: list[str]) -> int:
    # Each command imports only what it needs: start and probe must stay within milliseconds.
    if arguments[:2] == ["start", "--"]:
        from envgen_runtime.start import start

        return start(arguments[2:])
    if arguments == ["probe"]:
        from envgen_runtime.probe import probe

        return probe()
    if len(arguments) == 3 and arguments[:2] == ["probe", "--port"] and arguments[2].isdigit():
        from envgen_runtime.probe import probe

        return probe(int(arguments[2]))
    if arguments[:1] == ["test"] and len(arguments) == 2:
        from envgen_runtime.probe import test

        return test(arguments[1])
    if arguments[:1] == ["worker"]:
        return _work(arguments[1:])
    if arguments == ["devices"]:
        return _describe_devices()
    if arguments and arguments[0] in FOR_PEOPLE:
        _die_quietly_with_the_reader()
        from envgen_runtime.commands import obey

        return obey(arguments)
    print(USAGE, file=sys.stderr)
    return 1  # not the customary 2, which Docker reserves


def _work(arguments: list[str]) -> int:
    from envgen_runtime.worker import work

    name, mode, conditions, limit_s, *without = arguments
    return work(
        name,
        mode=mode,
        conditions=conditions.split(),
        limit_s=float(limit_s),
        without=without,
    )


def _describe_devices() -> int:
    import json

    from envgen_runtime.cudriver import describe

    print(json.dumps(describe()))
    return 0


def _die_quietly_with_the_reader() -> None:
    """Let `run | head` end like any other program."""
    import signal

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


if __name__ == "__main__":
    if not __package__:
        # Started as a directory: Python has put the directory itself on sys.path, where our module
        # names could shadow others. Its parent belongs there instead.
        here = os.path.dirname(os.path.abspath(__file__))
        sys.path[:] = [os.path.dirname(here), *(entry for entry in sys.path if entry != here)]
    # A message may carry bytes that the locale cannot print; that must not break the answer.
    if sys.stdout is not None:  # as it is where somebody has closed it
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    raise SystemExit(main(sys.argv[1:]))
