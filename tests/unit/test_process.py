"""Programs: how they are run, what is told of them, and what never is."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING

import pytest

from envgen.errors import ToolError
from envgen.process import find_program, redact, run, stop_all

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_subprocess import FakeProcess

SECRET_URL = "https://user:hunter2@packages.example/simple"


def test_what_it_said_is_returned(fp: FakeProcess) -> None:
    fp.register(["tool", "--x", "a b"], stdout="out\n", stderr="err\n", returncode=3)

    done = run(["tool", "--x", "a b"])

    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert done.argv == ("tool", "--x", "a b")


def test_logins_in_addresses_are_nowhere(fp: FakeProcess, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="envgen")
    fp.register(["tool", SECRET_URL], stdout=f"from {SECRET_URL}\n", stderr=f"at {SECRET_URL}\n")

    done = run(["tool", SECRET_URL])

    assert "hunter2" not in done.stdout + done.stderr + caplog.text
    assert "https://***@packages.example/simple" in done.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (SECRET_URL, "https://***@packages.example/simple"),
        ("https://token@h/x", "https://***@h/x"),
        ("http://a:b@h and http://c:d@i", "http://***@h and http://***@i"),
        ("git+ssh://git@h/x", "git+ssh://***@h/x"),
        ("https://h/@scope/pkg", "https://h/@scope/pkg"),
        ("mail a@b.example", "mail a@b.example"),
    ],
)
def test_logins_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_program_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(subprocess, "Popen", missing)

    with pytest.raises(ToolError) as caught:
        run(["tool"])

    assert caught.value.problems[0].what == "tool cannot be started"
    assert caught.value.problems[0].why == "No such file or directory"


def test_nothing_is_left_to_stop_after_the_end(fp: FakeProcess) -> None:
    fp.register(["tool"])
    run(["tool"])

    stop_all()


def test_program_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_program("tool", why="", fix="") == str(tool)


def test_program_that_is_on_no_path_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ToolError) as caught:
        find_program("tool", why="it is needed", fix="install it")

    assert str(caught.value) == "tool is not on PATH\n  why: it is needed\n  fix: install it"
