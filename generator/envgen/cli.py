"""The command line: arguments in, one command run, every error told in one place."""

import argparse
import functools
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from envgen import __version__
from envgen.console import Console
from envgen.errors import INTERRUPTED, EnvgenError, StorageError, exit_codes


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    arguments = make_parser(argv[0] if argv else "").parse_args(argv)
    console = Console(
        as_json=getattr(arguments, "json", False),
        quiet=arguments.quiet,
        verbose=arguments.verbose,
    )
    try:
        code: int = _import_command(arguments.command).run(arguments, console)
        sys.stdout.flush()
    except EnvgenError as error:
        console.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        console.note("interrupted; the files are all old or all new")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left (`envgen … | head`): nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if arguments.verbose:
            raise
        what = "the system refused something that envgen did not expect it to refuse"
        console.error(StorageError.single(what, why=str(error)))
        return StorageError.exit_code
    except Exception as error:
        if arguments.verbose:
            raise
        console.error(
            EnvgenError.single(
                f"{type(error).__name__}: {error}",
                fix="run it again with --verbose and report the traceback that it then prints",
            )
        )
        return EnvgenError.exit_code
    return code


_FORMATTER: Final = functools.partial(argparse.RawDescriptionHelpFormatter, width=100)
"""With a width of its own it need not ask the terminal, each time that an option is added."""


def make_parser(only: str = "") -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Args:
        only: The command that will be parsed. Options of the others are then left out: making them
            takes argparse longer than a whole check of a spec takes.

    """
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in exit_codes())
    parser = argparse.ArgumentParser(
        prog="envgen",
        description="Compile an environment: one spec becomes pinned locks, Dockerfiles and a "
        "self-test.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=_FORMATTER,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"envgen {__version__}")
    commands = parser.add_subparsers(
        # With `prog` given argparse need not format a usage line to find it out.
        prog="envgen",
        dest="command",
        metavar="COMMAND",
        required=True,
    )
    for name, text in _COMMANDS.items():
        added = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=_FORMATTER,
            allow_abbrev=False,
        )
        if name == only or only not in _COMMANDS:
            command = _import_command(name)
            added.epilog = "examples:\n" + command.EXAMPLES
            _add_common(added)
            command.add_options(added)
    return parser


def _import_command(name: str) -> Any:  # noqa: ANN401 - a module of `commands`: EXAMPLES, add_options, run
    return importlib.import_module(f"envgen.commands.{name}")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-C",
        "--directory",
        type=Path,
        default=Path(),
        help="the folder of the spec, or one below it (default: here)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what went wrong")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the programs that are run"
    )


_COMMANDS: Final = {
    "render": "write the files of all images, locking first what is not locked",
    "lock": "pin packages and base images, and say what changed",
    "build": "render, then build images with Docker",
    "fetch": "put everything that builds need into a folder, for machines without a network",
    "bake": "print docker-bake.json: the builds of all images, for any builder",
    "push": "write a built image to a registry in its canonical form, with its papers",
    "verify": "tell whether an image is what the spec and the lock give",
    "explain": "tell every decision of the plan and its reason",
    "parity": "tell whether dev, test and prod differ in what the spec does not say",
    "doctor": "tell whether images run on hosts, and why",
    "selftest": "run the self-test of images here, compare machines, measure its cost",
    "export": "write an image's lock in a form that other tools read",
    "diff": "compare the locks with those of a git revision",
    "init": "write a spec from the dependency files, or the code, that are there",
    "register": "write which environment made a model beside the model",
    "identify": "go back from a model, an image or a container to spec, lock and commit",
    "audit": "name known vulnerabilities of what is locked, and check the policy",
    "checklist": "tell what it takes to repeat a run, from the run.json that it left",
    "compare": "tell what could explain that two runs gave different results",
    "hook": "check or render the projects that changed files belong to, offline",
    "bots": "print the configuration of Renovate or Dependabot",
    "schema": "print the JSON Schema of the spec, or its reference",
    "completion": "print a completion script for a shell",
}
"""Every command in a line, in the order of the help; `envgen.commands.<name>` is what runs."""
