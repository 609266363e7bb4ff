"""The command line: arguments in, one command run, every error told in one place."""

import argparse
import functools
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

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
        command = importlib.import_module(f"envgen.commands.{arguments.command}")
        code: int = command.run(arguments, console)
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


class _Command(NamedTuple):
    """A command's place in the help; `fill` adds its own options."""

    text: str
    examples: str
    fill: Callable[[argparse.ArgumentParser], None]


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
    for name, command in _COMMANDS.items():
        added = commands.add_parser(
            name,
            help=command.text,
            description=command.text[0].upper() + command.text[1:] + ".",
            epilog="examples:\n" + command.examples,
            formatter_class=_FORMATTER,
            allow_abbrev=False,
        )
        if name == only or only not in _COMMANDS:
            _add_common(added)
            command.fill(added)
    return parser


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


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="default: all of the spec")
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def _add_lock_modes(parser: argparse.ArgumentParser) -> None:
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--locked", action="store_true", help="fail where the lock is stale")
    modes.add_argument("--frozen", action="store_true", help="take the lock as it is, unchecked")
    parser.add_argument("--force", action="store_true", help="overwrite edited files")


def _fill_render(parser: argparse.ArgumentParser) -> None:
    _add_images(parser)
    _add_lock_modes(parser)
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--check", action="store_true", help="write nothing, use no network, fail on a difference"
    )
    actions.add_argument("--diff", action="store_true", help="write nothing, show the differences")
    actions.add_argument(
        "-o", "--output", choices=["-"], help="write nothing, print the Dockerfiles"
    )


def _fill_lock(parser: argparse.ArgumentParser) -> None:
    _add_images(parser)
    parser.add_argument(
        "--upgrade",
        nargs="*",
        metavar="PACKAGE",
        help="take the newest versions of these packages; without any, of all and the newest "
        "digests of base images",
    )
    parser.add_argument("--force", action="store_true", help="overwrite edited files")


def _fill_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument(
        "--format",
        choices=["requirements.txt", "pylock.toml", "cyclonedx", "conda-explicit"],
        required=True,
        help="what to write",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: standard output"
    )
    parser.add_argument("--platform", help="which one, for conda-explicit")
    parser.add_argument("--frozen", action="store_true", help="take the lock as it is, unchecked")
    parser.add_argument("--force", action="store_true", help="overwrite a file that is no export")


def _fill_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", default="HEAD", metavar="REV", help="default: HEAD")
    styles = parser.add_mutually_exclusive_group()
    styles.add_argument(
        "--format", choices=["text", "markdown"], default="text", help="default: text"
    )
    styles.add_argument("--json", action="store_true", help="write JSON for machines")


def _fill_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="the dependency file to carry over (default: the best one that is here)",
    )
    parser.add_argument("--image", default="app", metavar="NAME", help="default: app")
    parser.add_argument(
        "--locker",
        choices=["uv", "poetry", "conda-lock", "pip"],
        help="what locks the image (default: what wrote the lock that is there; conda-lock for an "
        "environment.yml; else uv)",
    )
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def _fill_build(parser: argparse.ArgumentParser) -> None:
    _add_images(parser)
    _add_lock_modes(parser)
    parser.add_argument(
        "-t",
        "--tag",
        action="append",
        help="name the image (default: PROJECT-IMAGE); may be repeated",
    )
    parser.add_argument("--no-cache", action="store_true", help="build every stage again")


def _fill_doctor(parser: argparse.ArgumentParser) -> None:
    _add_images(parser)
    parser.add_argument("--driver", metavar="VERSION", help="judge a host with this driver")
    parser.add_argument(
        "--gpu", action="append", metavar="MODEL", help="and with this GPU; may be repeated"
    )
    parser.add_argument(
        "--cdi", action="store_true", help="that injects GPUs by CDI, which enforces nothing"
    )
    hosts = parser.add_mutually_exclusive_group()
    hosts.add_argument("--fleet", type=Path, metavar="FILE", help="judge the pools of a TOML file")
    hosts.add_argument(
        "--nodes",
        type=Path,
        metavar="FILE",
        help="judge the nodes of `kubectl get nodes -o json`; - for standard input",
    )
    parser.add_argument(
        "--image", action="append", metavar="REF", help="judge a foreign image, not the spec's"
    )
    parser.add_argument(
        "--wheel", action="append", metavar="NAME==VERSION", help="judge a wheel by its table row"
    )
    parser.add_argument(
        "--suggest", metavar="PACKAGE", help="name its newest release that runs on all hosts"
    )
    parser.add_argument("--format", choices=["text", "markdown"], default="text")


def _fill_schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=["json", "markdown"], default="json", help="default: json"
    )


def _fill_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=["bash", "fish", "tcsh", "zsh"])


_COMMANDS: Final = {
    "render": _Command(
        "write the files of all images, locking first what is not locked",
        "  python -m envgen render\n"
        "  python -m envgen render --check    # in CI: writes nothing, needs no network",
        _fill_render,
    ),
    "lock": _Command(
        "pin packages and base images, and say what changed",
        "  python -m envgen lock\n"
        "  python -m envgen lock --upgrade\n"
        "  python -m envgen lock serve --upgrade torch numpy",
        _fill_lock,
    ),
    "build": _Command(
        "render, then build images with Docker",
        "  python -m envgen build serve\n"
        "  python -m envgen build serve --tag registry.example/serve:1",
        _fill_build,
    ),
    "explain": _Command(
        "tell every decision of the plan and its reason",
        "  python -m envgen explain serve",
        _add_images,
    ),
    "doctor": _Command(
        "tell whether images run on hosts, and why",
        "  python -m envgen doctor                                  # on this machine\n"
        "  python -m envgen doctor --driver 535.129.03 --gpu A100\n"
        "  python -m envgen doctor --wheel torch==2.9.1+cu128 --driver 580 --gpu V100\n"
        "  kubectl get nodes -o json | python -m envgen doctor --nodes -",
        _fill_doctor,
    ),
    "export": _Command(
        "write an image's lock in a form that other tools read",
        "  python -m envgen export serve --format requirements.txt -o requirements.lock.txt\n"
        "  python -m envgen export serve --format cyclonedx > bom.json",
        _fill_export,
    ),
    "diff": _Command(
        "compare the locks with those of a git revision",
        "  python -m envgen diff\n  python -m envgen diff origin/main --format markdown",
        _fill_diff,
    ),
    "init": _Command(
        "write a spec from the dependency files that are there",
        "  python -m envgen init\n  python -m envgen init --from requirements.txt",
        _fill_init,
    ),
    "schema": _Command(
        "print the JSON Schema of the spec, or its reference",
        "  python -m envgen schema > envgen.schema.json",
        _fill_schema,
    ),
    "completion": _Command(
        "print a completion script for a shell",
        "  envgen completion bash > ~/.local/share/bash-completion/completions/envgen",
        _fill_completion,
    ),
}
