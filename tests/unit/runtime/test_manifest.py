"""A run's record is whole at every moment, and says what it does not know."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from envgen_runtime.manifest import document as documents
from envgen_runtime.manifest import events
from envgen_runtime.manifest.code import describe_code
from envgen_runtime.manifest.data import describe_data
from envgen_runtime.manifest.options import Options, parse

from envgen.resources import RUNTIME
from envgen.runs.record import read_run

if TYPE_CHECKING:
    from collections.abc import Callable

LAUNCH = "import sys; from envgen_runtime.manifest.launch import main; sys.exit(main(sys.argv[1:]))"
PROGRAM = """\
import envgen_runtime, sys, time
envgen_runtime.seed_everything(7)
envgen_runtime.tell_parameters(lr=0.1)
envgen_runtime.tell_data("iris", "1.2")
print("told", flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(RUNTIME)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    return finish(start(folder, *arguments))


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(PROGRAM)
    return tmp_path


def test_record_has_every_field_or_the_reason_why_not(folder: Path) -> None:
    (folder / "params.json").write_text('{"epochs": 3}')
    (folder / "data").mkdir()
    (folder / "data" / "a.csv").write_text("1\n")

    options = ("--data", "data", "--data", "s3://bucket/key@v1", "--parameters=params.json")
    code, err = run(folder, *options, "--", sys.executable, "train.py", "0", "3")

    record = read(folder / "run.json")
    assert (code, err) == (3, "")
    assert record["run"]["state"] == "ended"
    assert record["run"]["exit_status"] == 3
    assert record["seeds"][0]["seed"] == 7
    assert record["seeds"][0]["where"].endswith("train.py:2")
    assert record["parameters"]["files"][0]["content"] == {"epochs": 3}
    assert record["parameters"]["told"][0]["values"] == {"lr": 0.1}
    assert record["data"][0]["files"] == 1
    assert record["data"][1] == {"s3": "s3://bucket/key", "version": "v1", "source": "given"}
    assert record["data_told"][0]["name"] == "iris"
    assert "missing" in record["environment"]["image_digest"]
    assert record["hardware"]["memory_bytes"] > 0
    assert not (folder / "run.json.events").exists()


def test_an_earlier_record_is_kept(folder: Path) -> None:
    (folder / "run.json").write_text("mine")

    _, err = run(folder, "--", "true")

    assert (folder / "run.json").read_text() == "mine"
    assert read(folder / "run.2.json")["run"]["exit_status"] == 0
    assert "run.2.json" in err


def test_a_killed_recorder_leaves_what_was_known(folder: Path) -> None:
    process = start(folder, "--", sys.executable, "train.py", "60", "0")
    assert process.stdout is not None
    assert process.stdout.readline() == "told\n"
    child = read_child(process.pid)

    process.kill()
    process.wait()
    os.kill(child, signal.SIGKILL)

    record = read_run(folder / "run.json")
    assert record["run"]["state"] == "running"
    assert record["seeds"][0]["seed"] == 7
    assert record["parameters"]["told"][0]["values"] == {"lr": 0.1}
    assert record["parameters"]["arguments"] == ["train.py", "60", "0"]
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


def read_child(parent: int) -> int:
    return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])


def test_a_signal_reaches_the_command_and_its_end_is_recorded(folder: Path) -> None:
    process = start(folder, "--", sys.executable, "train.py", "60", "0")
    assert process.stdout is not None
    assert process.stdout.readline() == "told\n"

    process.terminate()
    code, _ = finish(process)

    assert code == 128 + signal.SIGTERM
    assert read(folder / "run.json")["run"]["signal"] == "SIGTERM"


def test_a_command_that_is_not_there_is_told_as_shells_tell_it(folder: Path) -> None:
    code, err = run(folder, "--", "no-such-program")

    assert code == 127
    assert "no-such-program" in err
    assert "no-such-program" in read(folder / "run.json")["run"]["failure"]


