"""`envgen export`: an image's lock in a form that other tools read. Needs no network."""

import argparse
from pathlib import Path
from typing import Final

from packaging.pylock import is_valid_pylock_path

from envgen import output, project
from envgen.console import Console
from envgen.errors import EditedError, UsageError
from envgen.export import export
from envgen.export.content import read_content
from envgen.rendered import RenderedFile

EXAMPLES: Final = """\
  python -m envgen export serve --format requirements.txt -o requirements.lock.txt
  python -m envgen export serve --format cyclonedx > bom.json"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument(
        "--format",
        choices=["requirements.txt", "pylock.toml", "cyclonedx", "spdx", "conda-explicit"],
        required=True,
        help="what to write",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: standard output"
    )
    parser.add_argument("--platform", help="which one, for conda-explicit")
    parser.add_argument("--frozen", action="store_true", help="take the lock as it is, unchecked")
    parser.add_argument("--force", action="store_true", help="overwrite a file that is no export")


_NEVER_WRITTEN_BY_HAND: Final = {"cyclonedx", "spdx"}
"""Forms without comments, so that no seal tells an own file from a person's."""


def run(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.platform and arguments.format != "conda-explicit":
        raise UsageError.single(
            "--platform is for conda-explicit", fix="leave it out; the other forms hold all of them"
        )
    opened = project.open_project(arguments.directory, [arguments.image])
    if arguments.frozen:
        project.require_lock(opened)
    else:
        project.require_locked(opened)
    content = export(arguments.format, read_content(opened, arguments.image, arguments.platform))
    if arguments.output is None or arguments.output == Path("-"):
        console.result(content.decode())
        return 0
    target: Path = arguments.output
    _check_name(target, arguments.format)
    _write(target, content, arguments)
    console.note(f"{target} written")
    return 0


def _check_name(target: Path, form: str) -> None:
    if form == "pylock.toml" and not is_valid_pylock_path(target):
        raise UsageError.single(
            f"installers do not take {target.name} for a pylock.toml",
            why="PEP 751 wants pylock.toml or pylock.NAME.toml, without dots in NAME",
            fix="as pylock.serve.toml",
        )


def _write(target: Path, content: bytes, arguments: argparse.Namespace) -> None:
    """Write an export where the user wants it.

    Raises:
        EditedError: There is a file that is not an untouched export.

    """
    file = RenderedFile(
        path=target.name,
        content=content,
        guarded=arguments.format not in _NEVER_WRITTEN_BY_HAND,
    )
    differences = output.compare([file], target.parent)
    if not arguments.force and any(found.state == "edited" for found in differences):
        raise EditedError.single(
            "is not an export, or has been edited since",
            file=str(target),
            fix="name another file, or overwrite it with --force",
        )
    output.write([found.file for found in differences], target.parent)
