"""What a user sees: results on standard output, everything else on standard error."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from envgen.errors import EnvgenError


class Console:
    """Writes for people, or for machines with `as_json`.

    Args:
        as_json: Results and errors become JSON on standard output.
        quiet: Nothing is written but what was asked for, warnings and errors.
        verbose: The programs that are run are shown, and what they said.

    """

    def __init__(
        self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose

    def result(self, text: str, data: Any = None) -> None:  # noqa: ANN401 - any JSON value
        """Write what the command was asked for."""
        if self.as_json:
            _print(json.dumps(data, indent=2) + "\n")
        elif text:
            _print(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def summary(self, text: str, data: Any) -> None:  # noqa: ANN401 - any JSON value
        """Write how a command that changes files went; `quiet` leaves it out."""
        if self.as_json or not self.quiet:
            self.result(text, data)

    def note(self, text: str) -> None:
        """Write what is good to know."""
        if not self.quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def confirm(self, question: str) -> bool:
        """Ask for a yes, where somebody is there to give it; else the answer is no."""
        if self.quiet or self.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def error(self, error: EnvgenError) -> None:
        problems = error.problems
        if self.as_json:
            listed = [
                {key: getattr(p, key) for key in ("file", "key", "what", "why", "fix")}
                for p in problems
            ]
            data = {"exit-code": error.exit_code, "error": error.title, "problems": listed}
            _print(json.dumps(data, indent=2) + "\n")
            return
        count = f" ({len(problems)} problems)" if len(problems) > 1 else ""
        head = _style("error:", "1;31") + f" {error.title}{count}\n"
        sys.stderr.write(head + "\n".join(str(problem) for problem in problems) + "\n")

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Yield a function that tells what is going on: a spinner on a terminal, else lines.

        Warnings that come up meanwhile are shown, with `verbose` everything that is logged.
        """
        # Here and not at the start: a check neither logs nor pays for importing it.
        from envgen.logs import show_logs  # noqa: PLC0415

        show_logs(self.write_log, verbose=self.verbose)
        if self.quiet or self.as_json or self.verbose or not sys.stderr.isatty():
            yield self.note
            return
        from rich.console import Console as Terminal  # noqa: PLC0415 - only a terminal needs it

        with Terminal(stderr=True).status("") as status:
            yield status.update

    def write_log(self, text: str, *, warning: bool) -> None:
        label = _style("warning:", "1;33") + " " if warning else ""
        sys.stderr.write(f"{label}{text}\n")


def _print(text: str) -> None:
    """Write to standard output, with escapes for what its encoding does not have."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _style(text: str, code: str) -> str:
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        return f"\x1b[{code}m{text}\x1b[0m"
    return text
