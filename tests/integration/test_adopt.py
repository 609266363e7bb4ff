"""Dependency files as public repositories write them, each carried to a lock with the real uv.

Each case has what a person has to do where something could not be carried over; docs/adopt.md
tells the same.
"""

from __future__ import annotations

from typing import Any

import pytest

from envgen.lock.model import LockedBase

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]


@pytest.fixture
def folder(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a project without a spec; registries have no part in what is tested here."""

    def pin_base(image: str, **_: object) -> LockedBase:
        return LockedBase(image=image, digest=f"sha256:{'a' * 64}", origin="registry")

    monkeypatch.setattr("envgen.lock.resolve.pin_base", pin_base)
    (project.root / "envgen.toml").unlink()
    return project


def edit(folder: Any, old: str, new: str) -> None:
    text = folder.read("envgen.toml")
    assert old in text
    folder.write("envgen.toml", text.replace(old, new))


def locked(folder: Any) -> str:
    outcome = folder.run("lock")
    assert outcome.code == 0, outcome.err
    layers = sorted((folder.root / "environments" / "app").glob("pylock.*.toml"))
    return "".join(path.read_text(encoding="utf-8") for path in layers)


FINE_TUNING = """\
accelerate
bitsandbytes
black
black[jupyter]
datasets
fire
git+https://github.com/huggingface/peft.git
scipy
sentencepiece
transformers>=4.28.0
"""


def test_a_fine_tuning_script(folder: Any) -> None:
    folder.write("requirements.txt", FINE_TUNING)
    told = folder.run("init").err
    assert "requirements.txt:7: git+https://github.com/huggingface/peft.git" in told
    edit(folder, '    "black",\n', "")
    edit(folder, '    "black[jupyter]",\n', '    "peft>=0.10",\n')
    assert 'name = "peft"' in locked(folder)


SERVICE = """\
[[source]]
url = "https://pypi.example/simple"
verify_ssl = true
name = "main"

[packages]
fastapi = "*"
numpy = "*"
pydantic = "*"
sklearn = "*"
uvicorn = {extras = ["standard"], version = "*"}

[dev-packages]
black = "*"

[requires]
python_version = "3.12"
"""


def test_a_scikit_learn_service(folder: Any) -> None:
    folder.write("Pipfile", SERVICE)
    assert "[dev-packages]: black" in folder.run("init").err
    outcome = folder.run("lock")
    assert outcome.code != 0, "the package `sklearn` only says that it is scikit-learn"
    assert "scikit-learn" in outcome.err
    edit(folder, '"sklearn"', '"scikit-learn"')
    assert 'name = "scikit-learn"' in locked(folder)


DEMO = """\
build:
  gpu: true
  cuda: "11.8"
  python_version: "3.11"
  system_packages:
    - "libgl1-mesa-glx"
  python_packages:
    - "diffusers==0.24.0"
    - "torch==2.0.1"
    - "transformers==4.36.2"
    - "accelerate==0.25.0"
    - "numpy==1.25.1"
    - "fire==0.5.0"
    - "pillow==10.1.0"
  run:
    - curl -o /usr/local/bin/pget -L "https://files.example/pget"
predict: "predict.py:Predictor"
"""


def test_a_diffusion_demo(folder: Any) -> None:
    folder.write("cog.yaml", DEMO)
    told = folder.run("init").err
    for what in ("libgl1-mesa-glx", "cuda: 11.8", "run: curl", "predict: predict.py:Predictor"):
        assert what in told
    outcome = folder.run("lock")
    assert 'allow-source = ["fire"]' in outcome.err
    edit(folder, "[images.app]\n", '[images.app]\nallow-source = ["fire"]\n')
    assert 'name = "torch"\nversion = "2.0.1"' in locked(folder)


TRAINER = """\
name: trainer
channels:
  - pytorch
  - conda-forge
dependencies:
  - python=3.12
  - pytorch>=2.0
  - torchvision>=0.15
  - pytorch-lightning=2.*
  - torchmetrics>=0.11
  - hydra-core=1.*
  - rich=13.*
  - pytorch-cuda=12.1
  - pip>=23
  - pip:
      - hydra-colorlog
"""


def test_a_lightning_trainer(folder: Any) -> None:
    folder.write("environment.yaml", TRAINER)
    told = folder.run("init", "--locker", "uv").err
    assert "environment.yaml: pytorch-cuda=12.1\n    why: it is no Python package" in told
    outcome = folder.run("lock")
    assert 'allow-source = ["antlr4-python3-runtime"]' in outcome.err
    edit(folder, "[images.app]\n", '[images.app]\nallow-source = ["antlr4-python3-runtime"]\n')
    assert 'name = "pytorch-lightning"' in locked(folder)


RESEARCH = """\
-f https://storage.googleapis.com/jax-releases/jax_cuda_releases.html
# only for loading data
--extra-index-url https://download.pytorch.org/whl/cpu

absl-py>=0.12.0
chex>=0.0.7
einops==0.6.1
flax>=0.6.10
jax[cuda12]
ml-collections==0.1.1
optax>=0.1.5
torch==2.5.1+cpu
wandb==0.15.*
"""


def test_a_jax_research_repository(folder: Any) -> None:
    folder.write("requirements.txt", RESEARCH)
    folder.write(".python-version", "3.12\n")
    told = folder.run("init").err
    for what in ("-f https://storage", "the index https://download", "the build +cpu of torch"):
        assert what in told
    outcome = folder.run("lock")
    for source in ("ml-collections", "pathtools"):
        assert f'allow-source = ["{source}"]' in outcome.err
    edit(folder, "wandb==0.15.*", "wandb>=0.17")
    edit(folder, "[images.app]\n", '[images.app]\nallow-source = ["ml-collections"]\n')
    text = locked(folder)
    assert 'name = "jaxlib"' in text
    assert 'name = "torch"\nversion = "2.5.1"' in text


def test_the_pins_of_a_uv_lock_are_kept(folder: Any) -> None:
    import subprocess
    import sys

    import uv

    project = '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11,<3.13"\n'
    folder.write("pyproject.toml", project + 'dependencies = ["rich<14"]\n')
    subprocess.run(
        [uv.find_uv_bin(), "lock", "--no-config", "--quiet", "--python", sys.executable],
        cwd=folder.root,
        check=True,
    )
    assert 'version = "13.9.4"' in folder.read("uv.lock")
    folder.write("pyproject.toml", project + 'dependencies = ["rich"]\n')
    table = folder.run("init").out
    folder.write("pyproject.toml", folder.read("pyproject.toml") + table)
    assert 'name = "rich"\nversion = "13.9.4"' in locked(folder)
