"""`envgen render`: write, check, compare or print the files of all images."""

import argparse
from collections.abc import Iterable
from typing import Final

from envgen import output, project
from envgen.commands.options import add_images, add_lock_modes, choose_fetch
from envgen.console import Console
from envgen.copies import require_copies
from envgen.errors import Problem, StaleError
from envgen.leftovers import Leftovers, find_leftovers
from envgen.output import Difference
from envgen.project import Project
from envgen.rendered import RenderedFile

EXAMPLES: Final = """\
  python -m envgen render
  python -m envgen render --check    # in CI: writes nothing, needs no network"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    add_lock_modes(parser)
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--check", action="store_true", help="write nothing, use no network, fail on a difference"
    )
    actions.add_argument("--diff", action="store_true", help="write nothing, show the differences")
    actions.add_argument(
        "-o", "--output", choices=["-"], help="write nothing, print the Dockerfiles"
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.check or arguments.diff or arguments.output:
        return _show(arguments, console)
    fetch = choose_fetch(arguments, console)
    with project.hold_project(arguments.directory, arguments.images, fetch=fetch) as opened:
        current = prepare(opened, arguments, console)
        written = write_project(current, force=arguments.force)
    report_changes(current, console)
    removed = sum(current.read(path) is None for path in written)
    count = f"{len(written) - removed} file{'' if len(written) - removed == 1 else 's'} written"
    count += f", {removed} removed" if removed else ""
    console.summary(
        f"{_name(current)}: {count if written else 'up to date'}",
        {"images": list(current.images), "written": written},
    )
    return 0


def _show(arguments: argparse.Namespace, console: Console) -> int:
    """Check, compare or print: whatever writes no file."""
    fetch = choose_fetch(arguments, console)
    opened = project.open_project(arguments.directory, arguments.images, fetch=fetch)
    if arguments.check:
        count = check_project(opened, frozen=arguments.frozen)
        console.summary(
            f"{_name(opened)}: up to date", {"images": list(opened.images), "files": count}
        )
        return 0
    current = prepare(opened, arguments, console)
    files = project.list_files(current, project.plan_project(current))
    return _show_diff(current, files, console) if arguments.diff else _print(files, console)


def prepare(opened: Project, arguments: argparse.Namespace, console: Console) -> Project:
    """Return the project with a lock that may be rendered, as the lock options ask for.

    Raises:
        SpecError: What the spec would copy does not exist.
        LockError: There is no lock, and `--frozen` was given.
        StaleError: The lock is stale, and `--locked` was given.

    """
    require_copies(opened.loaded)
    if arguments.frozen:
        project.require_lock(opened)
        return opened
    if arguments.locked:
        project.require_locked(opened)
        return opened
    with console.progress() as report:
        return project.bring_up_to_date(opened, report)


def write_project(current: Project, *, force: bool) -> list[str]:
    """Write what differs, remove what is of no use any more, and return the paths of both."""
    plan = project.plan_project(current)
    files = project.list_files(current, plan)
    differences = output.compare(files, current.root)
    if not force:
        output.refuse_edited(differences)
    left = find_leftovers(current, (file.path for file in files))
    output.write([found.file for found in differences], current.root, remove=left.unused)
    name_edited(left)
    return [*(difference.file.path for difference in differences), *left.unused]


def name_edited(left: Leftovers) -> None:
    import logging  # noqa: PLC0415 - a check warns of nothing, and pays a tenth of its time for it

    log = logging.getLogger(__name__)
    for path in left.edited:
        log.warning("%s is of no use any more, and stays because somebody edited it", path)


def report_changes(current: Project, console: Console) -> None:
    if not current.changes:
        return
    from envgen.lock.changes import describe_changes  # noqa: PLC0415 - checks change nothing

    for line in describe_changes(current.changes):
        console.note(f"  {line}")


def check_project(opened: Project, *, frozen: bool = False) -> int:
    """Return how many files of a project agree with its spec and lock. Reads alone.

    Args:
        opened: The project.
        frozen: Whether the lock is taken as it is.

    Raises:
        LockError: There is no lock.
        StaleError: With each image and each file that disagrees.

    """
    if frozen:
        project.require_lock(opened)
    else:
        project.require_locked(opened)
    files = project.list_files(opened, project.plan_project(opened))
    differences = output.compare(files, opened.root)
    left = find_leftovers(opened, (file.path for file in files))
    if differences or left.unused:
        raise StaleError(*map(_tell, differences), *map(_tell_leftover, left.unused))
    return len(files)


def _name(project: Project) -> str:
    """Return the names of a project's images, or how many they are where the line would be long."""
    images = project.images
    return ", ".join(images) if len(images) <= 5 else f"{len(images)} images"


def _tell(difference: Difference) -> Problem:
    words = {
        "missing": "is missing",
        "stale": "is not what the spec and the lock give",
        "edited": "has been edited by hand",
    }
    fix = "run `python -m envgen render`"
    if difference.state == "edited":
        fix = "carry the edit over into the spec; `render --diff` shows it"
    return Problem(what=words[difference.state], file=difference.file.path, fix=fix)


def _tell_leftover(path: str) -> Problem:
    return Problem(
        what="is of no use any more",
        file=path,
        why="its image, or what locked it, is not in the spec",
        fix="run `python -m envgen render`, which removes it",
    )


def _show_diff(current: Project, files: Iterable[RenderedFile], console: Console) -> int:
    import difflib  # noqa: PLC0415 - only --diff needs it

    differences = output.compare(files, current.root)
    lines: list[str] = []
    for difference in differences:
        lines += difflib.unified_diff(
            difference.found.decode(errors="replace").splitlines(keepends=True),
            difference.file.content.decode().splitlines(keepends=True),
            fromfile=f"a/{difference.file.path}",
            tofile=f"b/{difference.file.path}",
        )
    paths = [difference.file.path for difference in differences]
    console.result("".join(lines), {"changed": paths, "diff": "".join(lines)})
    return 0


def _print(files: Iterable[RenderedFile], console: Console) -> int:
    dockerfiles = [file for file in files if file.path.endswith("/Dockerfile")]
    texts = {file.path: file.content.decode() for file in dockerfiles}
    console.result("\n".join(texts.values()), texts)
    return 0
