"""Write docs/commands.md: every command, argument and option, from the parser itself.

It shows the difference; `--write` writes it. Needs no network.
"""

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from envgen.cli import make_parser
from envgen.errors import exit_codes

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "commands.md"
_INTRODUCTION: Final = """\
# Commands

Every command takes `-C DIRECTORY` for another folder than this one, `-q` to say only what went
wrong, `-v` to show the programs that are run, and `-h`. They are left out below.

This page is generated: `python generator/bin/write_commands.py --write`.
"""
_COMMON: Final = {"help", "directory", "quiet", "verbose", "version"}


def make_reference() -> str:
    """Return the text of docs/commands.md."""
    parts = [_INTRODUCTION]
    for name, parser in _commands(make_parser()):
        parts += _describe(name, parser)
    parts.append("## Exit codes\n\n| code | meaning |\n|---|---|")
    parts += [f"| {code} | {meaning} |" for code, meaning in exit_codes()]
    return "\n".join(parts) + "\n"


# argparse has no public way to list what was added to a parser; shtab takes this one, too.
def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.items()


def _describe(name: str, parser: argparse.ArgumentParser, level: str = "##") -> Iterator[str]:
    yield f"{level} {name}\n"
    if parser.description:
        yield f"{parser.description}\n"
    shown = [action for action in parser._actions if _is_shown(action)]  # noqa: SLF001
    if shown:
        yield "| argument | meaning |\n|---|---|"
        yield from (f"| {_form(action)} | {_meaning(action)} |" for action in shown)
        yield ""
    if parser.epilog:
        yield f"```text\n{parser.epilog}\n```\n"
    for sub, below in _commands(parser):
        yield from _describe(f"{name} {sub}", below, f"{level}#")


def _is_shown(action: argparse.Action) -> bool:
    inner = isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    return not inner and action.dest not in _COMMON and action.help != argparse.SUPPRESS


def _form(action: argparse.Action) -> str:
    choices = "\\|".join(str(choice) for choice in action.choices or ())
    value = str(action.metavar or choices or action.dest.upper())
    if not action.option_strings:
        many = {"*": "[{}…]", "+": "{}…", "?": "[{}]"}.get(str(action.nargs), "{}")
        return f"`{many.format(value)}`"
    takes = (
        ""
        if action.nargs == 0
        else {"?": f" [{value}]", "*": f" [{value}…]"}.get(str(action.nargs), f" {value}")
    )
    return ", ".join(f"`{option}{takes}`" for option in action.option_strings)


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "").replace("%%", "%").replace("|", "\\|")
    return text % vars(action) if "%(" in text else text


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help="write the page")
    arguments = parser.parse_args()
    old = REFERENCE.read_text(encoding="utf-8") if REFERENCE.exists() else ""
    new = make_reference()
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(before, after, REFERENCE.name, REFERENCE.name))
    if arguments.write:
        REFERENCE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
