"""`envgen diff`: how the locks here differ from those of a git revision. Reads, writes nothing."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from envgen import project
from envgen.console import Console
from envgen.lock.compare import ImageDiff, PackageChange, Snapshot, compare_locks
from envgen.lock.model import EMPTY, LOCK_FILE, read_lock
from envgen.lock.revision import open_revision

EXAMPLES: Final = """\
  python -m envgen diff
  python -m envgen diff origin/main --format markdown"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", default="HEAD", metavar="REV", help="default: HEAD")
    styles = parser.add_mutually_exclusive_group()
    styles.add_argument(
        "--format", choices=["text", "markdown"], default="text", help="default: text"
    )
    styles.add_argument("--json", action="store_true", help="write JSON for machines")


def run(arguments: argparse.Namespace, console: Console) -> int:
    opened = project.open_project(arguments.directory, [])
    read = open_revision(opened.root, arguments.revision)
    content = read(LOCK_FILE)
    if content is None:
        console.note(f"{arguments.revision} has no {LOCK_FILE}: everything is new")
    before = Snapshot(lock=EMPTY if content is None else read_lock(content), read=read)
    found = compare_locks(before, Snapshot(lock=opened.lock, read=opened.read))
    describe = _describe_markdown if arguments.format == "markdown" else _describe_text
    text = "\n".join(line for one in found for line in describe(one))
    console.result(
        text or f"the locks are those of {arguments.revision}",
        {"revision": arguments.revision, "images": msgspec.to_builtins(found)},
    )
    return 0


_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~", "rebuilt": "~"}


def _kind(change: PackageChange) -> str:
    if change.old == change.new:
        return "rebuilt"
    return "changed" if change.old and change.new else "added" if change.new else "removed"


def _versions(change: PackageChange) -> str:
    if change.old == change.new:
        return f"{change.new}, other files"
    return " -> ".join(version for version in (change.old, change.new) if version)


def _describe_text(found: ImageDiff) -> Iterator[str]:
    yield f"{found.image}: {_summary(found)}"
    width = max((len(change.name) for change in found.packages), default=0)
    versions = max((len(_versions(change)) for change in found.packages), default=0)
    for change in found.packages:
        sizes = _sizes(change)
        line = f"  {_SIGNS[_kind(change)]} {change.name:<{width}}  {_versions(change):<{versions}}"
        yield f"{line}  {sizes}".rstrip()
    for fact in found.facts:
        yield f"  {fact.about}: {_shift(fact.old, fact.new)}"
    yield from (f"  {line}" for line in _moves(found))


def _describe_markdown(found: ImageDiff) -> Iterator[str]:
    yield f"### `{found.image}`: {_summary(found)}"
    if found.packages:
        yield from ("", "| | package | version | download |", "|---|---|---|---|")
        for change in found.packages:
            cells = (_kind(change), f"`{change.name}`", _cell(_versions(change)), _sizes(change))
            yield f"| {' | '.join(cells)} |"
    if found.facts or found.layers:
        yield ""
    for fact in found.facts:
        yield f"- {fact.about}: {_shift(fact.old, fact.new, _code)}"
    yield from (f"- {line}" for line in _moves(found))
    yield ""


def _summary(found: ImageDiff) -> str:
    if found.state != "changed":
        return f"image {found.state}, {_count(found.packages)}"
    kinds = [_kind(change) for change in found.packages]
    words = [f"{kinds.count(kind)} {kind}" for kind in _SIGNS if kind in kinds]
    return ", ".join(words) or "the same packages"


def _count(packages: Iterable[PackageChange]) -> str:
    number = len(tuple(packages))
    return f"{number} package{'' if number == 1 else 's'}"


def _moves(found: ImageDiff) -> Iterator[str]:
    """Yield which layers are built and pulled anew, and what the whole image weighs."""
    for layer in found.layers:
        sizes = _by_platform(layer.download_bytes)
        yield f"layer {layer.name} moves: {sizes}" if sizes else f"layer {layer.name} is gone"
    old, new = _by_platform(found.old_bytes), _by_platform(found.new_bytes)
    if old != new and old and new:
        yield f"to download in all: {old} -> {new}"


def _sizes(change: PackageChange) -> str:
    sizes = [size for size in (change.old_bytes, change.new_bytes) if size is not None]
    texts = dict.fromkeys(_size_text(size) for size in sizes)
    return " -> ".join(texts)


def _by_platform(sizes: dict[str, int]) -> str:
    alone = len(sizes) == 1
    return " and ".join(
        _size_text(size) + ("" if alone else f" on {platform}")
        for platform, size in sorted(sizes.items())
    )


def _size_text(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _shift(old: str, new: str, quote: Callable[[str], str] = str) -> str:
    return f"{quote(old) if old else 'none'} -> {quote(new) if new else 'none'}"


def _code(text: str) -> str:
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
