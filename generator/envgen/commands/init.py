"""`envgen init`: a spec from the dependency files that are there, or the smallest one."""

import argparse
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from envgen import output
from envgen.adopt.found import Found, Left
from envgen.adopt.python import choose_python
from envgen.adopt.sources import find_sources, read_source
from envgen.adopt.write import SCHEMA_FILE, write_spec, write_table
from envgen.console import Console
from envgen.errors import EditedError, UsageError
from envgen.lock.request import image_folder
from envgen.rendered import RenderedFile
from envgen.spec.forms import check_image_name
from envgen.spec.load import PYPROJECT, SPEC_FILE
from envgen.spec.parse import parse_spec
from envgen.spec.pyproject import adopt_pyproject

EXAMPLES: Final = """\
  python -m envgen init
  python -m envgen init --from requirements.txt"""


def add_options(parser: argparse.ArgumentParser) -> None:
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


def run(arguments: argparse.Namespace, console: Console) -> int:
    root: Path = arguments.directory.absolute()
    image: str = arguments.image
    _check(root, image)
    sources = [arguments.source] if arguments.source else list(find_sources(root))
    found = (
        read_source(sources[0], arguments.locker or "")
        if sources
        else Found(sources=(), locker=arguments.locker or "uv")
    )
    in_place = found.table and sources[0].absolute() == root / PYPROJECT
    if in_place:
        text = write_table(found, image=image)
        _parse_with_table(root / PYPROJECT, text)
    else:
        text = write_spec(found, folder=root.name, image=image)
        parse_spec(tomllib.loads(text), file=SPEC_FILE)
    files = _list_files(root, found, "" if in_place else text, image)
    output.write(files, root)
    written = [file.path for file in files]
    unread = [path.name for path in sources[1:] if path.name not in found.sources]
    for line in _tell(found, written, unread=unread):
        console.note(line)
    # A blank line first: it is appended to a file that may not end in one.
    result = f"\n{text}" if in_place else f"{SPEC_FILE} written"
    console.result(
        result,
        {
            "sources": list(found.sources),
            "written": written,
            "spec": text,
            "left": msgspec.to_builtins(found.left),
        },
    )
    if in_place:
        console.note(
            f"\nAppend what stands above to {PYPROJECT}: python -m envgen init >> {PYPROJECT}"
        )
    elif not (root / SCHEMA_FILE).exists():
        console.note(f"for completion in editors: python -m envgen schema > {SCHEMA_FILE}")
    return 0


def _check(root: Path, image: str) -> None:
    """Refuse to write where there is a spec, or no folder.

    Raises:
        EditedError: There is an envgen.toml.
        UsageError: There is no such folder, or the image's name is none.

    """
    if not root.is_dir():
        raise UsageError.single(f"there is no folder {root}")
    fault = check_image_name(image)
    if fault:
        raise UsageError.single(fault.what, key="--image", why=fault.why, fix=fault.fix)
    if (root / SPEC_FILE).exists():
        raise EditedError.single(
            "is there already",
            file=SPEC_FILE,
            why="init writes a first spec and never replaces one",
            fix="edit it, or move it away",
        )


def _parse_with_table(path: Path, table: str) -> None:
    """Make sure that a pyproject.toml is a spec once the table is in it.

    Raises:
        SpecError: It is not.

    """
    document = tomllib.loads(f"{path.read_text(encoding='utf-8-sig')}\n{table}")
    adopted = adopt_pyproject(document)
    parse_spec(adopted.document, file=PYPROJECT, locate=adopted.locate, problems=adopted.problems)


def _list_files(root: Path, found: Found, spec: str, image: str) -> list[RenderedFile]:
    files = [RenderedFile(path=SPEC_FILE, content=spec.encode())] if spec else []
    lock = f"{image_folder(image)}/{found.native}"
    if found.lock and not (root / lock).exists():
        files.append(RenderedFile(path=lock, content=found.lock))
    return files


def _tell(found: Found, written: list[str], *, unread: list[str]) -> Iterator[str]:
    """Yield what was read, what was carried over, and what was not."""
    if not found.sources:
        yield "there is no dependency file here; the spec is the smallest one"
    else:
        yield f"read {', '.join(found.sources)}"
    if unread:
        yield f"not read: {', '.join(unread)} (name one with --from to start from it instead)"
    yield from _tell_carried(found)
    yield from (f"  the pins of {found.native}, in {path}" for path in written if path != SPEC_FILE)
    if found.left:
        yield f"not carried over ({len(found.left)}):"
        for left in found.left:
            yield from _tell_left(left)


def _tell_carried(found: Found) -> Iterator[str]:
    python, trouble = choose_python(found.python)
    yield "carried over:"
    if trouble:
        yield f"  Python {python} instead of {found.python!r}: {trouble}"
    elif found.python:
        yield f"  Python {python}, the newest that {found.python!r} admits"
    else:
        yield f"  Python {python}, the newest with a known base image: no file says which"
    count = len(found.dependencies)
    pins = f", and {len(found.pins)} pins of what they need" if found.pins else ""
    yield f"  {count} requirement{'' if count == 1 else 's'}{pins}"
    if found.conda:
        channels = ", ".join(found.channels) or "conda-forge"
        yield f"  {len(found.conda)} conda packages from {channels}"
    if found.locker != "uv":
        yield f"  {found.locker} as the image's locker (--locker uv for uv)"
    if found.index:
        yield f"  the index {found.index}"
    if found.env:
        yield f"  the variables {', '.join(found.env)}"
    if found.gpu:
        yield "  that a GPU is needed"


def _tell_left(left: Left) -> Iterator[str]:
    yield f"  {left.where}: {left.what}"
    yield f"    why: {left.why}"
    if left.fix:
        yield f"    fix: {left.fix}"
