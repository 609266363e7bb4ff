"""`init` on a real terminal: it asks; without one, or with --yes, it does not."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pty: Any = pytest.importorskip("pty")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("fastapi\nscikit-learn\n")
    (tmp_path / "Pipfile").write_text('[packages]\nrich = "*"\n')
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    return tmp_path


def init(folder: Path, typed: str, *arguments: str) -> tuple[str, str]:
    """Return what `init` wrote to standard output and to the terminal."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    with subprocess.Popen(
        [sys.executable, "-m", "envgen", "init", *arguments],
        cwd=folder,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        out, _ = process.communicate(timeout=60)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:
        pass  # Linux's way to say that nobody has the other end any more
    os.close(ours)
    assert process.returncode == 0, said
    return out.decode(), said.decode()


def images(folder: Path) -> Any:
    return tomllib.loads((folder / "envgen.toml").read_text())["images"]


def test_answers_choose_file_name_and_preset(folder: Path) -> None:
    out, said = init(folder, "requirements.txt\nserve\nno\n")
    assert out == "envgen.toml written\n"
    assert "Which file says what is needed? (Pipfile, requirements.txt) [Pipfile]" in said
    assert "Start from the preset sklearn-serve, because of scikit-learn and fastapi?" in said
    assert list(images(folder)) == ["serve"]
    assert "preset" not in images(folder)["serve"]


def test_enter_takes_what_is_proposed(folder: Path) -> None:
    (folder / "Pipfile").unlink()
    init(folder, "\n\n")
    assert images(folder) == {"app": {"preset": "sklearn-serve"}}


def test_a_name_that_is_none_is_asked_again(folder: Path) -> None:
    (folder / "Pipfile").unlink()
    _, said = init(folder, "Not A Name\nserve\nyes\n")
    assert said.count("What is the image called?") == 2
    assert images(folder) == {"serve": {"preset": "sklearn-serve"}}


@pytest.mark.parametrize("option", ["--yes", "--quiet", "--json"])
def test_nothing_is_asked_of_who_does_not_want_it(folder: Path, option: str) -> None:
    _, said = init(folder, "", option)
    assert "?" not in said
    assert list(images(folder)) == ["app"]
