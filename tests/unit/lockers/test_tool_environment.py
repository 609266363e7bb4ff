from __future__ import annotations

import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

from envgen.errors import NetworkError, StorageError, ToolError
from envgen.lockers import tool_environment
from envgen.lockers.tool_environment import ensure_tool, is_whole
from envgen.lockers.uv_program import uv_environment

if TYPE_CHECKING:
    from pytest_subprocess import FakeProcess

TOOLS = sorted(p.stem for p in tool_environment.requirements_file("").parent.glob("*.txt"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's cache, which is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(folder: Path) -> None:
    """Lay out an environment as an installer does."""
    packages = folder / "lib" / "python3.13" / "site-packages"
    record = packages / "poetry-2.5.1.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").touch()
    (folder / "bin" / "poetry").write_text("#!", encoding="utf-8")
    (packages / "poetry.py").write_text("pass\n", encoding="utf-8")
    record.write_text(
        "poetry.py,sha256=x,5\n../../../bin/poetry,sha256=x,2\npoetry-2.5.1.dist-info/RECORD,,\n",
        encoding="utf-8",
    )


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what was installed, by an installer that lays out files without uv."""
    done: list[str] = []

    def install(name: str, made: Path, env: dict[str, str]) -> None:
        assert env["UV_NO_CONFIG"] == "1"
        done.append(name)
        fill(made)

    monkeypatch.setattr(tool_environment, "_install", install)
    return done


def test_environment_is_made_once(installs: list[str], cache: Path) -> None:
    folder = ensure_tool("poetry")

    assert folder == ensure_tool("poetry")
    assert (folder / "poetry").exists()
    assert folder.is_relative_to(cache)
    assert installs == ["poetry"]


def test_nothing_is_left_beside_the_environment(installs: list[str]) -> None:
    folder = ensure_tool("poetry").parent

    assert list(folder.parent.iterdir()) == [folder]
    assert installs


@pytest.mark.parametrize(
    "lost",
    ["bin/python", "bin/poetry", "lib/python3.13/site-packages/poetry.py", "lib"],
)
def test_environment_that_lost_files_is_remade(installs: list[str], lost: str) -> None:
    folder = ensure_tool("poetry").parent
    victim = folder / lost
    victim.rename(folder / "elsewhere")

    assert ensure_tool("poetry").parent == folder
    assert victim.exists()
    assert is_whole(folder)
    assert installs == ["poetry", "poetry"]
    assert list(folder.parent.iterdir()) == [folder]


def test_truncated_file_is_noticed(installs: list[str]) -> None:
    folder = ensure_tool("poetry").parent
    (folder / "lib/python3.13/site-packages/poetry.py").write_text("", encoding="utf-8")

    assert not is_whole(folder)
    ensure_tool("poetry")
    assert installs == ["poetry", "poetry"]


def test_threads_wait_for_each_other(installs: list[str]) -> None:
    start = threading.Barrier(4)

    def ask(_: int) -> Path:
        start.wait()
        return ensure_tool("poetry")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert installs == ["poetry"]


def test_environment_of_a_faster_process_is_used(tmp_path: Path) -> None:
    made, folder = tmp_path / "made", tmp_path / "tools" / "poetry-1"
    fill(made)
    fill(folder)
    first = folder.stat().st_ino

    tool_environment._put_in_place(made, folder, aside=tmp_path / "aside")

    assert folder.stat().st_ino == first
    assert made.exists()


def test_interrupted_making_leaves_nothing_under_the_name(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def install(_name: str, made: Path, _env: dict[str, str]) -> None:
        made.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(tool_environment, "_install", install)

    with pytest.raises(KeyboardInterrupt):
        ensure_tool("poetry")
    assert [path for path in cache.rglob("*") if path.name != "tools" and path.is_file()] == []
    assert list((cache / "envgen" / "tools").iterdir()) == []


def test_changed_pins_make_another_environment(
    installs: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = ensure_tool("poetry")
    other = tmp_path / "poetry.txt"
    other.write_text("poetry==2.6.0\n", encoding="utf-8")
    monkeypatch.setattr(tool_environment, "requirements_file", lambda _: other)
    tool_environment._key.cache_clear()
    try:
        assert ensure_tool("poetry") != first
    finally:
        tool_environment._key.cache_clear()
    assert installs == ["poetry", "poetry"]


def test_cache_that_cannot_be_written_is_told(installs: list[str], cache: Path) -> None:
    cache.write_text("a file", encoding="utf-8")

    with pytest.raises(StorageError, match="cannot be written") as caught:
        ensure_tool("poetry")
    assert "XDG_CACHE_HOME" in str(caught.value)
    assert installs == []


def test_relative_cache_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")

    assert tool_environment.tools_folder().is_absolute()


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        ("error: Failed to fetch\n  Caused by: error sending request for url", NetworkError),
        ("error: Hash mismatch for `poetry==2.5.1`", ToolError),
    ],
)
def test_failure_of_uv_is_told(
    fp: FakeProcess, cache: Path, stderr: str, kind: type[Exception]
) -> None:
    fp.register([uv.find_uv_bin(), "venv", fp.any()])
    for _ in ("offline", "online"):
        fp.register([uv.find_uv_bin(), "pip", fp.any()], stderr=stderr, returncode=2)

    with pytest.raises(kind, match="the environment that poetry runs in cannot be made") as caught:
        ensure_tool("poetry")
    assert stderr.rpartition(": ")[2].strip() in str(caught.value)
    assert list((cache / "envgen" / "tools").iterdir()) == []


def test_credentials_reach_uv_in_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVGEN_INDEX_USERNAME", "reader")
    monkeypatch.setenv("ENVGEN_INDEX_PASSWORD", "s3cret")

    env = uv_environment("https://packages.example/simple", Path("corp.pem"))

    assert env["UV_DEFAULT_INDEX"] == "index=https://packages.example/simple"
    assert env["UV_INDEX_INDEX_USERNAME"] == "reader"
    assert env["UV_INDEX_INDEX_PASSWORD"] == "s3cret"
    assert env["SSL_CERT_FILE"] == "corp.pem"


def test_without_an_index_no_credential_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVGEN_INDEX_PASSWORD", "s3cret")

    assert "s3cret" not in uv_environment("", None).values()


@pytest.mark.parametrize("tool", TOOLS)
def test_bundled_lock_pins_with_hashes_and_names_no_index(tool: str) -> None:
    text = tool_environment.requirements_file(tool).read_text(encoding="utf-8")

    assert tool_environment.locked_version(tool)
    assert "://" not in text
    lines = text.replace("\\\n", "").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
    assert os.fspath(Path.home()) not in text


def test_tool_without_a_pin_of_its_own_is_a_defect(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = tmp_path / "poetry.txt"
    empty.touch()
    monkeypatch.setattr(tool_environment, "requirements_file", lambda _: empty)

    with pytest.raises(ToolError, match="does not pin poetry"):
        tool_environment.locked_version("poetry")
