"""From files to disk: comparing and writing. Nothing else in envgen writes below a project."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from envgen.errors import EditedError, Problem, StorageError
from envgen.rendered import RenderedFile, is_untouched

State = Literal["missing", "stale", "edited"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A file on disk that is not what it should be.

    Attributes:
        file: What it should be.
        state: `missing`, `stale` (as envgen wrote it, but of another spec or lock), or `edited`.
        found: The bytes on disk; empty where there are none.

    """

    file: RenderedFile
    state: State
    found: bytes


def read(root: Path, path: str) -> bytes | None:
    """Return the bytes of a file below `root`, None where there is none.

    Raises:
        StorageError: It is there and cannot be read.

    """
    try:
        return (root / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _storage_error(path, "cannot be read", error) from error


def list_folders(root: Path, path: str) -> tuple[str, ...]:
    """Return the names of the folders in a folder, sorted; none where there is no such folder."""
    try:
        with os.scandir(root / path) as found:
            return tuple(
                sorted(entry.name for entry in found if entry.is_dir(follow_symlinks=False))
            )
    except OSError:
        return ()


def list_files(root: Path, path: str) -> Iterator[str]:
    """Yield the paths of all files below a folder, relative to `root`; links are not followed."""
    with os.scandir(root / path) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        inner = f"{path}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from list_files(root, inner)
        elif entry.is_file(follow_symlinks=False):
            yield inner


def compare(files: Iterable[RenderedFile], root: Path) -> tuple[Difference, ...]:
    """Return the files that differ from what is on disk. Line endings do not count.

    A checkout with `core.autocrlf` has other line endings than the commit, and nobody edited it.
    """
    found = ((file, read(root, file.path)) for file in files)
    return tuple(
        Difference(file=file, state=_state(file, content), found=content or b"")
        for file, content in found
        if content is None or content.replace(b"\r\n", b"\n") != file.content
    )


def _state(file: RenderedFile, content: bytes | None) -> State:
    if content is None:
        return "missing"
    return "edited" if file.guarded and not is_untouched(content) else "stale"


def refuse_edited(differences: Iterable[Difference]) -> None:
    """Refuse to replace what a person has edited.

    Raises:
        EditedError: With every such file.

    """
    problems = [
        Problem(
            what="has been edited since envgen wrote it, or is not envgen's",
            file=difference.file.path,
            why="rendering would overwrite it",
            fix="see what would change with `render --diff`, carry it over into the spec, "
            "and overwrite with `render --force`",
        )
        for difference in differences
        if difference.state == "edited"
    ]
    if problems:
        raise EditedError(*problems)


def write(files: Iterable[RenderedFile], root: Path, *, remove: Iterable[str] = ()) -> None:
    """Write files so that after an error or Ctrl-C all are the old ones, else all the new ones.

    Every file is first written beside its place and flushed to the disk; then all are moved into
    place while signals wait. A signal that came meanwhile takes all of them back. A crash of the
    machine in that moment can leave a mixture, each file of which is whole; `render --check` finds
    it.

    A symbolic link is replaced, not followed: it may lead out of the project.

    Args:
        files: What is written.
        root: The folder that paths are relative to.
        remove: Paths of files that are removed, with the folders that are empty then.

    Raises:
        StorageError: A folder cannot be made or a file cannot be written.

    """
    remove = tuple(remove)
    with contextlib.ExitStack() as staging:
        moves = [_stage(file, root, staging) for file in files]
        # On the way out the last comes first: files are put back before the old ones are forgotten.
        with (
            _signals_wait() as came,
            contextlib.ExitStack() as aside,
            contextlib.ExitStack() as undo,
        ):
            for move in moves:
                _move(move, undo, aside)
            for path in remove:
                _take_away(path, root, undo, aside)
            if not came:
                undo.pop_all()
                staging.pop_all()
    for folder in {Path(path).parent for path in remove}:
        _remove_empty_folders(folder, root)


class _Move(NamedTuple):
    """A written file on its way to its place."""

    path: str
    staged: Path
    target: Path


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.envgen")


def _stage(file: RenderedFile, root: Path, undo: contextlib.ExitStack) -> _Move:
    target = root / file.path
    try:
        _make_folders(target.parent, undo)
        staged = _beside(target)
        undo.callback(staged.unlink, missing_ok=True)
        with staged.open("xb") as stream:
            stream.write(file.content)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            staged.chmod(target.stat().st_mode & 0o7777)
    except OSError as error:
        raise _storage_error(file.path, "cannot be written", error) from error
    return _Move(file.path, staged, target)


def _make_folders(folder: Path, undo: contextlib.ExitStack) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, undo)
    # First, so that Ctrl-C between the two leaves nothing.
    undo.callback(_remove_if_empty, folder)
    folder.mkdir(exist_ok=True)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _move(move: _Move, undo: contextlib.ExitStack, aside: contextlib.ExitStack) -> None:
    """Put a file in its place; `undo` puts the old one back, `aside` forgets the old one."""
    old = _beside(move.target)
    aside.callback(_remove, old)
    try:
        there = _keep(move.target, old)
        move.staged.replace(move.target)
    except OSError as error:
        raise _storage_error(move.path, "cannot be replaced", error) from error
    if there:
        undo.callback(old.replace, move.target)
    else:
        undo.callback(move.target.unlink, missing_ok=True)


