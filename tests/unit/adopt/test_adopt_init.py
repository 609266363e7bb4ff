"""`init`: a spec that parses, nothing overwritten, and everything told that was left."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.adopt.found import Found
from envgen.adopt.python import choose_python
from envgen.adopt.write import name_project, write_spec, write_table
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(project: Any) -> Any:
    """Return a project without a spec."""
    (project.root / "envgen.toml").unlink()
    return project


def test_an_empty_folder_gets_the_smallest_spec(folder: Any) -> None:
    outcome = folder.run("init")
    assert outcome.code == 0
    assert "there is no dependency file here" in outcome.err
    assert folder.read("envgen.toml").startswith("#:schema ./envgen.schema.json\n")
    assert folder.run("render", "--check").code == 1


def test_the_best_file_is_read_and_the_others_are_named(folder: Any) -> None:
    folder.write("requirements.txt", "rich\n")
    folder.write("Pipfile", '[packages]\nnumpy = "*"\n')
    outcome = folder.run("init")
    assert "read Pipfile\n" in outcome.err
    assert "not read: requirements.txt" in outcome.err
    assert '"numpy"' in folder.read("envgen.toml")


def test_the_file_that_is_named_is_read(folder: Any) -> None:
    folder.write("Pipfile", "[packages]\n")
    path = folder.write("reqs/serve.txt", "rich\n")
    assert folder.run("init", "--from", str(path)).code == 0
    assert '"rich"' in folder.read("envgen.toml")


def test_what_was_left_is_told_with_place_reason_and_fix(folder: Any) -> None:
    folder.write("requirements.txt", "rich\n-e .\n")
    told = folder.run("init").err
    assert "not carried over (1):\n  requirements.txt:2: -e .\n    why: " in told
    assert "    fix: " in told


def test_quiet_and_json_are_for_machines(folder: Any) -> None:
    folder.write("requirements.txt", "rich\n-e .\n")
    outcome = folder.run("init", "--json", "--quiet")
    assert outcome.err == ""
    assert outcome.json["written"] == ["envgen.toml"]
    assert outcome.json["left"][0]["where"] == "requirements.txt:2"


def test_a_spec_is_never_overwritten(project: Any) -> None:
    before = project.files()
    outcome = project.run("init")
    assert outcome.code == 7
    assert "envgen.toml: is there already" in outcome.err
    assert project.files() == before


def test_a_pyproject_gets_a_table_to_append(folder: Any) -> None:
    text = '[project]\nname = "demo"\nversion = "1"\ndependencies = ["rich"]'
    folder.write("pyproject.toml", text)
    outcome = folder.run("init")
    assert folder.read("pyproject.toml") == text
    assert not (folder.root / "envgen.toml").exists()
    folder.write("pyproject.toml", text + outcome.out)
    assert folder.run("render", "--check").code == 1, "a spec without a lock is stale"


def test_the_table_leaves_out_what_a_spec_cannot_take(folder: Any) -> None:
    text = (
        '[project]\nname = "demo"\nrequires-python = "<3.9"\n'
        'dependencies = ["rich", "x @ https://files.example/x.whl"]\n'
    )
    folder.write("pyproject.toml", text)
    table = tomllib.loads(folder.run("init").out)["tool"]["envgen"]["project"]
    assert table == {"python": "3.10", "dependencies": ["rich"]}


def test_a_lock_is_put_where_its_locker_looks_for_it(folder: Any) -> None:
    folder.write("pyproject.toml", '[project]\nname = "demo"\nversion = "1"\n')
    folder.write("uv.lock", "version = 1\n")
    outcome = folder.run("init", "--image", "serve")
    assert folder.read("environments/serve/uv.lock") == "version = 1\n"
    assert "the pins of uv.lock, in environments/serve/uv.lock" in outcome.err


def test_a_lock_that_is_there_stays(folder: Any) -> None:
    folder.write("pyproject.toml", '[project]\nname = "demo"\nversion = "1"\n')
    folder.write("uv.lock", "version = 1\n")
    folder.write("environments/app/uv.lock", "mine\n")
    folder.run("init")
    assert folder.read("environments/app/uv.lock") == "mine\n"


def test_an_environment_file_keeps_conda(folder: Any) -> None:
    folder.write("environment.yml", "channels: [conda-forge]\ndependencies: [numpy=2.*]\n")
    folder.run("init")
    image = tomllib.loads(folder.read("envgen.toml"))["images"]["app"]
    assert image == {"locker": "conda-lock", "channels": ["conda-forge"], "conda": ["numpy=2.*"]}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--image", "Not A Name"], 2), (["--from", "missing.txt"], 8), (["--from", "x.json"], 2)],
)
def test_what_cannot_be_done_changes_nothing(folder: Any, arguments: list[str], code: int) -> None:
    outcome = folder.run("init", *arguments)
    assert outcome.code == code
    assert folder.files() == {}


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ("", "3.14"),
        ("3.11", "3.11"),
        ("3.11.4", "3.11"),
        (">=3.10,<3.13", "3.12"),
        ("==3.10.*", "3.10"),
        ("~=3.11", "3.14"),
        (">=3.12.3,<3.13", "3.12"),
    ],
)
def test_the_newest_python_that_is_admitted_is_chosen(said: str, chosen: str) -> None:
    assert choose_python(said) == (chosen, "")


@pytest.mark.parametrize(
    ("said", "chosen"), [("3.8", "3.10"), ("<3.9", "3.10"), (">=3.99", "3.14")]
)
def test_a_python_without_a_base_gives_the_nearest_one_and_says_so(said: str, chosen: str) -> None:
    python, trouble = choose_python(said)
    assert python == chosen
    assert "3.10, 3.11" in trouble


@pytest.mark.parametrize(
    ("name", "folder_name", "chosen"),
    [
        ("demo", "x", "demo"),
        ("", "folder", "folder"),
        ("My Lab!", "x", "my-lab"),
        ("", "", "my-project"),
        ("---", "ok", "ok"),
    ],
)
def test_a_project_always_gets_a_name(name: str, folder_name: str, chosen: str) -> None:
    assert name_project(name, folder_name) == chosen


_REQUIREMENT = st.sampled_from(["numpy", 'a>=1; python_version > "3.9"', "b[c]==1.*"])


@given(
    st.builds(
        Found,
        sources=st.just(("requirements.txt",)),
        name=st.text(max_size=10),
        python=st.sampled_from(["", "3.11", ">=3.10", "nonsense"]),
        dependencies=st.lists(_REQUIREMENT, unique=True).map(tuple),
        pins=st.lists(st.sampled_from(["x==1", "y==2"]), unique=True).map(tuple),
        env=st.dictionaries(
            st.sampled_from(["A", "B_2"]), st.text(st.characters(min_codepoint=32, codec="utf-8"))
        ),
        gpu=st.booleans(),
        index=st.sampled_from(["", "https://packages.example/simple"]),
        own_dependencies=st.booleans(),
    ),
    st.text(max_size=10),
)
def test_whatever_was_found_gives_valid_toml_with_all_of_it(found: Found, folder: str) -> None:
    document = tomllib.loads(write_spec(found, folder=folder, image="app"))
    assert document["project"].get("dependencies", []) == [*found.dependencies, *found.pins]
    assert document["images"]["app"].get("env", {}) == found.env
    table = tomllib.loads(write_table(found, image="app"))["tool"]["envgen"]
    assert table.get("network", {}).get("index", "") == found.index


def test_a_spec_that_is_written_parses(tmp_path: Path) -> None:
    found = Found(sources=("x.txt",), dependencies=("numpy>=2",), gpu=True, env={"A": "1"})
    text = write_spec(found, folder=tmp_path.name, image="app")
    spec = parse_spec(tomllib.loads(text), file="envgen.toml")
    assert spec.images["app"].gpu is not None
