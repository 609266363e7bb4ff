"""The same spec and lock give the same bytes: elsewhere, in other locales, on other Pythons."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Project

ROOT = Path(__file__).parents[2]
RENDER = [sys.executable, "-m", "envgen", "render", "--locked"]


def render(root: Path, command: list[str], **env: str) -> dict[str, bytes]:
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT / "generator"), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def elsewhere(copied: Project, tmp_path: Path) -> Path:
    """Return a second copy, in a folder whose name is longer and not ASCII."""
    target = tmp_path / "an other place" / "Größe #2" / "deeper"
    return shutil.copytree(copied.root, target)


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0"},
        {"LC_ALL": "POSIX", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1"},
        {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii", "PYTHONHASHSEED": "2"},
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR", "COLUMNS": "40", "PYTHONHASHSEED": "3"},
    ],
    ids=lambda env: env["LC_ALL"],
)
@pytest.mark.parametrize("case", ["serve-everything"], indirect=True)
def test_place_locale_and_hash_seed_do_not_matter(
    copied: Project, elsewhere: Path, env: Mapping[str, str]
) -> None:
    assert copied.run("render", "--locked").code == 0

    assert render(elsewhere, RENDER, **env) == copied.files()


OLDEST = 11
NEEDED = ("minijinja", "msgspec", "packaging", "tomli_w")


def find_other_python() -> str:
    """Return an interpreter of another minor version; a pyenv shim may be on PATH and not run."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for minor in range(sys.version_info.minor + 5, OLDEST - 1, -1):
        wanted = f"3.{minor}"
        candidates = [
            shutil.which(f"python{wanted}"),
            *pyenv.glob(f"versions/{wanted}.*/bin/python"),
        ]
        for candidate in candidates:
            if (
                candidate
                and minor != sys.version_info.minor
                and not failure(str(candidate), "-c", "")
            ):
                return str(candidate)
    pytest.skip("there is only one Python on this machine that envgen supports")


@pytest.fixture(scope="session")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter of another version that has what rendering needs."""
    folder = tmp_path_factory.mktemp("other") / "venv"
    program = uv.find_uv_bin()
    subprocess.run(
        [program, "venv", "--quiet", "--python", find_other_python(), folder], check=True
    )
    python = folder / "bin" / "python"
    packages = [f"{name}=={importlib.metadata.version(name)}" for name in NEEDED]
    install = [program, "pip", "install", "--quiet", "--python", str(python), *packages]
    if failure(*install, "--offline") and (reason := failure(*install)):
        pytest.skip(f"no packages for another Python: {reason}")
    return python


def failure(*command: str) -> str:
    """Return what a program complained about when it failed, nothing when it did not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


@pytest.mark.network
@pytest.mark.parametrize("case", ["serve-everything", "pyproject", "two-platforms"], indirect=True)
def test_version_of_python_does_not_matter(
    copied: Project, elsewhere: Path, other_python: Path
) -> None:
    assert copied.run("render", "--locked").code == 0
    command = [str(other_python), *RENDER[1:]]

    assert render(elsewhere, command) == copied.files()
