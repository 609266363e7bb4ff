"""Commands: start (of a container), probe (the health check), run [--json], explain.

`record` and `worker` are the processes that these three start; they are not for people.
"""

from __future__ import annotations

import os
import sys

USAGE = (
    "usage: python /opt/envgen/envgen_runtime "
    "start -- COMMAND... | probe [--port N] | run [--json] | explain"
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
    if arguments == ["record"]:
        from envgen_runtime.probe import record

        return record()
    if arguments[:1] == ["worker"]:
        from envgen_runtime.worker import work

        name, passes, limit_s, *without = arguments[1:]
        return work(name, passes=int(passes), limit_s=float(limit_s), without=without)
    if arguments and arguments[0] in ("run", "explain"):
        _die_quietly_with_the_reader()
    if arguments in (["run"], ["run", "--json"]):
        from envgen_runtime.commands import run

        return run(as_json="--json" in arguments)
    if arguments == ["explain"]:
        from envgen_runtime.commands import explain

        return explain()
    print(USAGE, file=sys.stderr)
    return 1  # not the customary 2, which Docker reserves


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
