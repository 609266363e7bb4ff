"""`envgen bots`: configuration for Renovate or Dependabot, on standard output."""

import argparse
import os
from pathlib import Path
from typing import Final

from envgen import project
from envgen.console import Console

EXAMPLES: Final = """\
  python -m envgen bots renovate > renovate.json
  python -m envgen bots dependabot > .github/dependabot.yml"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bot", choices=["dependabot", "renovate"])


def run(arguments: argparse.Namespace, console: Console) -> int:
    from envgen import bots  # noqa: PLC0415 - imports yaml

    opened = project.open_project(arguments.directory, [])
    folder = _within_repository(opened.root)
    if arguments.bot == "renovate":
        console.result(bots.render_renovate(folder))
        console.note(
            f"postUpgradeTasks need a Renovate of your own, with `{bots.RENDER}` among its "
            "allowedCommands; for the hosted one, run that command on its branches in your CI"
        )
        return 0
    console.result(bots.render_dependabot(opened.loaded.spec, folder))
    console.note(f"run `{bots.RENDER}` on Dependabot's branches in your CI: it updates locks alone")
    unserved = bots.list_unserved(opened.loaded.spec)
    if unserved:
        console.note(f"it cannot update {', '.join(unserved)}: use `envgen lock --upgrade` there")
    return 0


def _within_repository(root: Path) -> str:
    """Return the spec's folder from the repository's top; empty for the top or outside of one."""
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    relative = Path(os.path.relpath(root, top)).as_posix()
    return "" if relative == "." else relative
