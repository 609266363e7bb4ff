"""One project all the way: published, trained in, registered, found again, served, watched.

Images run by their digests; drifts are planted at each level, and each is named.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import tomli_w
import uv
from tests.integration.conftest import EXAMPLE, MIRROR, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.container.conftest import Engine

ROOT = Path(__file__).parents[3]
TRAIN = """\
import json, pathlib, sys
import envgen_runtime
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier

seed = int(sys.argv[1])
envgen_runtime.seed_everything(seed)
envgen_runtime.tell_parameters(alpha=0.01)
envgen_runtime.tell_data("iris", "scikit-learn")
iris = load_iris()
model = SGDClassifier(alpha=0.01, random_state=seed).fit(iris.data, iris.target)
pathlib.Path("/results/model.json").write_text(json.dumps(model.coef_.tolist()))
"""
REGISTER = """\
from mlflow import MlflowClient
MlflowClient().create_registered_model("iris")
MlflowClient().create_model_version("iris", source="file:///results/model.json")
"""
FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


@pytest.fixture(scope="module")
def project(
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,  # noqa: ARG001 - it skips
    engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Project]:
    """Return a repository with an image that trains and one that serves, both published."""
    if not mirrors:
        pytest.skip(f"no registry on {MIRROR}")
    root = tmp_path_factory.mktemp("whole") / "iris"
    shutil.copytree(EXAMPLE / "app", root / "app")
    (root / "train").mkdir()
    (root / "train" / "__main__.py").write_text(TRAIN, encoding="utf-8")
    shutil.copy(ca_bundle, root / "corp.pem")
    place = f"{MIRROR}/envgen-test/{uuid4().hex}"
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "iris", "python": "3.13", "dependencies": ["scikit-learn"]},
        "network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors},
        "images": {
            "train": {
                "repository": f"{place}/train",
                "targets": ["kubernetes"],
                "copy": ["train/"],
                "command": ["python", "-m", "train", "7"],
                "run": {"volumes": {"results": {"path": "/results", "size": "1GiB"}}},
            },
            "serve": {
                "preset": "sklearn-serve",
                "repository": f"{place}/serve",
                "targets": ["compose", "kubernetes"],
                "run": {"memory": "1GiB"},
            },
        },
    }
    (root / "envgen.toml").write_text(tomli_w.dumps(spec), encoding="utf-8")
    made = Project(root)
    for command in (("render",), ("build", "--push", "--record", str(root / "digests.json"))):
        done = made.envgen(*command)
        assert done.returncode == 0, done.stderr
    git(root, "init", "--quiet")
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "--message", "published")
    yield made
    for name in engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split():
        if name.startswith(place):
            engine.docker("image", "rm", "--force", name)


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@packages.example")
    command = ["git", *identity, "-c", "commit.gpgsign=false", *words]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def built(project: Project, name: str) -> dict[str, Any]:
    images = json.loads((project.root / "digests.json").read_text(encoding="utf-8"))["images"]
    return next(image for image in images if image["image"] == name)


def reference(project: Project, name: str) -> str:
    image = built(project, name)
    return f"{image['repository']}@{image['digest']}"


def train(project: Project, engine: Engine, folder: Path, seed: int) -> dict[str, Any]:
    """Train in the published image, as a manifest starts it, and return its run.json."""
    image = built(project, "train")
    container = f"envgen-test-{uuid4().hex}"
    engine.docker(
        *("run", "--name", container),
        *("--env", f"ENVGEN_IMAGE={image['repository']}"),
        *("--env", f"ENVGEN_IMAGE_DIGEST={image['digest']}", reference(project, "train")),
        *("envgen-run", "--output", "/results/run.json", "--data", "/app/train", "--"),
        *("python", "-m", "train", str(seed)),
    )
    engine.docker("cp", f"{container}:/results", folder)
    engine.docker("rm", container)
    run: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return run


@pytest.fixture(scope="module")
def runs(
    project: Project, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Return the folders of two runs that differ in their seed alone."""
    folder = tmp_path_factory.mktemp("runs")
    for name, seed in (("one", 7), ("other", 8)):
        assert train(project, engine, folder / name, seed)["run"]["exit_status"] == 0
    return folder / "one", folder / "other"


