"""envgen inside of poetry and hatchling: the packages of bridges/, with the real programs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv
from tests.integration.conftest import Project

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Server

ROOT = Path(__file__).parents[2]
BRIDGES = ROOT / "bridges"
PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-envgen"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.13,<3.14"
dependencies = ["numpy"]

[tool.hatch.build.targets.wheel]
only-include = ["demo.py"]

[tool.hatch.build.targets.wheel.hooks.envgen]

[tool.envgen]
format = 1
epoch = "2026.11"

[tool.envgen.images.serve]

[tool.envgen.network]
index = "{index}"
"""


@pytest.fixture
def project(serve: Callable[..., Server], tmp_path: Path) -> Project:
    index, registry = serve(), serve()
    index.add_wheel("numpy", "9.0")
    registry.add_base("library/python", "3.13-slim-trixie")
    root = tmp_path / "project"
    root.mkdir()
    (root / "demo.py").write_text("")
    text = PYPROJECT.replace("{index}", f"{index.url}/simple")
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    return Project(
        root,
        {
            "ENVGEN_REGISTRY_MIRRORS": f"docker.io={registry.host}",
            "NO_PROXY": "127.0.0.1",
            "UV_CACHE_DIR": str(tmp_path / "cache"),
        },
    )


def install(bridge: str, *options: str | Path) -> None:
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-config", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", *options, BRIDGES / bridge], check=True)


@pytest.fixture
def build(project: Project, tmp_path: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Return what builds the project's wheel with the hook."""
    folder = tmp_path / "bridge"
    install("hatch-envgen", "--offline", "--python", sys.executable, "--target", folder)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "--target", "wheel"],
            cwd=project.root,
            env=project.environment(PYTHONPATH=str(folder), SOURCE_DATE_EPOCH="315532800"),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_wheel_names_spec_and_lock(
    project: Project, build: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    assert project.envgen("render").returncode == 0

    done = build()

    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(project.root / "dist" / "demo-1.0-py3-none-any.whl") as wheel:
        found = json.loads(wheel.read("demo-1.0.dist-info/extra_metadata/envgen.json"))
    for key in ("spec", "lock"):
        content = (project.root / found[key]["file"]).read_bytes()
        assert found[key]["sha256"] == hashlib.sha256(content).hexdigest()
    assert found["images"].keys() == {"serve"}


def test_wheel_of_a_project_without_a_fitting_lock_is_not_built(
    build: Callable[[], subprocess.CompletedProcess[str]],
) -> None:
    done = build()

    assert done.returncode != 0
    assert "image serve has to be locked again" in done.stderr


@pytest.fixture(scope="module")
def poetry(tmp_path_factory: pytest.TempPathFactory, package_index: None) -> Path:
    """Return a poetry with the plugin, in an environment of its own."""
    del package_index  # it skips
    folder = tmp_path_factory.mktemp("poetry")
    program = [uv.find_uv_bin(), "--no-config"]
    subprocess.run([*program, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = ("--python", folder / "bin" / "python")
    wanted = ("poetry>=2,<3", "hatchling>=1.27", ROOT)
    subprocess.run([*program, "pip", "install", "--quiet", *python, *wanted], check=True)
    install("poetry-envgen", *python)
    return folder / "bin" / "poetry"


def run_poetry(poetry: Path, project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [poetry, "--no-interaction", *words],
        cwd=project.root.parent,
        env=project.environment(POETRY_CACHE_DIR=os.devnull, POETRY_NO_PLUGINS=""),
        capture_output=True,
        text=True,
        check=False,
    )


def test_poetry_renders_and_checks(poetry: Path, project: Project) -> None:
    directory = ("-C", str(project.root))

    stale = run_poetry(poetry, project, *directory, "envgen", "render", "--check")
    done = run_poetry(poetry, project, *directory, "envgen", "render")
    checked = run_poetry(poetry, project, *directory, "envgen", "render", "--check", "--json")

    assert stale.returncode == 1, stale.stderr
    assert done.returncode == 0, done.stderr
    assert (project.root / "environments" / "serve" / "Dockerfile").is_file()
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["images"] == ["serve"]


def test_word_that_envgen_does_not_know_is_its_business(poetry: Path, project: Project) -> None:
    done = run_poetry(poetry, project, "-C", str(project.root), "envgen", "rendr")

    assert done.returncode == 2
    assert "invalid choice: 'rendr'" in done.stderr