def _take_away(
    path: str, root: Path, undo: contextlib.ExitStack, aside: contextlib.ExitStack
) -> None:
    """Remove a file; `undo` puts it back, `aside` forgets it."""
    target = root / path
    old = _beside(target)
    aside.callback(_remove, old)
    try:
        if _keep(target, old):
            target.unlink()
            undo.callback(old.replace, target)
    except OSError as error:
        raise _storage_error(path, "cannot be removed", error) from error


def _remove_empty_folders(folder: Path, root: Path) -> None:
    """Remove a folder below `root` and those above it, as far as nothing is in them."""
    while folder != Path():
        _remove_if_empty(root / folder)
        folder = folder.parent


def _keep(target: Path, old: Path) -> bool:
    """Keep a file under a second name, so that putting it back needs no space on the disk.

    Returns:
        Whether there was a file.

    """
    try:
        os.link(target, old, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except (OSError, NotImplementedError):
        # Not every file system has hard links, and some refuse those to other people's files.
        import shutil  # noqa: PLC0415 - rarely needed

        shutil.copy2(target, old, follow_symlinks=False)
    return True


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


_WAITING: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def _signals_wait() -> Iterator[list[int]]:
    """Hold Ctrl-C back for the moment that moving files takes; yield the signals that came."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    old = {number: signal.signal(number, lambda got, _: came.append(got)) for number in _WAITING}
    try:
        yield came
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        for got in came:
            signal.raise_signal(got)


def _storage_error(path: str, what: str, error: OSError) -> StorageError:
    fixes = {
        "ENOSPC": "free some space; nothing was changed",
        "EDQUOT": "free some space; nothing was changed",
        "EROFS": "run envgen where the folder can be written; nothing was changed",
        "EACCES": "check who owns the folder; nothing was changed",
        "EPERM": "check who owns the folder; nothing was changed",
    }
    import errno  # noqa: PLC0415 - only an error needs it

    name = errno.errorcode.get(error.errno or 0, "")
    return StorageError.single(
        what, file=path, why=error.strerror or str(error), fix=fixes.get(name, "")
    )


@contextlib.contextmanager
def hold(root: Path) -> Iterator[None]:
    """Let one envgen at a time write below `root`; a second one waits.

    The lock is on the folder itself, so that no file stays behind. Where the system or the file
    system has no such locks, every file is still written whole.
    """
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        yield
        return
    try:
        handle = os.open(root, os.O_RDONLY)
    except OSError as error:
        raise _storage_error(root.name, "cannot be opened", error) from error
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
