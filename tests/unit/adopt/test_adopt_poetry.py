"""Poetry's tables and lock: constraints as PEP 440 says them, everything else listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given, reject
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from poetry.core.constraints.version import Version as PoetryVersion
from poetry.core.constraints.version import parse_constraint

from envgen.adopt.found import Found
from envgen.adopt.sources import read_source
from envgen.constraints import TranslationError
from envgen.constraints.poetry import translate_constraint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("constraint", "specifier"),
    [
        ("*", ""),
        ("", ""),
        ("1.2.3", "==1.2.3"),
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0.0", ">=0.0,<0.1"),
        ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("1.2.*", "==1.2.*"),
        ("!=1.2.*", "!=1.2.*"),
        (">=1.2,<2", ">=1.2,<2"),
        (">= 1.2 , < 2", ">=1.2,<2"),
        (">=1.2 <2", ">=1.2,<2"),
    ],
)
def test_a_constraint_becomes_a_specifier(constraint: str, specifier: str) -> None:
    assert translate_constraint(constraint) == specifier


@pytest.mark.parametrize("constraint", ["<1 || >2", "1 | 2", "latest", "^x", ">=1.*", "~=1", "1 ;"])
def test_what_pep_440_cannot_say_is_refused(constraint: str) -> None:
    with pytest.raises(TranslationError):
        translate_constraint(constraint)


_RELEASE = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(
    lambda parts: ".".join(map(str, parts))
)
_VERSION = st.tuples(_RELEASE, st.sampled_from(["", "", "", "a1", "rc1", ".post1", ".dev1"])).map(
    "".join
)
_OPERATOR = st.sampled_from(["", "==", "!=", ">=", "<=", ">", "<", "^", "~", "~="])
_CLAUSE = st.one_of(
    st.tuples(_OPERATOR, _VERSION).map("".join), _RELEASE.map(lambda text: f"{text}.*")
)


@given(st.lists(_CLAUSE, min_size=1, max_size=2).map(",".join), _VERSION)
@example("^0.0.3", "0.0.4.dev1")
@example("^1.2", "2a1")
def test_a_translation_admits_what_poetry_admits(constraint: str, version: str) -> None:
    # Poetry splits `!=1` into two ranges where it meets another clause, and a range that is open at
    # 1 leaves out 1.post1 and 1.dev1; alone, and in PEP 440, `!=1` is about that one version.
    assume("!=" not in constraint or "," not in constraint or _is_final(version))
    try:
        specifier = translate_constraint(constraint)
    except TranslationError:
        reject()
    ours = SpecifierSet(specifier).contains(Version(version), prereleases=True)
    assert ours == parse_constraint(constraint).allows(PoetryVersion.parse(version))


def _is_final(version: str) -> bool:
    parsed = Version(version)
    return not (parsed.is_prerelease or parsed.is_postrelease)


PYPROJECT = """
[tool.poetry]
name = "demo"
version = "0.1.0"

[tool.poetry.dependencies]
python = "^3.10"
torch = "~2.5"
numpy = [
    { version = "^1.26", python = "<3.12" },
    { version = "^2.1", python = ">=3.12" },
]
uvicorn = { version = "^0.30", extras = ["standard"], markers = "sys_platform == 'linux'" }
pywin32 = { version = "*", platform = "win32" }
ours = { path = "../ours", develop = true }
fork = { git = "https://git.example/fork.git", branch = "main" }
old = "<1 || >2"
extra = { version = "*", optional = true }
special = { version = "1.0", source = "internal", allow-prereleases = true }

[tool.poetry.extras]
more = ["extra"]

[tool.poetry.group.dev.dependencies]
pytest = "^8"

[[tool.poetry.source]]
name = "internal"
url = "https://packages.example/simple"
priority = "explicit"
"""


def read(folder: Path, text: str, name: str = "pyproject.toml", locker: str = "") -> Found:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_source(path, locker)


def test_dependencies_become_pep_508(tmp_path: Path) -> None:
    found = read(tmp_path, PYPROJECT)
    assert (found.name, found.python) == ("demo", ">=3.10,<4")
    assert found.dependencies == (
        "torch>=2.5,<2.6",
        "numpy>=1.26,<2 ; python_full_version < '3.12'",
        "numpy>=2.1,<3 ; python_full_version >= '3.12'",
        "uvicorn[standard]>=0.30,<0.31 ; (sys_platform == 'linux')",
        "pywin32 ; sys_platform == 'win32'",
        "special==1.0",
    )


def test_what_has_no_place_is_listed(tmp_path: Path) -> None:
    listed = [entry.what for entry in read(tmp_path, PYPROJECT).left]
    assert listed == [
        "ours from path ../ours",
        "fork from git https://git.example/fork.git",
        "old = '<1 || >2'",
        "extra",
        "source of special",
        "allow-prereleases of special",
        "group dev: pytest",
        "extras: more",
        "the index https://packages.example/simple",
    ]


def test_a_primary_source_is_the_index(tmp_path: Path) -> None:
    text = PYPROJECT.replace('priority = "explicit"', 'priority = "primary"')
    assert read(tmp_path, text).index == "https://packages.example/simple"


LOCK = """
[[package]]
name = "torch"
version = "2.5.1"
groups = ["main"]
files = []
[package.dependencies]
SymPy = ">=1.13"

[[package]]
name = "sympy"
version = "1.13.1"
groups = ["main", "dev"]
markers = "python_version >= '3.9'"
files = []

[[package]]
name = "pytest"
version = "8.0.0"
groups = ["dev"]
files = []

[[package]]
name = "fork"
version = "1.0"
groups = ["main"]
files = []
[package.source]
type = "git"
url = "https://git.example/fork.git"

[metadata]
lock-version = "2.1"
python-versions = ">=3.10"
"""


def test_poetry_keeps_its_lock(tmp_path: Path) -> None:
    found = read(tmp_path, LOCK, "poetry.lock")
    assert (found.locker, found.native) == ("poetry", "poetry.lock")
    assert found.lock == LOCK.encode()
    assert found.dependencies == ("torch==2.5.1",)
    assert found.pins == ()


def test_another_locker_gets_every_pin(tmp_path: Path) -> None:
    found = read(tmp_path, LOCK, "poetry.lock", locker="uv")
    assert (found.locker, found.lock) == ("uv", b"")
    assert found.dependencies == ("torch==2.5.1",)
    assert found.pins == ("sympy==1.13.1 ; python_version >= '3.9'",)


def test_a_locks_other_groups_and_repositories_are_listed(tmp_path: Path) -> None:
    listed = [entry.what for entry in read(tmp_path, LOCK, "poetry.lock").left]
    assert listed == ["fork from https://git.example/fork.git", "other groups: pytest==8.0.0"]


def test_a_lock_that_does_not_tell_groups_apart_says_so(tmp_path: Path) -> None:
    text = "".join(line for line in LOCK.splitlines(keepends=True) if "groups" not in line)
    found = read(tmp_path, text, "poetry.lock", locker="uv")
    assert "pytest==8.0.0" in found.dependencies
    assert "for development only" in found.left[-1].what


def test_the_lock_beside_a_pyproject_is_kept(tmp_path: Path) -> None:
    (tmp_path / "poetry.lock").write_text(LOCK, encoding="utf-8")
    found = read(tmp_path, PYPROJECT)
    assert (found.locker, found.native) == ("poetry", "poetry.lock")
