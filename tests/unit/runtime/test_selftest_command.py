"""`envgen selftest`: what reaches the self-test's own command line, and what comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from envgen_runtime.arguments import make_parser

from envgen import cli
from envgen.commands import selftest
from envgen.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a Python without packages: its self-test takes no time."""
    folder = tmp_path_factory.mktemp("python")
    venv.create(folder, symlinks=True)
    return str(folder / "bin" / "python")


def envgen(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "envgen", "selftest", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_is_the_default_and_passes_on_what_it_prints(python: str) -> None:
    done = envgen("--python", python, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["python"]["executable"] == python


def test_fingerprints_travel_through_standard_input(python: str, tmp_path: Path) -> None:
    file = tmp_path / "a fingerprint.json"
    assert envgen("record", "--python", python, "-o", str(file), "--name=a").returncode == 0
    line = file.read_text()
    matrix = envgen("matrix", "--python", python, "--format=json", stdin=line * 2)
    assert [row["machine"] for row in json.loads(matrix.stdout)["devices"]] == ["a", "a (2)"]
    same = envgen("compare", str(file), "-", "--exact", stdin=line)
    assert (same.returncode, same.stdout.startswith("the same bits in all")) == (0, True)


def test_exit_code_is_that_of_the_self_test(python: str, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("{}")
    done = envgen("compare", "--python", python, str(file), str(file))
    assert done.returncode == 2
    assert "this is no fingerprint" in done.stderr


def test_options_stand_before_the_action_or_behind_it(python: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    assert envgen("--python", python, "record", "-o", str(file)).returncode == 0
    for arguments in (
        ["--python", python, "compare", str(file), str(file), "--json"],
        ["compare", "--json", "--python", python, str(file), str(file)],
    ):
        assert json.loads(envgen(*arguments).stdout)["counts"]["defect"] == 0


@pytest.mark.parametrize(
    "arguments",
    [["run", "--exact"], ["run", "file.json"], ["compare", "one"], ["cost", "--name=a"]],
)
def test_option_of_another_action_is_refused(
    arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(["selftest", *arguments])
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err


def test_missing_python_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["selftest", "--python", "no-such-python"]) == ToolError.exit_code
    assert "no-such-python is not on PATH" in capsys.readouterr().err


def test_actions_and_options_are_those_of_the_self_test() -> None:
    verbs = next(
        action.choices for action in make_parser()._actions if isinstance(action.choices, dict)
    )
    own = {
        name: {
            option
            for action in verb._actions
            for option in (action.option_strings or [action.dest])
            if option not in ("-h", "--help", "-o")
        }
        for name, verb in verbs.items()
    }
    assert own == {name: set(options) for name, options in selftest._OPTIONS.items()}
    assert selftest._ACTIONS.keys() == selftest._OPTIONS.keys()
