import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from envgen_runtime import state
from envgen_runtime.state import Store, container_start, identity, open_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXT = "healthy: all is well"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path), "k" * 32)


def test_verdict_comes_back_as_written(store: Store) -> None:
    store.write("healthy: ä\nsecond line", '{"report": 1}')
    assert store.read() == "healthy: ä\nsecond line"


def test_no_verdict_before_the_first(store: Store) -> None:
    assert store.read() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_voids_the_verdict(store: Store, data: st.DataObject) -> None:
    store.write(TEXT, "{}")
    content = bytearray(Path(store.path).read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    Path(store.path).write_bytes(content)
    assert store.read() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_truncation_voids_the_verdict(store: Store, data: st.DataObject) -> None:
    store.write(TEXT, "{}")
    content = Path(store.path).read_bytes()
    Path(store.path).write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert store.read() is None


def test_verdict_of_another_identity_under_our_name_is_none(store: Store, tmp_path: Path) -> None:
    other = Store(str(tmp_path), "o" * 32)
    other.write(TEXT, "{}")
    Path(other.path).rename(store.path)
    assert store.read() is None


def test_link_is_no_verdict(store: Store, tmp_path: Path) -> None:
    store.write(TEXT, "{}")
    moved = tmp_path / "elsewhere"
    Path(store.path).rename(moved)
    Path(store.path).symlink_to(moved)
    assert store.read() is None


def test_directory_and_pipe_are_no_verdicts(store: Store) -> None:
    Path(store.path).mkdir()
    assert store.read() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_verdict_of_another_user_is_none(store: Store) -> None:
    store.write(TEXT, "{}")
    os.chown(store.path, 12345, 12345)
    assert store.read() is None


def test_verdict_is_for_its_user_only(store: Store) -> None:
    store.write(TEXT, "{}")
    assert stat.S_IMODE(Path(store.path).stat().st_mode) == 0o600


def test_failed_write_leaves_the_old_verdict(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.write(TEXT, "{}")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        store.write("unhealthy: other", "{}")
    assert store.read() == TEXT
    assert [path.name for path in tmp_path.iterdir()] == [Path(store.path).name]


def test_old_files_go_and_recent_ones_stay(store: Store, tmp_path: Path) -> None:
    for index in range(100):
        old = tmp_path / f"{index}.verdict"
        old.touch()
        os.utime(old, (index, index))
    store.write(TEXT, "{}")
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 64
    assert "99.verdict" in left
    assert store.read() == TEXT


def test_lock_has_one_holder(store: Store) -> None:
    holder = store.lock()
    assert holder is not None
    assert store.lock() is None
    os.close(holder)
    again = store.lock()
    assert again is not None
    os.close(again)


def test_state_directory_is_private_and_named_after_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVGEN_STATE_DIR", str(tmp_path))
    store, reason = open_store()
    assert store is not None
    assert reason == ""
    directory = tmp_path / f"envgen-{os.geteuid()}"
    assert Path(store.path).parent == directory
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def _open_to_others(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)


def _foreign(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, 12345)


def _link(directory: Path) -> None:
    real = directory.parent / "real"
    real.mkdir(mode=0o700)
    directory.symlink_to(real)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (_open_to_others, "is open to other users"),
        (_link, "is not a directory"),
        (Path.touch, "is not a directory"),
        pytest.param(
            _foreign,
            "belongs to another user",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give one away"),
        ),
    ],
)
def test_directory_that_others_could_have_made_is_refused(
    prepare: Callable[[Path], None],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENVGEN_STATE_DIR", str(tmp_path))
    prepare(tmp_path / f"envgen-{os.geteuid()}")
    store, why = open_store()
    assert store is None
    assert reason in why


def test_chosen_directory_has_no_substitute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVGEN_STATE_DIR", str(tmp_path / "missing"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    store, why = open_store()
    assert store is None
    assert "No such file or directory" in why


def test_next_place_is_tried_without_a_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENVGEN_STATE_DIR", raising=False)
    monkeypatch.setattr(state, "_bases", lambda: [str(tmp_path / "missing"), str(tmp_path)])
    store, _ = open_store()
    assert store is not None
    assert store.directory.startswith(str(tmp_path))


def test_container_start_does_not_change_within_one_start() -> None:
    assert container_start() is not None
    assert container_start() == container_start()


def test_identity_changes_with_start_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = identity("start 1")
    assert identity("start 1") == before
    assert identity("start 2") != before
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert identity("start 1") != before


def test_switches_of_when_and_how_long_are_not_part_of_the_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = identity("start")
    monkeypatch.setenv("ENVGEN_SELFTEST_AT", "start")
    monkeypatch.setenv("ENVGEN_SELFTEST_TIMEOUT", "5")
    assert identity("start") == before


@pytest.mark.parametrize("switch", ["ENVGEN_SELFTEST", "ENVGEN_SELFTEST_FLIP"])
def test_switches_of_what_is_tested_are_part_of_the_identity(
    switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity("start")
    monkeypatch.setenv(switch, "warn")
    assert identity("start") != before


def test_identity_changes_with_driver_gpu_and_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock.txt"
    monkeypatch.setattr(state, "LOCK", str(lock))
    found = {identity("start", gpus) for gpus in ("", "535.1 GPU-0", "535.1 GPU-1", "570.1 GPU-0")}
    for digest in ("a", "b"):
        lock.write_text(f"# a comment\nsha256 {digest}\nframework numpy 2.3.1\n")
        assert state.lock_hash() == digest
        found.add(identity("start"))
    assert len(found) == 6
    assert state.locked_frameworks() == {"numpy": "2.3.1"}


@pytest.mark.parametrize("changed", ["torch/__init__.py", "torch-2.9.0.dist-info/RECORD"])
def test_identity_changes_when_a_framework_is_installed_anew(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_installation = identity("start")
    for name in ("torch/__init__.py", "torch-2.9.0.dist-info/RECORD"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("a")
    monkeypatch.syspath_prepend(tmp_path)
    installed = identity("start")
    assert installed != before_installation
    os.utime(tmp_path / changed, (1, 1))
    assert identity("start") != installed
