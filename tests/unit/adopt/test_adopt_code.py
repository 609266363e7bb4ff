"""`init` without a dependency file: what code and a Dockerfile say, and which preset suits."""

from __future__ import annotations

import io
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.adopt.code import read_code
from envgen.adopt.imports import known_modules, parse_modules
from envgen.adopt.preset import _SUITS
from envgen.commands import questions
from envgen.presets import preset_names, read_preset
from envgen.spec.forms import check_requirement

if TYPE_CHECKING:
    from pathlib import Path

APP = "from fastapi import FastAPI\n\nimport model\n\napp = FastAPI()\n"


@pytest.fixture
def folder(project: Any) -> Any:
    """Return a project without a spec."""
    (project.root / "envgen.toml").unlink()
    return project


def image_of(folder: Any) -> Any:
    return tomllib.loads(folder.read("envgen.toml"))["images"]["app"]


def dependencies_of(folder: Any) -> Any:
    return tomllib.loads(folder.read("envgen.toml"))["project"]["dependencies"]


def test_imports_become_the_packages_that_bring_them(folder: Any) -> None:
    folder.write("fit.py", "import json\nimport sklearn.linear_model\nfrom PIL import Image\n")
    outcome = folder.run("init")
    assert "read the imports of the code" in outcome.err
    assert dependencies_of(folder) == ["pillow", "scikit-learn"]


def test_an_unknown_module_is_listed_and_not_guessed(folder: Any) -> None:
    folder.write("fit.py", "import numpy\nimport acme_features\n")
    told = folder.run("init").err
    assert "fit.py:2: import acme_features" in told
    assert "may be anybody's" in told
    assert dependencies_of(folder) == ["numpy"]


@pytest.mark.parametrize(
    "path",
    [".venv/x.py", "tests/test_fit.py", "old/pyvenv.cfg", "node_modules/a/x.py", "test_x.py"],
)
def test_code_of_others_is_passed_over(folder: Any, path: str) -> None:
    folder.write(path, "")
    folder.write(path.replace("pyvenv.cfg", "x.py"), "import torch\n")
    assert read_code(folder.root).imports == {}


def test_what_cannot_be_parsed_is_passed_over(folder: Any) -> None:
    folder.write("broken.py", "def (:\n")
    folder.write("zero.py", b"\x00")
    folder.write("deep.py", "(" * 10_000)
    folder.write("escape.py", "import numpy\ntext = '\\d'\n")
    assert list(read_code(folder.root).imports) == ["numpy"]


def test_a_served_application_gets_its_preset_and_its_files(folder: Any) -> None:
    folder.write("requirements.txt", "fastapi\nscikit-learn\n")
    folder.write("main.py", APP)
    folder.write("model.py", "import sklearn\n")
    told = folder.run("init").err
    assert "preset sklearn-serve, because of scikit-learn and fastapi" in told
    assert image_of(folder) == {
        "preset": "sklearn-serve",
        "copy": ["main.py", "model.py"],
        "command": ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"],  # noqa: S104
    }
    assert folder.render_offline().code == 0


def test_code_where_a_preset_looks_for_it_needs_no_words(folder: Any) -> None:
    folder.write("requirements.txt", "fastapi\nscikit-learn\n")
    folder.write("app/main.py", APP)
    folder.run("init")
    assert image_of(folder) == {"preset": "sklearn-serve"}


def test_a_training_script_is_run(folder: Any) -> None:
    folder.write("requirements.txt", "torch\n")
    folder.write("fit.py", 'import nets\n\nif __name__ == "__main__":\n    nets.cuda()\n')
    folder.write("nets/__init__.py", "")
    assert "fit.py:4 names CUDA" not in folder.run("init").err, "the preset says so already"
    assert image_of(folder) == {
        "preset": "pytorch-train",
        "copy": ["fit.py", "nets/"],
        "command": ["python", "fit.py"],
    }


def test_a_preset_whose_code_is_missing_is_only_named(folder: Any) -> None:
    folder.write("requirements.txt", "fastapi\nscikit-learn\n")
    told = folder.run("init").err
    assert "preset sklearn-serve would suit, because of scikit-learn and fastapi" in told
    assert "but it runs `uvicorn app.main:app` from app/, which is not here yet" in told
    assert image_of(folder) == {}


def test_a_preset_that_contradicts_a_pin_is_only_named(folder: Any) -> None:
    folder.write("requirements.txt", "fastapi==0.100.0\nscikit-learn\n")
    folder.write("app/main.py", APP)
    told = folder.run("init").err
    assert "it needs fastapi>=0.115, and fastapi==0.100.0 is required here" in told
    assert image_of(folder).get("preset") is None


@pytest.mark.parametrize("requirement", ["torch~=2.9", "torch>=2,<3", "torch==2.9.*", "torch!=2.7"])
def test_a_preset_agrees_with_a_range(folder: Any, requirement: str) -> None:
    folder.write("requirements.txt", f"{requirement}\n")
    folder.write("train/__main__.py", "import torch\n")
    folder.run("init")
    assert image_of(folder) == {"preset": "pytorch-train"}


