"""Ctrl-C, two at once, full disks and read-only folders: real processes and real file systems.

The processes run all of envgen but for two things: uv is a script that does what it is told, and
base images have made-up digests.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envgen.errors import ToolError
from envgen.process import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project

DRIVER = """
import sys
from envgen.cli import run
from envgen.lock import resolve
from envgen.lock.model import LockedBase
from envgen.lockers import uv_program
digest = "sha256:" + 64 * "0"
resolve.pin_base = lambda image, **_: LockedBase(image=image, digest=digest, origin="registry")
uv_program.find_uv = lambda: sys.argv[1]
raise SystemExit(run(sys.argv[2:]))
"""
UV = """\
#!/bin/sh
if [ "$1" = "$STOP_AT" ]; then
    echo $$ > "$PID_FILE"
    sleep 0.2
    kill -INT $PPID
    exec sleep 60
fi
case "$1" in
--version) echo "uv 0.0.1" ;;
lock) sleep "${SLOW:-0}"; echo "version = 1" > uv.lock ;;
export) printf 'lock-version = "1.0"\\ncreated-by = "uv"\\npackages = []\\n' ;;
esac
"""
TWO_IMAGES = """\
format = 1
epoch = "2026.11"
[project]
name = "demo"
python = "3.13"
[images.one]
[images.two]
"""


@pytest.fixture
def uv(tmp_path: Path) -> Path:
    script = tmp_path / "uv"
    script.write_text(UV, encoding="utf-8")
    script.chmod(0o755)
    return script


def start(project: Project, uv: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(uv), *arguments],
        cwd=project.root,
        env={**os.environ, "PID_FILE": str(uv.with_name("pid")), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code of a process and all that it said."""
    out, err = process.communicate(timeout=50)
    return process.returncode, out + err


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("step", ["--version", "lock", "export"])
@pytest.mark.parametrize("command", ["render", "lock"])
def test_ctrl_c_while_uv_runs_changes_nothing(
    project: Project, uv: Path, command: str, step: str
) -> None:
    before = project.files()

    code, said = finish(start(project, uv, command, STOP_AT=step))

    assert code == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert project.files() == before
    assert not is_running(int(uv.with_name("pid").read_text(encoding="utf-8")))


def test_ctrl_c_at_any_moment_leaves_all_old_or_all_new(project: Project, uv: Path) -> None:
    before = project.files()
    began = time.monotonic()
    assert finish(start(project, uv, "render"))[0] == 0
    whole = time.monotonic() - began
    after = project.files()
    assert len(after) > len(before)
    moments = 10
    for n in range(moments):
        for path in after.keys() - before.keys():
            (project.root / path).unlink(missing_ok=True)
        process = start(project, uv, "render")
        time.sleep(whole * n / moments)
        process.send_signal(signal.SIGINT)
        code, said = finish(process)

        # Before envgen runs, it is Python that dies of the signal.
        assert code in {0, 130, -signal.SIGINT}, said
        assert project.files() in ((after,) if code == 0 else (before, after))


def test_program_that_takes_too_long_is_stopped_and_told(tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/pid; exec sleep 60"

    with pytest.raises(ToolError) as caught:
        run(["sh", "-c", script, "https://user:hunter2@packages.example"], timeout_s=0.3)

    (problem,) = caught.value.problems
    assert problem.what == "sh did not finish within 0.3 s"
    assert "packages.example" in problem.why
    assert "hunter2" not in problem.why
    assert not is_running(int((tmp_path / "pid").read_text(encoding="utf-8")))
    close_pipes(caught)


def close_pipes(caught: pytest.ExceptionInfo[ToolError]) -> None:
    """Close the pipes of the program that the error's frames still hold; `run` leaves them open."""
    for frame in caught.traceback:
        program = frame.locals.get("program")
        for pipe in (program.stdout, program.stderr) if program else ():
            pipe.close()


def test_reader_who_has_left_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "envgen", "completion", "bash"]

    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


def test_two_renders_at_once_give_what_one_gives(project: Project, uv: Path) -> None:
    both = [start(project, uv, "render", SLOW="0.3") for _ in range(2)]

    assert [finish(process)[0] for process in both] == [0, 0]

    assert project.run("render", "--check").code == 0
    assert not list(project.root.rglob("*.envgen"))


def test_image_that_was_locked_meanwhile_stays_locked(project: Project, uv: Path) -> None:
    project.write("envgen.toml", TWO_IMAGES)
    both = [start(project, uv, "render", image, SLOW="1") for image in ("one", "two")]

    assert [finish(process)[0] for process in both] == [0, 0]

    assert project.run("render", "--check").code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return the mount point of a file system with 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)])
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def mount(arguments: list[str]) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def on_small_disk(project: Project, small_disk: Path) -> Project:
    """Return a project on a small disk with half of its files out of date."""
    spec = project.read("envgen.toml")
    project.root = small_disk
    project.write("envgen.toml", spec)
    return project


def test_full_disk_is_told_and_changes_nothing(on_small_disk: Project) -> None:
    on_small_disk.write("data", b"x" * 20_000)
    before = on_small_disk.files()

    outcome = on_small_disk.render_offline()

    assert outcome.code == 8
    assert "No space left on device" in outcome.err
    assert "free some space" in outcome.err
    assert on_small_disk.files() == before
    assert sorted(path.name for path in on_small_disk.root.iterdir()) == ["data", "envgen.toml"]


def test_read_only_folder_is_told_and_changes_nothing(on_small_disk: Project) -> None:
    before = on_small_disk.files()
    mount(["-o", "remount,ro", str(on_small_disk.root)])

    outcome = on_small_disk.render_offline()

    assert outcome.code == 8
    assert "Read-only file system" in outcome.err
    assert on_small_disk.files() == before