def test_a_run_knows_its_image_its_seed_and_its_data(
    project: Project, runs: tuple[Path, Path]
) -> None:
    run = json.loads((runs[0] / "run.json").read_text(encoding="utf-8"))

    assert run["environment"]["image_digest"] == built(project, "train")["digest"]
    assert run["environment"]["lock"] == built(project, "train")["lock"]
    assert run["seeds"][0]["seed"] == 7
    assert run["data"][0]["files"] == 1
    assert run["data_told"][0]["name"] == "iris"
    assert run["hardware"]["cpus"] >= 1
    outcome = project.envgen("checklist", str(runs[0] / "run.json"))
    assert "✓ environment: image sha256:" in outcome.stdout


def test_two_runs_differ_by_their_seed(project: Project, runs: tuple[Path, Path]) -> None:
    paths = [str(folder / "run.json") for folder in runs]

    told = project.envgen("compare", *paths).stdout.split("cannot be ruled out")[0]

    assert "parameters.arguments" in told
    assert "seeds" in told
    assert "environment" not in told


def test_the_model_leads_back_to_the_commit(
    project: Project, tmp_path: Path, runs: tuple[Path, Path]
) -> None:
    assert (runs[0] / "model.json").is_file()
    venv = tmp_path / "venv"
    program = uv.find_uv_bin()
    subprocess.run([program, "venv", "--quiet", f"--python={sys.executable}", venv], check=True)
    packages = (str(ROOT), "mlflow-skinny>=3", "sqlalchemy>=2", "alembic>=1")
    subprocess.run(
        [program, "pip", "install", "--quiet", f"--python={venv / 'bin' / 'python'}", *packages],
        check=True,
    )
    env = project.environment(MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'mlflow.db'}")

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(venv / "bin" / "python"), *words],
            cwd=project.root,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-c", REGISTER)
    run("-m", "envgen", "register", "train", "mlflow:iris/1", "--record", "digests.json")
    told = run("-m", "envgen", "identify", "mlflow:iris/1")

    assert f"digest: {built(project, 'train')['digest']}" in told
    assert f"commit: {git(project.root, 'rev-parse', 'HEAD')}" in told


def test_what_is_served_is_what_was_declared(project: Project, engine: Engine) -> None:
    serve = reference(project, "serve")
    with engine.start(serve, "--memory=1g") as container:
        assert container.wait_for_health() == "healthy"
        assert container.post("/predict", FLOWER) == {"species": "setosa"}
    assert project.envgen("parity").returncode == 0


@pytest.mark.parametrize(
    ("declared", "found", "named"),
    [
        ("@sha256:", f"@sha256:{'1' * 64}", "image"),
        ("memory: 1g", "memory: 2g", "memory"),
        ('user: "10001:10001"', 'user: "0:0"', "user"),
        ("      ENVGEN_IMAGE:", "      EXTRA: x\n      ENVGEN_IMAGE:", "EXTRA"),
    ],
)
def test_a_drift_is_named(project: Project, declared: str, found: str, named: str) -> None:
    text = (project.root / "environments/serve/compose.yaml").read_text(encoding="utf-8")
    if declared == "@sha256:":
        declared += text.partition(declared)[2].partition("\n")[0]
    assert declared in text
    (project.root / "drifted.yaml").write_text(text.replace(declared, found), encoding="utf-8")

    outcome = project.envgen("parity", "--against", "drifted.yaml")

    assert outcome.returncode == 1, outcome.stdout
    assert re.search(rf"drifted\.yaml: services\.serve\S*{named}", outcome.stdout), outcome.stdout
