"""`envgen selftest`: the self-test of images, on this machine. Needs no spec and no network."""

import argparse
import sys
from typing import Any, Final

from envgen import process
from envgen.console import Console
from envgen.resources import RUNTIME

EXAMPLES: Final = """\
  python -m envgen selftest
  python -m envgen selftest run --against node-1.json --python .venv/bin/python
  python -m envgen selftest record -o node-1.json
  python -m envgen selftest compare before.json after.json
  cat fleet/*.json | python -m envgen selftest matrix --format markdown
  python -m envgen selftest cost

The exit code is 0 where nothing is wrong, 1 where bits differ that should not, 2 without an answer.
In an image it is `python3 /opt/envgen/envgen_runtime`, with the same commands after it."""

_ACTIONS: Final = {
    "run": "test now and print every result (default)",
    "record": "test now and write the fingerprint of this machine",
    "compare": "say what changed between two fingerprints",
    "matrix": "find the odd one out in the fingerprints of a fleet",
    "cost": "measure what deterministic mode costs here",
    "explain": "tell what would be tested here",
}


_OPTIONS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "run": {
        "--against": {"metavar": "FILE", "help": "compare with a fingerprint, too"},
        "--json": {"action": "store_true", "help": "print the whole report"},
    },
    "record": {
        "--output": {"metavar": "FILE", "help": "default: standard output"},
        "--name": {"help": "of this machine; default: its host name"},
    },
    "compare": {
        "files": {"nargs": 2, "metavar": "FILE", "help": "a fingerprint; - is standard input"},
        "--exact": {"action": "store_true", "help": "expected differences fail as well"},
        "--format": {"choices": ["text", "markdown", "json"]},
        "--json": {"action": "store_true", "help": "--format json"},
    },
    "matrix": {
        "files": {"nargs": "*", "metavar": "FILE", "help": "default: standard input"},
        "--format": {"choices": ["text", "markdown", "json"]},
        "--json": {"action": "store_true", "help": "--format json"},
    },
    "cost": {
        "--format": {"choices": ["text", "markdown", "json"]},
        "--json": {"action": "store_true", "help": "--format json"},
    },
    "explain": {},
}
"""What each action takes, as the self-test's own parser has it (envgen_runtime/arguments.py)."""


def add_options(parser: argparse.ArgumentParser) -> None:
    _add(parser, "run")
    actions = parser.add_subparsers(prog="envgen selftest", dest="action", metavar="ACTION")
    for name, text in _ACTIONS.items():
        _add(actions.add_parser(name, help=text, allow_abbrev=False), name)


def _add(parser: argparse.ArgumentParser, action: str) -> None:
    python: dict[str, Any] = {
        "metavar": "PATH",
        "help": "whose packages are tested (default: the one that runs envgen)",
    }
    for name, options in {"--python": python, **_OPTIONS[action]}.items():
        short = ("-o",) if name == "--output" else ()
        # Without a default of its own, an option may stand before the action and behind it.
        optional: dict[str, Any] = {"default": argparse.SUPPRESS} if name.startswith("-") else {}
        parser.add_argument(*short, name, **options, **optional)


def run(arguments: argparse.Namespace, console: Console) -> int:
    del console  # the self-test prints by itself, as it does in an image
    program = process.find_program(
        getattr(arguments, "python", sys.executable),
        why="the self-test runs the packages of a Python",
        fix="name another one with --python",
    )
    action = arguments.action or "run"
    finished = process.run(
        (program, RUNTIME / "envgen_runtime", action, *_forward(arguments, action)),
        input_text=sys.stdin.read() if _reads_stdin(arguments, action) else None,
        passthrough=True,
    )
    return finished.returncode


def _reads_stdin(arguments: argparse.Namespace, action: str) -> bool:
    files = getattr(arguments, "files", []) or (["-"] if action == "matrix" else [])
    return "-" in [*files, getattr(arguments, "against", "")]


def _forward(arguments: argparse.Namespace, action: str) -> list[str]:
    """Return what was given of the options that an action has."""
    words: list[str] = []
    for name in _OPTIONS[action]:
        value = getattr(arguments, name.removeprefix("--"), None)
        if value is True:
            words.append(name)
        elif value and name.startswith("--"):
            words.append(f"{name}={value}")
    files = getattr(arguments, "files", [])
    return [*words, "--", *files] if files else words
