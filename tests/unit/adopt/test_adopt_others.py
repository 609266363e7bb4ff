"""Pipfile, setup.cfg, cog.yaml, uv.lock and pyproject.toml: carried over or listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envgen.adopt.found import Found
from envgen.adopt.sources import ORDER, find_sources, read_source
from envgen.adopt.write import write_spec
from envgen.errors import EnvgenError, SpecError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, name: str, text: str, locker: str = "") -> Found:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_source(path, locker)


def left(found: Found) -> list[str]:
    return [entry.what for entry in found.left]


def test_pipfile(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "Pipfile",
        """
[[source]]
name = "main"
url = "https://pypi.example/simple"

[[source]]
name = "internal"
url = "https://internal.example/simple"

[packages]
numpy = "*"
torch = "==2.1.*"
uvicorn = { version = ">=0.20", extras = ["standard"], sys_platform = "== 'linux'" }
ours = { path = ".", editable = true }
special = { version = "*", index = "internal" }

[dev-packages]
pytest = "*"

[scripts]
serve = "uvicorn app:app"

[pipenv]
allow_prereleases = true

[requires]
python_version = "3.11"
""",
    )
    assert found.dependencies == (
        "numpy",
        "torch==2.1.*",
        "uvicorn[standard]>=0.20 ; sys_platform == 'linux'",
        "special",
    )
    assert (found.python, found.index) == ("3.11", "")
    assert left(found) == [
        "ours from path .",
        "index internal of special",
        "[dev-packages]: pytest",
        "[pipenv]: allow_prereleases",
        "[scripts]: serve",
        "the index https://internal.example/simple",
    ]


def test_the_one_source_of_a_pipfile_is_the_index(tmp_path: Path) -> None:
    text = '[[source]]\nname = "internal"\nurl = "https://packages.example/simple"\n'
    assert read(tmp_path, "Pipfile", text).index == "https://packages.example/simple"


def test_setup_cfg(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "setup.cfg",
        """
[metadata]
name = demo
[options]
python_requires = >=3.9
install_requires =
    numpy>=1.2; python_version > "3.9"
    requests  # for the index
    ours @ git+https://git.example/ours.git
tests_require = pytest
[options.extras_require]
gpu = cupy
""",
    )
    assert (found.name, found.python) == ("demo", ">=3.9")
    assert found.dependencies == ('numpy>=1.2; python_version > "3.9"', "requests")
    assert left(found) == [
        "ours @ git+https://git.example/ours.git",
        "extras: gpu",
        "tests_require: pytest",
    ]


def test_setup_cfg_that_names_a_requirements_file(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("numpy\n", encoding="utf-8")
    found = read(tmp_path, "setup.cfg", "[options]\ninstall_requires = file: base.txt\n")
    assert found.dependencies == ("numpy",)
    assert found.sources == ("setup.cfg", "base.txt")


COG = """\
build:
  gpu: true
  cuda: "11.8"
  python_version: 3.10
  python_requirements: requirements.txt
  python_packages:
    - "torch==2.0.1 --index-url https://download.pytorch.org/whl/cu118"
    - git+https://git.example/peft.git
  system_packages: [ffmpeg, libgl1]
  environment:
    - HF_HOME=/models
  run:
    - curl https://files.example/pget
  new_key: 1
predict: "predict.py:Predictor"
"""


def test_cog_yaml(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("diffusers==0.24.0\n", encoding="utf-8")
    found = read(tmp_path, "cog.yaml", COG)
    assert found.dependencies == ("torch==2.0.1", "diffusers==0.24.0")
    assert (found.python, found.gpu, found.env) == ("3.10", True, {"HF_HOME": "/models"})
    assert left(found) == [
        "the index https://download.pytorch.org/whl/cu118",
        "git+https://git.example/peft.git",
        "system packages: ffmpeg, libgl1",
        "run: curl https://files.example/pget",
        "cuda: 11.8",
        "build.new_key: 1",
        "predict: predict.py:Predictor",
    ]


@pytest.mark.parametrize(("named", "cuda"), [('"11.8"', "11.8"), ('"12.1.1"', "12.1"), ("", "")])
def test_conda_gets_the_cuda_that_cog_names(tmp_path: Path, named: str, cuda: str) -> None:
    text = COG.replace('  cuda: "11.8"\n', f"  cuda: {named}\n" if named else "")
    (tmp_path / "requirements.txt").write_text("diffusers==0.24.0\n", encoding="utf-8")
    (tmp_path / "cog.yaml").write_text(text, encoding="utf-8")

    found = read_source(tmp_path / "cog.yaml", "conda-lock")

    assert found.cuda == cuda
    assert f'gpu = {{ cuda = "{cuda or "auto"}" }}' in write_spec(found, folder="x", image="app")
    assert ("the CUDA of the hosts" in left(found)) == (not cuda)


UV_LOCK = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "demo"
version = "0.1"
source = { virtual = "." }
[package.metadata]
requires-dist = [
    { name = "numpy", specifier = "<2.2" },
    { name = "uvicorn", extras = ["standard"], marker = "sys_platform == 'linux'" },
    { name = "ours", directory = "../ours" },
    { name = "click", marker = "extra == 'cli'" },
]
[package.metadata.requires-dev]
dev = [{ name = "pytest" }]

[[package]]
name = "numpy"
version = "2.1.3"
source = { registry = "https://packages.example/simple" }
"""