def test_a_record_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """As on a full disk: the first record stays whole, and the work goes on."""
    script = (
        "import os, resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from envgen_runtime.manifest import recorder, document\n"
        "path = document.claim('run.json')\n"
        "made = recorder.Recorder(path, {'run': {}, 'parameters': {}})\n"
        "made.write()\n"
        "before = open(path).read()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "made.document['more'] = 'x' * 100\n"
        "made.write(); made.write()\n"
        "assert open(path).read() == before\n"
        "assert os.listdir('.') == ['run.json'], os.listdir('.')\n"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(RUNTIME)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot be brought up to date") == 1


def test_a_folder_that_cannot_be_written_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    assert documents.claim("/proc/run.json") == str(tmp_path / "run.json")


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@packages.example")
    command = ["git", *identity, "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.py").write_text("1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "a")
    return tmp_path


@pytest.mark.parametrize(
    "edit",
    [
        lambda top: (top / "a.py").write_text("2\n"),
        lambda top: (top / "new.py").write_text("1\n"),
        lambda top: (top / "a.py").unlink(),
    ],
)
def test_any_difference_from_the_commit_shows(
    repository: Path, edit: Callable[[Path], object]
) -> None:
    clean = describe_code(str(repository))
    edit(repository)
    dirty = describe_code(str(repository))

    assert clean["dirty"] is False
    assert dirty["dirty"] is True
    assert dirty["commit"] == clean["commit"]
    assert dirty["difference"].startswith("sha256:")


def test_what_is_in_an_untracked_file_counts(repository: Path) -> None:
    (repository / "new.py").write_text("1\n")
    first = describe_code(str(repository))["difference"]
    (repository / "new.py").write_text("2\n")

    assert describe_code(str(repository))["difference"] != first


def test_the_commit_is_found_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_git = describe_code(str(repository))
    monkeypatch.setenv("PATH", "")

    without = describe_code(str(repository))
    assert without["commit"] == with_git["commit"]
    assert "missing" in without["dirty"]


def test_data_is_what_it_holds_and_not_when_it_was_copied(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "x").write_bytes(b"1")
    os.utime(tmp_path / "other" / "deep" / "x", (0, 0))

    one, other = (describe_data(str(tmp_path / name)) for name in ("one", "other"))
    assert one["sha256"] == other["sha256"]
    (tmp_path / "other" / "deep" / "x").rename(tmp_path / "other" / "deep" / "y")
    assert describe_data(str(tmp_path / "other"))["sha256"] != one["sha256"]


def test_dvc_names_the_hash(tmp_path: Path) -> None:
    path = tmp_path / "data.dvc"
    path.write_text(f"outs:\n- md5: {'0' * 32}.dir\n  size: 1\n  path: data\n")

    assert describe_data(str(path)) == {"dvc": str(path), "md5": "0" * 32 + ".dir"}


@pytest.mark.parametrize("given", ["no/such/path", "s3://bucket/key"])
def test_data_without_a_version_says_so(given: str) -> None:
    assert any("missing" in value for value in describe_data(given).values())


@pytest.mark.parametrize(
    "arguments", [[], ["--data"], ["--nonsense", "--", "x"], ["--help"], ["--"]]
)
def test_wrong_options_show_the_usage(arguments: list[str]) -> None:
    told = parse(arguments)

    assert isinstance(told, str)
    assert "usage: envgen-run" in told


def test_options_of_the_command_are_its_own() -> None:
    options = parse(["--data", "a", "python", "train.py", "--data", "b"])

    assert isinstance(options, Options)
    assert options.data == ["a"]
    assert options.command == ["python", "train.py", "--data", "b"]


def test_the_reader_merges_as_the_recorder_does(tmp_path: Path) -> None:
    lines = [
        {"kind": "seed", "seed": 1, "rank": ""},
        {"kind": "parameters", "values": {"a": 1}},
        {"kind": "data", "name": "x", "version": "1"},
    ]
    told = tmp_path / "run.json.events"
    told.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "se')
    document: dict[str, Any] = {"format": 1, "run": {}, "parameters": {}}
    (tmp_path / "run.json").write_text(json.dumps(document))

    events.merge(document, events.read(str(told)))

    assert read_run(tmp_path / "run.json") == document


def test_telling_without_a_recorder_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(events.VARIABLE, raising=False)

    assert not events.tell("seed", seed=1)
