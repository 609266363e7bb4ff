"""`envgen hook`: what pre-commit runs, for every project that the changed files belong to.

It uses no network. `check` writes nothing; `render` writes what spec and lock give, and fails where
it wrote, as hooks do that mend files: what it wrote has to be staged.
"""

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from envgen import project
from envgen.commands.render import check_project, write_project
from envgen.console import Console
from envgen.copies import require_copies
from envgen.errors import EnvgenError, Problem, StaleError
from envgen.spec.load import find_root

EXAMPLES: Final = """\
  python -m envgen hook check services/ranker/envgen.toml
  python -m envgen hook render $(git diff --name-only --cached)"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["check", "render"])
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="changed files (default: this folder)"
    )
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def run(arguments: argparse.Namespace, console: Console) -> int:
    folder = arguments.directory.absolute()
    roots = find_roots(
        # "..", taken away by name: above it there may be another project.
        Path(os.path.normpath(folder / file))
        for file in arguments.files or [Path("envgen.toml")]
    )
    act = _check if arguments.action == "check" else _render
    failures = []
    for root in roots:
        try:
            act(root)
        except EnvgenError as error:
            failures.append(_place(error, _prefix(root, folder)))
    if failures:
        _raise_together(failures)
    names = [_prefix(root, folder) or "." for root in roots]
    console.summary(
        f"{', '.join(names)}: up to date" if names else "no project has changed",
        {"projects": names},
    )
    return 0


def find_roots(files: Iterable[Path]) -> list[Path]:
    """Return the folders of the specs at or above the files, each once, sorted.

    A deleted file counts as well; a file that no spec is above belongs to somebody else.
    """
    # Hooks name many files of few folders.
    folders = {file.parent for file in files}
    return sorted({root for folder in folders if (root := find_root(folder)) is not None})


def _check(root: Path) -> None:
    check_project(project.open_project(root, []))


def _render(root: Path) -> None:
    with project.hold_project(root, []) as opened:
        require_copies(opened.loaded)
        project.require_locked(opened)
        written = write_project(opened, force=False)
    if written:
        raise StaleError(
            *(
                Problem(file=path, what="has been rendered again", fix="stage it")
                for path in written
            )
        )


def _prefix(root: Path, folder: Path) -> str:
    return Path(os.path.relpath(root, folder)).as_posix() if root != folder else ""


def _place(error: EnvgenError, prefix: str) -> EnvgenError:
    """Return an error whose files are told from the folder of the hook, not from the project's."""
    if not prefix:
        return error
    return type(error)(
        *(
            msgspec.structs.replace(
                problem, file=f"{prefix}/{problem.file}" if problem.file else prefix
            )
            for problem in error.problems
        )
    )


def _raise_together(failures: list[EnvgenError]) -> None:
    """Raise what all projects have wrong, as the gravest of their kinds."""
    gravest: Callable[..., EnvgenError] = max(failures, key=lambda error: error.exit_code).__class__
    raise gravest(*(problem for error in failures for problem in error.problems))
