"""What a spec requires and what poetry understands of it; the oracle is poetry's own library.

The other direction, from poetry's `^` and `~`, is in tests/unit/adopt/test_adopt_poetry.py.
"""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version
from poetry.core.constraints.version import Version as PoetryVersion
from poetry.core.packages.dependency import Dependency
from poetry.core.version.requirements import InvalidRequirementError

from envgen.constraints import TranslationError
from envgen.constraints.poetry import translate_constraint
from envgen.errors import LockError
from envgen.lockers import LockRequest, poetry

_RELEASES = st.lists(st.sampled_from("0012349"), min_size=1, max_size=4).map(".".join)
_SUFFIXES = ["", "", "", "a1", "b2", "rc1", ".post1", ".dev1", "rc1.dev2", ".post1.dev2"]
_VERSIONS = st.builds(
    "{}{}{}".format, st.sampled_from(["", "", "", "1!"]), _RELEASES, st.sampled_from(_SUFFIXES)
)
_LOCAL = st.builds("{}{}".format, _VERSIONS, st.sampled_from(["", "+1", "+cu128"]))
_CLAUSES = st.one_of(
    st.builds("{}{}".format, st.sampled_from([">=", "<=", ">", "<", "~="]), _VERSIONS),
    st.builds("{}{}".format, st.sampled_from(["==", "!=", "==="]), _LOCAL),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), _RELEASES),
)


def make_request(requirement: str) -> LockRequest:
    return LockRequest(
        image="serve",
        project="demo",
        folder="environments/serve",
        python="3.13",
        requirements=(requirement,),
        platforms=("linux/amd64",),
    )


@given(_CLAUSES, _LOCAL)
@example("<2", "2rc1")
@example(">2", "2.post1")
@example("!=2.1", "2.1+cu128")
@example("~=2.0rc1", "2.0.dev1")
@example("===2.0", "2.0")
def test_poetry_admits_what_the_requirement_admits(clause: str, version: str) -> None:
    requirement = f"demo{clause}"
    try:
        wanted = SpecifierSet(clause).contains(version, prereleases=True)
    except InvalidSpecifier:  # `~=1` and the like, which no spec holds
        reject()
    if clause.startswith("==="):
        with pytest.raises(LockError, match="no arbitrary equality"):
            poetry.lock(make_request(requirement), current=None, ca_certificates=None)
        return
    (text,) = tomllib.loads(poetry.render_project(make_request(requirement)).decode())["project"][
        "dependencies"
    ]
    constraint = Dependency.create_from_pep_508(text).constraint
    assert constraint.allows(PoetryVersion.parse(version)) == wanted


@given(st.lists(_CLAUSES, min_size=2, max_size=3, unique=True), _RELEASES)
def test_poetry_admits_what_all_clauses_admit(clauses: list[str], version: str) -> None:
    """Final versions: poetry joins `!=` with a range into ranges, whose ends leave out others."""
    clauses = [clause for clause in clauses if not clause.startswith("===")]
    try:
        wanted = SpecifierSet(",".join(clauses)).contains(Version(version))
    except InvalidSpecifier:
        reject()
    text = poetry.restrict_python(f"demo{','.join(clauses)}", "3.13")
    try:
        constraint = Dependency.create_from_pep_508(text).constraint
    except InvalidRequirementError:
        assert not wanted, "poetry refuses to read what no version meets"
        return
    assert constraint.allows(PoetryVersion.parse(version)) == wanted


@given(st.lists(_CLAUSES, min_size=2, max_size=2).map(" || ".join))
def test_union_of_poetry_is_refused_with_the_reason(union: str) -> None:
    with pytest.raises(TranslationError, match="no 'or'"):
        translate_constraint(union)
