"""MLflow itself, on a database of its own: a model version leads back to the commit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Project

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]

ROOT = Path(__file__).parents[2]
REGISTER = """\
from mlflow import MlflowClient
client = MlflowClient()
client.create_registered_model("iris")
version = client.create_model_version("iris", source="file:///nowhere")
client.set_registered_model_alias("iris", "champion", version.version)
"""


def run(*command: str, folder: Path, uri: str, python: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), *command],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python with envgen and the MLflow of a user."""
    folder = tmp_path_factory.mktemp("mlflow") / "venv"
    program = uv.find_uv_bin()
    subprocess.run([program, "venv", "--quiet", f"--python={sys.executable}", folder], check=True)
    subprocess.run(
        [
            *(program, "pip", "install", "--quiet", f"--python={folder / 'bin' / 'python'}"),
            *(str(ROOT), "mlflow-skinny>=3", "sqlalchemy>=2", "alembic>=1"),
        ],
        check=True,
    )
    return folder / "bin" / "python"


@pytest.mark.parametrize("name", ["mlflow:iris/1", "mlflow:iris@champion"])
def test_a_model_version_leads_back_to_the_commit(
    tmp_path: Path, python: Path, copy_example: Callable[[Path], Project], name: str
) -> None:
    project = copy_example(tmp_path / "iris")
    assert project.envgen("render").returncode == 0
    identity = ("-c", "user.name=a", "-c", "user.email=a@packages.example")
    for command in (
        ["init", "--quiet"],
        ["add", "--all", "--force"],
        [*identity, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "x"],
    ):
        subprocess.run(["git", *command], cwd=project.root, check=True)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    made = run("-c", REGISTER, folder=project.root, uri=uri, python=python)
    assert made.returncode == 0, made.stderr

    there = run(
        *("-m", "envgen", "register", "serve", name), folder=project.root, uri=uri, python=python
    )
    assert there.returncode == 0, there.stderr
    back = run("-m", "envgen", "identify", name, folder=project.root, uri=uri, python=python)
    assert back.returncode == 0, back.stderr

    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=project.root, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert f"commit: {head} (with this spec and this lock)" in back.stdout


def test_a_model_that_is_not_there_is_told(
    tmp_path: Path, python: Path, copy_example: Callable[[Path], Project]
) -> None:
    project = copy_example(tmp_path / "iris")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    done = run(
        *("-m", "envgen", "identify", "mlflow:nothing/1"),
        folder=project.root,
        uri=uri,
        python=python,
    )

    assert done.returncode == 5
    assert "MLflow refused" in done.stderr
    assert "Traceback" not in done.stderr
