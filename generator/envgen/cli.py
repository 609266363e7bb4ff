"""The command line: arguments in, one command run, every error told in one place."""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from envgen import __version__
from envgen.console import Console, WarningHandler
from envgen.errors import INTERRUPTED, EnvgenError, exit_codes


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    arguments = make_parser().parse_args(argv)
    console = Console(as_json=getattr(arguments, "json", False), quiet=arguments.quiet)
    _log_to_terminal(verbose=arguments.verbose)
    try:
        command = importlib.import_module(f"envgen.commands.{arguments.command}")
        code: int = command.run(arguments, console)
        sys.stdout.flush()
    except EnvgenError as error:
        console.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        console.note("interrupted; no file was changed")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left (`envgen … | head`): nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
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


def _log_to_terminal(*, verbose: bool) -> None:
    logger = logging.getLogger("envgen")
    logger.handlers[:] = [WarningHandler()]
    logger.propagate = False
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


def make_parser() -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in exit_codes())
    parser = argparse.ArgumentParser(
        prog="envgen",
        description="Compile an environment: one spec becomes pinned locks, Dockerfiles and a "
        "self-test.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"envgen {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    common = _common_options()
    _add_render(commands, common)
    _add_lock(commands, common)
    _add_build(commands, common)
    _add_explain(commands, common)
    _add_schema(commands, common)
    _add_completion(commands, common)
    return parser


_Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def _common_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument(
        "-C",
        "--directory",
        type=Path,
        default=Path(),
        help="the folder of the spec, or one below it (default: here)",
    )
    common.add_argument("-q", "--quiet", action="store_true", help="say only what went wrong")
    common.add_argument(
        "-v", "--verbose", action="store_true", help="show the programs that are run"
    )
    return common


def _add(
    commands: "_Commands[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
    name: str,
    text: str,
    example: str,
    *,
    json: bool = True,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        parents=[common],
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog="examples:\n" + example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if json:
        parser.add_argument("--json", action="store_true", help="write JSON for machines")
    return parser


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="default: all of the spec")


def _add_lock_modes(parser: argparse.ArgumentParser) -> None:
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--locked", action="store_true", help="fail where the lock is stale")
    modes.add_argument("--frozen", action="store_true", help="take the lock as it is, unchecked")


def _add_render(
    commands: "_Commands[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    parser = _add(
        commands,
        common,
        "render",
        "write the files of all images, locking first what is not locked",
        "  python -m envgen render\n  python -m envgen render --check    # in CI: writes nothing",
    )
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
    parser.add_argument("--force", action="store_true", help="overwrite edited files")


def _add_lock(
    commands: "_Commands[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    parser = _add(
        commands,
        common,
        "lock",
        "pin packages and base images, and say what changed",
        "  python -m envgen lock\n  python -m envgen lock --upgrade serve",
    )
    _add_images(parser)
    parser.add_argument(
        "--upgrade", action="store_true", help="take the newest versions and digests"
    )
    parser.add_argument("--force", action="store_true", help="overwrite edited files")


def _add_build(
    commands: "_Commands[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    parser = _add(
        commands,
        common,
        "build",
        "render, then build images with Docker",
        "  python -m envgen build serve\n  python -m envgen build serve --tag registry/serve:1",
    )
    _add_images(parser)
    _add_lock_modes(parser)
    parser.add_argument(
        "-t",
        "--tag",
        action="append",
        help="name the image (default: PROJECT-IMAGE); may be repeated",
    )
    parser.add_argument("--no-cache", action="store_true", help="build every stage again")
    parser.add_argument("--force", action="store_true", help="overwrite edited files")


def _add_explain(
    commands: "_Commands[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    parser = _add(
        commands,
        common,
        "explain",
        "tell every decision of the plan and its reason",
        "  python -m envgen explain serve",
    )
    _add_images(parser)


def _add_schema(
    commands: "_Commands[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    parser = _add(
        commands,
        common,
        "schema",
        "print the JSON Schema of the spec, or its reference",
        "  python -m envgen schema > envgen.schema.json",
        json=False,
    )
    parser.add_argument(
        "--format", choices=["json", "markdown"], default="json", help="default: json"
    )


def _add_completion(
    commands: "_Commands[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    parser = _add(
        commands,
        common,
        "completion",
        "print a completion script for a shell",
        "  envgen completion bash > ~/.local/share/bash-completion/completions/envgen",
        json=False,
    )
    parser.add_argument("shell", choices=["bash", "fish", "tcsh", "zsh"])
