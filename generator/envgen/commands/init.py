"""`envgen init`: a spec from the dependency files and the code that are there."""

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from envgen import output
from envgen.adopt.code import Code, read_code
from envgen.adopt.describe import describe, describe_proposal
from envgen.adopt.found import Found
from envgen.adopt.preset import NO_PRESET, Proposal, apply, names_gpu, propose
from envgen.adopt.sources import find_sources, read_source, read_traces
from envgen.adopt.write import SCHEMA_FILE, write_spec, write_table
from envgen.commands import questions
from envgen.console import Console
from envgen.errors import EditedError, UsageError
from envgen.lock.request import image_folder
from envgen.presets import preset_names
from envgen.rendered import RenderedFile
from envgen.spec.forms import check_image_name
from envgen.spec.load import PYPROJECT, SPEC_FILE
from envgen.spec.parse import parse_spec
from envgen.spec.pyproject import adopt_pyproject

EXAMPLES: Final = """\
  python -m envgen init
  python -m envgen init --from requirements.txt
  python -m envgen init --image serve --preset sklearn-serve --yes"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="the dependency file to carry over (default: the best one that is here)",
    )
    parser.add_argument("--image", metavar="NAME", help="default: app")
    parser.add_argument(
        "--locker",
        choices=["uv", "poetry", "conda-lock", "pip"],
        help="what locks the image (default: what wrote the lock that is there; conda-lock for an "
        "environment.yml; else uv)",
    )
    parser.add_argument(
        "--preset",
        choices=[*preset_names(), NO_PRESET],
        metavar="NAME",
        help="the preset to start from, or none (default: the one that suits what is here)",
    )
    parser.add_argument(
        "-y", "--yes", action="store_true", help="ask nothing: take what is proposed"
    )
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


_IMAGE: Final = "app"


def run(arguments: argparse.Namespace, console: Console) -> int:
    root: Path = arguments.directory.absolute()
    _check(root, arguments.image or _IMAGE)
    asks = questions.can_ask() and not (arguments.yes or arguments.json or arguments.quiet)
    sources = _list_sources(root, arguments.source, asks=asks)
    code = read_code(root)
    found = _read(root, sources, code, arguments.locker or "")
    image = arguments.image or (_ask_image() if asks else _IMAGE)
    proposal = propose(found, code, root)
    preset = _choose_preset(arguments.preset, proposal, asks=asks)
    found = apply(found, preset, code, root)
    in_place = found.table and sources[0].absolute() == root / PYPROJECT
    text = _write_checked(found, root, image, in_place=in_place)
    files = _list_files(root, found, "" if in_place else text, image)
    output.write(files, root)
    written = [file.path for file in files]
    unread = [path.name for path in sources[1:] if path.name not in found.sources]
    for line in (
        *describe(found, written, unread=unread),
        *describe_proposal(found, proposal, code),
    ):
        console.note(line)
    # A blank line first: it is appended to a file that may not end in one.
    result = f"\n{text}" if in_place else f"{SPEC_FILE} written"
    console.result(result, _report(found, proposal, written, text))
    _tell_next(root, console, in_place=in_place)
    return 0


def _list_sources(root: Path, named: Path | None, *, asks: bool) -> list[Path]:
    """Return the dependency files, the one to start from first."""
    if named:
        return [named]
    sources = list(find_sources(root))
    if asks and len(sources) > 1:
        names = [path.name for path in sources]
        chosen = questions.ask("Which file says what is needed", names[0], names)
        sources.sort(key=lambda path: path.name != chosen)
    return sources


def _read(root: Path, sources: Sequence[Path], code: Code, locker: str) -> Found:
    found = read_source(sources[0], locker) if sources else read_traces(root, code, locker)
    return msgspec.structs.replace(found, gpu=found.gpu or names_gpu(found, code))


def _ask_image() -> str:
    while True:
        name = questions.ask("What is the image called", _IMAGE)
        fault = check_image_name(name)
        if fault is None:
            return name
        questions.tell(f"{fault.what}: {fault.fix or fault.why}")


def _choose_preset(asked: str | None, proposal: Proposal, *, asks: bool) -> str:
    """Return the preset to write; what has an objection is never taken without a question."""
    if asked:
        return "" if asked == NO_PRESET else asked
    if not proposal.preset:
        return ""
    if asks:
        question = f"Start from the preset {proposal.preset}, because of {proposal.why}"
        if proposal.against:
            questions.tell(f"against it: {proposal.against}")
        taken = questions.confirm(question, default=not proposal.against)
        return proposal.preset if taken else ""
    return "" if proposal.against else proposal.preset


def _write_checked(found: Found, root: Path, image: str, *, in_place: bool) -> str:
    """Return the text of a spec, or of the table for a pyproject.toml, once it parses.

    Raises:
        SpecError: It does not.

    """
    if in_place:
        text = write_table(found, image=image)
        _parse_with_table(root / PYPROJECT, text)
        return text
    text = write_spec(found, folder=root.name, image=image)
    parse_spec(tomllib.loads(text), file=SPEC_FILE)
    return text


def _report(found: Found, proposal: Proposal, written: list[str], text: str) -> dict[str, object]:
    return {
        "sources": list(found.sources),
        "written": written,
        "spec": text,
        "preset": found.preset,
        "proposal": msgspec.to_builtins(proposal),
        "left": msgspec.to_builtins(found.left),
    }


def _tell_next(root: Path, console: Console, *, in_place: bool) -> None:
    if in_place:
        console.note(
            f"\nAppend what stands above to {PYPROJECT}: python -m envgen init >> {PYPROJECT}"
        )
    else:
        console.note("next: python -m envgen render")
        if not (root / SCHEMA_FILE).exists():
            console.note(f"for completion in editors: python -m envgen schema > {SCHEMA_FILE}")


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
