"""Writing is all or nothing, whatever goes wrong and whenever."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envgen.errors import EditedError, StorageError
from envgen.output import compare, hold, read, refuse_edited, write
from envgen.rendered import RenderedFile, seal

if TYPE_CHECKING:
    from collections.abc import Callable

NEW = tuple(
    RenderedFile(path=path, content=f"new {path}\n".encode())
    for path in ("a/b/one", "a/b/two", "a/three", "four", "c/d/five")
)
OLD = {"a/b/one": b"old one\n", "four": b"old four\n"}
ALL_NEW = {file.path: file.content for file in NEW}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder that has some of the files already."""
    root = tmp_path / "project"
    root.mkdir()
    reset(root)
    return root


def tree(root: Path) -> dict[str, bytes | None]:
    """Return every file with its bytes and every folder."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


def files(root: Path) -> dict[str, bytes]:
    return {path: content for path, content in tree(root).items() if content is not None}


def test_files_and_their_folders_are_made(tmp_path: Path) -> None:
    write(NEW, tmp_path)

    assert files(tmp_path) == ALL_NEW


def test_old_files_are_replaced_and_nothing_else_is_left(root: Path) -> None:
    write(NEW, root)

    assert files(root) == ALL_NEW


def test_nothing_to_write_touches_nothing(root: Path) -> None:
    before = tree(root)

    write((), root)

    assert tree(root) == before


class TestMode:
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
    def test_mode_of_an_old_file_is_kept(self, root: Path, mode: int) -> None:
        (root / "four").chmod(mode)

        write(NEW, root)

        assert (root / "four").stat().st_mode & 0o7777 == mode

    def test_mode_of_a_new_file_is_that_of_the_umask(self, root: Path) -> None:
        before = os.umask(0o027)
        try:
            write(NEW, root)
        finally:
            os.umask(before)

        assert (root / "a/three").stat().st_mode & 0o7777 == 0o640


CALLS: list[tuple[Any, str]] = [
    (os, "fsync"),
    (os, "link"),
    (Path, "open"),
    (Path, "replace"),
    (Path, "chmod"),
    (Path, "mkdir"),
]


def fail_at(
    patch: pytest.MonkeyPatch, owner: Any, name: str, nth: int, fault: Callable[[], BaseException]
) -> list[int]:
    """Let the nth call fail; return a list that then holds how many calls there were."""
    calls = [0]
    real = getattr(owner, name)

    def failing(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth:
            raise fault()
        return real(*arguments, **options)

    patch.setattr(owner, name, failing)
    return calls


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
@pytest.mark.parametrize(("owner", "name"), CALLS, ids=[name for _, name in CALLS])
def test_failure_of_any_call_leaves_all_old_or_all_new(
    root: Path, owner: Any, name: str, code: int
) -> None:
    before = tree(root)
    failures = 0
    for nth in range(1, 20):
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(StorageError):
            calls = fail_at(patch, owner, name, nth, lambda: OSError(code, os.strerror(code)))
            write(NEW, root)
        if calls[0] < nth:
            break
        # Where a link fails, the old file is kept as a copy: that is no failure of the whole.
        after = tree(root)
        failures += after == before
        assert after == before or files(root) == ALL_NEW, f"call {nth} of {name}"
        reset(root)

    assert failures or name == "link"


def reset(root: Path) -> None:
    shutil.rmtree(root)
    for path, content in OLD.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


@pytest.mark.parametrize(("owner", "name"), CALLS, ids=[name for _, name in CALLS])
def test_ctrl_c_in_any_call_leaves_the_old_files(root: Path, owner: Any, name: str) -> None:
    before = tree(root)

    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, owner, name, 1, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            write(NEW, root)

    assert tree(root) == before


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "where the folder can be written"),
        (errno.EACCES, "who owns"),
    ],
)
def test_failure_names_the_file_the_reason_and_the_way_out(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int, fix: str
) -> None:
    fail_at(monkeypatch, os, "fsync", 2, lambda: OSError(code, os.strerror(code)))

    with pytest.raises(StorageError) as caught:
        write(NEW, root)

    (problem,) = caught.value.problems
    assert problem.file == "a/b/two"
    assert problem.why == os.strerror(code)
    assert fix in problem.fix


def test_folder_in_the_place_of_a_file_is_told(root: Path) -> None:
    (root / "a/three").mkdir()
    before = tree(root)

    with pytest.raises(StorageError) as caught:
        write(NEW, root)

    assert caught.value.problems[0].file == "a/three"
    assert tree(root) == before


def test_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"in the way")

    with pytest.raises(StorageError) as caught:
        write(NEW, tmp_path)

    assert caught.value.problems[0].file == "a/b/one"
    assert files(tmp_path) == {"a": b"in the way"}


def test_without_hard_links_old_files_are_put_back_from_a_copy(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(root)

    def no_links(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    fail_at(monkeypatch, Path, "replace", 4, lambda: OSError(errno.EIO, "Input/output error"))

    with pytest.raises(StorageError):
        write(NEW, root)

    assert tree(root) == before


class TestSymbolicLink:
    @pytest.fixture
    def outside(self, root: Path) -> Path:
        """Return a file elsewhere that a link in the project leads to."""
        outside = root.parent / "outside"
        outside.write_bytes(b"of somebody else\n")
        (root / "four").unlink()
        (root / "four").symlink_to(outside)
        return outside

    def test_link_is_replaced_and_what_it_leads_to_stays(self, root: Path, outside: Path) -> None:
        write(NEW, root)

        assert outside.read_bytes() == b"of somebody else\n"
        assert not (root / "four").is_symlink()
        assert (root / "four").read_bytes() == ALL_NEW["four"]

    def test_link_is_put_back_after_a_failure(
        self, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        again = (*NEW, RenderedFile(path="later", content=b"x"))
        fail_at(monkeypatch, Path, "replace", 5, lambda: OSError(errno.EIO, "Input/output error"))

        with pytest.raises(StorageError):
            write(again, root)

        assert (root / "four").readlink() == outside
        assert outside.read_bytes() == b"of somebody else\n"

    def test_link_that_leads_nowhere_is_replaced(self, root: Path, outside: Path) -> None:
        outside.unlink()

        write(NEW, root)

        assert files(root) == ALL_NEW

    def test_linked_folder_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "project").mkdir()
        (tmp_path / "project/a").symlink_to(tmp_path / "real")

        write(NEW, tmp_path / "project")

        assert (tmp_path / "real/b/one").read_bytes() == ALL_NEW["a/b/one"]


class TestSignal:
    @pytest.mark.parametrize("nth", range(1, len(NEW) + 1))
    def test_signal_during_the_move_takes_it_back(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, nth: int
    ) -> None:
        before = tree(root)
        moved = [0]
        real = Path.replace

        def replace(source: Path, target: Path) -> Path:
            moved[0] += 1
            if moved[0] == nth:
                signal.raise_signal(signal.SIGINT)
            return real(source, target)

        monkeypatch.setattr(Path, "replace", replace)

        with pytest.raises(KeyboardInterrupt):
            write(NEW, root)

        assert moved[0] >= len(NEW)
        assert tree(root) == before

    def test_handlers_are_put_back(self, root: Path) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

        write(NEW, root)

        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before

    def test_other_threads_write_too(self, root: Path) -> None:
        thread = threading.Thread(target=write, args=(NEW, root))
        thread.start()
        thread.join()

        assert files(root) == ALL_NEW


class TestCompare:
    SEALED = RenderedFile(path="sealed", content=seal("Generated.", "x = 1\n"))
    LOOSE = RenderedFile(path="loose", content=b"x = 1\n", guarded=False)

    def state(self, root: Path, file: RenderedFile, content: bytes | None) -> str:
        if content is not None:
            (root / file.path).write_bytes(content)
        found = compare([file], root)
        return found[0].state if found else "same"

    def test_same_bytes_are_no_difference(self, root: Path) -> None:
        assert self.state(root, self.SEALED, self.SEALED.content) == "same"

    def test_checkout_with_other_line_endings_is_no_difference(self, root: Path) -> None:
        crlf = self.SEALED.content.replace(b"\n", b"\r\n")

        assert self.state(root, self.SEALED, crlf) == "same"

    def test_absent_file_is_missing(self, root: Path) -> None:
        assert self.state(root, self.SEALED, None) == "missing"

    def test_file_of_an_older_spec_is_stale(self, root: Path) -> None:
        assert self.state(root, self.SEALED, seal("Generated.", "x = 0\n")) == "stale"

    def test_older_file_with_other_line_endings_is_stale(self, root: Path) -> None:
        older = seal("Generated.", "x = 0\n").replace(b"\n", b"\r\n")

        assert self.state(root, self.SEALED, older) == "stale"

    @pytest.mark.parametrize(
        "edit",
        [
            lambda content: content + b"# mine\n",
            lambda content: b"# mine\n" + content,
            lambda content: content.replace(b"x = 1", b"x = 2"),
            lambda content: content.partition(b"# sha256")[0],
            lambda _: b"",
            lambda _: b"my own file\n",
        ],
    )
    def test_touched_file_is_edited(self, root: Path, edit: Callable[[bytes], bytes]) -> None:
        assert self.state(root, self.SEALED, edit(self.SEALED.content)) == "edited"

    def test_file_that_others_may_write_is_never_edited(self, root: Path) -> None:
        assert self.state(root, self.LOOSE, b"x = 2\n") == "stale"

    def test_edited_files_are_refused_together(self, root: Path) -> None:
        for name in ("one", "two"):
            (root / name).write_bytes(b"mine\n")
        found = compare([RenderedFile(path=name, content=b"x") for name in ("one", "two")], root)

        with pytest.raises(EditedError) as caught:
            refuse_edited(found)

        assert [problem.file for problem in caught.value.problems] == ["one", "two"]
        assert all("--force" in problem.fix for problem in caught.value.problems)
        assert all("--diff" in problem.fix for problem in caught.value.problems)


class TestRead:
    def test_absent_file_is_none(self, root: Path) -> None:
        assert read(root, "nothing/here") is None
        assert read(root, "four/below-a-file") is None

    def test_what_cannot_be_read_is_told(self, root: Path) -> None:
        with pytest.raises(StorageError) as caught:
            read(root, "a")

        assert caught.value.problems[0].file == "a"


class TestHold:
    def test_second_one_waits(self, root: Path) -> None:
        order: list[str] = []
        started = threading.Event()

        def second() -> None:
            started.set()
            with hold(root):
                order.append("second")

        with hold(root):
            thread = threading.Thread(target=second)
            thread.start()
            started.wait()
            order.append("first")
        thread.join()

        assert order == ["first", "second"]

    def test_no_file_stays_behind(self, root: Path) -> None:
        before = tree(root)

        with hold(root):
            pass

        assert tree(root) == before

    def test_folder_that_is_gone_is_told(self, root: Path) -> None:
        shutil.rmtree(root)

        with pytest.raises(StorageError), hold(root):
            pass

    def test_system_without_such_locks_still_writes(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "fcntl", None)

        with hold(root):
            write(NEW, root)

        assert files(root) == ALL_NEW
