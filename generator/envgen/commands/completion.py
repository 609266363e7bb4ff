"""`envgen completion`: a script that a shell loads, with every command and option in it."""

import argparse
from typing import Final

from envgen.console import Console

EXAMPLES: Final = """\
  envgen completion bash > ~/.local/share/bash-completion/completions/envgen"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=["bash", "fish", "tcsh", "zsh"])


def run(arguments: argparse.Namespace, console: Console) -> int:
    import shtab  # noqa: PLC0415 - nothing else needs it

    from envgen.cli import make_parser  # noqa: PLC0415 - cli imports commands by name

    console.result(shtab.complete(make_parser(), shell=arguments.shell))
    return 0
