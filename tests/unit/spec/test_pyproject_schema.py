"""validate-pyproject with envgen's plugin accepts what envgen accepts of a pyproject.toml."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from validate_pyproject import api, errors, plugins

GOLDEN = Path(__file__).parents[2] / "golden"
SPECS = sorted(
    path
    for path in GOLDEN.glob("*/pyproject.toml")
    if "[tool.envgen" in path.read_text(encoding="utf-8")
)
ENTRY = EntryPoint("envgen", "envgen.spec.pyproject_schema:make_table_schema", "")
DOCUMENT = """
[project]
name = "demo"
version = "1"
requires-python = ">=3.13"

[tool.envgen]
format = 1
epoch = "2026.11"

[tool.envgen.images.serve]
port = 8000
"""


def validate(text: str) -> Any:
    plugin = plugins.PluginWrapper(ENTRY.name, ENTRY.load())
    # Without the check of classifiers, which would ask the package index for the list of them.
    return api.Validator(plugins=[plugin], extra_validations=[])(tomllib.loads(text))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_specs_of_the_golden_cases_are_accepted(path: Path) -> None:
    assert validate(path.read_text(encoding="utf-8"))


def test_there_are_golden_cases_in_a_pyproject() -> None:
    assert SPECS


def test_what_project_says_need_not_be_said_again() -> None:
    assert validate(DOCUMENT)


@pytest.mark.parametrize(
    ("given", "wanted", "word"),
    [
        ("port = 8000", 'port = "8000"', "port"),
        ("port = 8000", "prot = 8000", "prot"),
        ('epoch = "2026.11"', 'epoch = "2025.01"', "epoch"),
        ("port = 8000", 'preset = "git+https://git.example/x"', "preset"),
        ("port = 8000", 'locker = "UV"', "locker"),
        ("format = 1", "", "format"),
    ],
)
def test_what_envgen_refuses_is_refused(given: str, wanted: str, word: str) -> None:
    with pytest.raises(errors.ValidationError, match=rf"tool\.envgen.*{word}"):
        validate(DOCUMENT.replace(given, wanted))


@pytest.mark.parametrize("preset", ["sklearn-serve", "package:acme==1#train", "acme-train"])
def test_presets_have_the_forms_that_there_are(preset: str) -> None:
    assert validate(DOCUMENT.replace("port = 8000", f'preset = "{preset}"'))