def test_a_preset_that_is_asked_for_renders_before_its_code_is_there(folder: Any) -> None:
    folder.write("requirements.txt", "fastapi\nscikit-learn\n")
    told = folder.run("init", "--preset", "sklearn-serve").err
    assert "name the code in `copy` once it is here" in told
    assert image_of(folder) == {"preset": "sklearn-serve", "copy": []}
    assert folder.render_offline().code == 0


def test_no_preset_can_be_asked_for(folder: Any) -> None:
    folder.write("requirements.txt", "fastapi\nuvicorn\nscikit-learn\n")
    folder.write("app/main.py", APP)
    folder.run("init", "--preset", "none")
    found = image_of(folder)
    assert "preset" not in found
    assert found["copy"] == ["app/"]
    assert found["command"][:2] == ["uvicorn", "app.main:app"]


def test_cuda_in_the_code_asks_for_a_gpu(folder: Any) -> None:
    folder.write("requirements.txt", "torch\n")
    folder.write("lib.py", 'DEVICE = "cuda:0"\n')
    told = folder.run("init", "--preset", "none").err
    assert "it is for GPUs, because lib.py:1 names CUDA" in told
    assert image_of(folder)["gpu"] == {"cuda": "auto"}


def test_cuda_in_code_that_has_no_use_for_it_asks_for_nothing(folder: Any) -> None:
    folder.write("requirements.txt", "rich\n")
    folder.write("lib.py", 'HELP = "cuda"\n')
    folder.run("init")
    assert image_of(folder) == {}


DOCKERFILE = """\
# syntax=docker/dockerfile:1
FROM --platform=linux/amd64 nvidia/cuda:12.4.1-runtime-ubuntu22.04 AS run
FROM python:3.12-slim
WORKDIR /app
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 \\
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir "torch>=2.9" pillow \\
    && pip install -r requirements/none.txt
RUN make weights
COPY serve.py .
EXPOSE 9000
CMD ["python", "serve.py"]
"""


def test_a_dockerfile_is_read_where_there_is_nothing_better(folder: Any) -> None:
    folder.write("Dockerfile", DOCKERFILE)
    folder.write("serve.py", "import torch\n")
    told = folder.run("init", "--preset", "none").err
    assert "read Dockerfile" in told
    assert 'apt = ["libgl1"]' in told
    assert "RUN make weights" in told
    assert "pip install -r requirements/none.txt" in told
    assert "apt-get update" not in told
    assert dependencies_of(folder) == ["torch>=2.9", "pillow"]
    assert 'python = "3.12"' in folder.read("envgen.toml")
    assert image_of(folder) == {
        "gpu": {"cuda": "auto"},
        "copy": ["serve.py"],
        "command": ["python", "serve.py"],
        "port": 9000,
    }


def test_a_dockerfile_is_not_read_beside_a_dependency_file(folder: Any) -> None:
    folder.write("Dockerfile", DOCKERFILE)
    folder.write("requirements.txt", "rich\n")
    assert "read requirements.txt\n" in folder.run("init").err


@given(st.text())
def test_any_dockerfile_gives_a_spec_or_a_message(tmp_path_factory: Any, text: str) -> None:
    from envgen.adopt.sources import read_traces
    from envgen.adopt.write import write_spec
    from envgen.spec.parse import parse_spec

    root: Path = tmp_path_factory.mktemp("dockerfile")
    (root / "Dockerfile").write_bytes(f"FROM x\n{text}".encode(errors="replace"))
    found = read_traces(root, read_code(root))
    parse_spec(tomllib.loads(write_spec(found, folder="x", image="app")), file="envgen.toml")


def test_every_module_of_the_table_names_a_requirement() -> None:
    assert all(check_requirement(package) is None for package in known_modules().values())


def test_an_incomplete_row_of_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="source"):
        parse_modules('modules = [{ module = "cv2", package = "x" }]')


def test_every_preset_that_runs_something_is_proposed_for_what_it_installs() -> None:
    run = {name for name in preset_names() if "command" in read_preset(name)["image"]}
    assert {name for name, _ in _SUITS} == run
    for name, groups in _SUITS:
        asked = " ".join(read_preset(name)["image"]["dependencies"])
        assert all(any(package in asked for package in group) for group in groups), name


class TestQuestions:
    def answers(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    def test_enter_and_the_end_take_what_is_proposed(self, monkeypatch: Any) -> None:
        self.answers(monkeypatch, "\n")
        assert questions.ask("Name", "app") == "app"
        assert questions.confirm("Sure", default=False) is False

    def test_an_answer_that_is_no_choice_is_asked_again(
        self, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.answers(monkeypatch, "maybe\nyes\n")
        assert questions.confirm("Sure", default=False) is True
        said = capsys.readouterr()
        assert "'maybe' is none of them" in said.err
        assert said.out == ""

    def test_nobody_is_asked_without_a_terminal(self, monkeypatch: Any) -> None:
        self.answers(monkeypatch, "x\n")
        assert questions.can_ask() is False