def test_uv_lock_gives_what_was_asked_for_and_keeps_the_pins(tmp_path: Path) -> None:
    found = read(tmp_path, "uv.lock", UV_LOCK)
    assert (found.name, found.python) == ("demo", ">=3.11")
    assert found.dependencies == ("numpy<2.2", "uvicorn[standard] ; sys_platform == 'linux'")
    assert (found.native, found.lock) == ("uv.lock", UV_LOCK.encode())
    assert left(found) == ["ours @ ../ours", "extras: cli", "groups: dev"]


def test_uv_lock_of_several_projects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lock of 2 projects"):
        read(
            tmp_path, "uv.lock", UV_LOCK + '[[package]]\nname = "b"\nsource = { editable = "b" }\n'
        )


PYPROJECT = """\
[project]
name = "demo"
version = "1"
requires-python = ">=3.11"
dependencies = ["numpy<2.2"]
[project.optional-dependencies]
cli = ["click"]
[dependency-groups]
dev = ["pytest"]
[tool.uv]
constraint-dependencies = ["urllib3<2"]
[tool.uv.sources]
numpy = { index = "internal" }
"""


def test_pep_621_stays_where_it_is(tmp_path: Path) -> None:
    found = read(tmp_path, "pyproject.toml", PYPROJECT)
    assert found.table
    assert not found.own_dependencies
    assert left(found) == [
        "extras: cli",
        "groups: dev",
        "[tool.uv] constraints: urllib3<2",
    ]


def test_pep_621_that_a_spec_cannot_take_gets_a_list_of_its_own(tmp_path: Path) -> None:
    text = PYPROJECT.replace('"numpy<2.2"', '"numpy<2.2", "x @ https://files.example/x.whl"')
    found = read(tmp_path, "pyproject.toml", text)
    assert found.own_dependencies
    assert found.dependencies == ("numpy<2.2",)


def test_dynamic_dependencies_are_read_from_the_files_of_setuptools(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("numpy\n", encoding="utf-8")
    text = (
        '[project]\nname = "demo"\ndynamic = ["dependencies"]\n'
        '[tool.setuptools.dynamic]\ndependencies = { file = ["base.txt"] }\n'
    )
    found = read(tmp_path, "pyproject.toml", text)
    assert found.dependencies == ("numpy",)
    assert found.own_dependencies


def test_dynamic_dependencies_of_another_backend_are_listed(tmp_path: Path) -> None:
    found = read(
        tmp_path, "pyproject.toml", '[project]\nname = "demo"\ndynamic = ["dependencies"]\n'
    )
    assert left(found) == ["project.dependencies"]


@pytest.mark.parametrize("text", ["", "[tool.ruff]\n", '[project]\nname = "x"\n[tool.envgen]\n'])
def test_a_pyproject_without_dependencies_or_with_a_spec_is_refused(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(UsageError):
        read(tmp_path, "pyproject.toml", text)


@pytest.mark.parametrize("name", ["pyproject.toml", "Pipfile", "uv.lock", "poetry.lock"])
def test_what_is_no_toml_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="not valid TOML"):
        read(tmp_path, name, "a = [")


def test_what_is_no_ini_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="not an INI file"):
        read(tmp_path, "setup.cfg", "no section")


@pytest.mark.parametrize("name", ["package.json", "Pipfile.lock", "Dockerfile"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a dependency file"):
        read(tmp_path, name, "")


@pytest.mark.parametrize("name", ["pyproject.toml", "Pipfile", "uv.lock", "poetry.lock"])
@pytest.mark.parametrize(
    "text",
    [
        "package = 3\nproject = 3\ntool = 3\npackages = 3\nsource = 3\nrequires = 3\n",
        "package = [3]\nsource = [3]\n[tool]\npoetry = 3\n[packages]\nx = 3\n",
        '[project]\nname = "x"\ndependencies = 3\n[tool.poetry]\ndependencies = { x = 3 }\n',
    ],
)
def test_tables_of_other_kinds_are_no_defect_of_envgen(
    tmp_path: Path, name: str, text: str
) -> None:
    try:
        read(tmp_path, name, text)
    except EnvgenError as error:
        assert error.exit_code != EnvgenError.exit_code  # noqa: PT017 - either outcome is right


def test_the_best_file_comes_first(tmp_path: Path) -> None:
    for name in ORDER:
        text = "[project]\n" if name == "pyproject.toml" else "install_requires = x\n"
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [path.name for path in find_sources(tmp_path)] == list(ORDER)


def test_files_that_configure_tools_are_no_dependency_files(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n", encoding="utf-8")
    (tmp_path / "setup.cfg").write_text("[flake8]\n", encoding="utf-8")
    assert find_sources(tmp_path) == ()
