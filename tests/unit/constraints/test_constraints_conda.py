"""conda's constraints and PEP 440's; tests/integration/test_rattler_constraints.py asks rattler."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from envgen.constraints import TranslationError
from envgen.constraints.conda import from_pep440, to_pep440


@pytest.mark.parametrize(
    ("constraint", "specifier", "build"),
    [
        ("", "", ""),
        ("=1.2", "==1.2.*", ""),
        (" =1.2", "==1.2.*", ""),
        ("=1.2.*", "==1.2.*", ""),
        ("==1.2", "==1.2", ""),
        (" 1.2", "==1.2", ""),
        (" 1.2.*", "==1.2.*", ""),
        ("=1.2=h_0", "==1.2", "h_0"),
        (" 1.2 h_0", "==1.2", "h_0"),
        (">=1.2,<2", ">=1.2,<2", ""),
        (" >=1.2, <2", ">=1.2,<2", ""),
        (">=1.2,<2.0a0", ">=1.2,<2.0", ""),
        ("<2.dev0", "<2", ""),
        (">=1.2.*", ">=1.2", ""),
        (">=1.2.post1", ">=1.2.post1", ""),
        ("!=1.2.*", "!=1.2.*", ""),
        ("~=1.2", "~=1.2", ""),
        ("=*", "", ""),
    ],
)
def test_conda_constraint_becomes_a_specifier(constraint: str, specifier: str, build: str) -> None:
    assert to_pep440(constraint) == (specifier, build)


@pytest.mark.parametrize(
    "constraint",
    [
        "<1|>2",
        "=1.1.1w",
        "=latest",
        ">=1 <2",
        "==1.2*",
        ">1.2.*",
        ">=1,==1.2.*",
        ">=2.0rc1",
        "~=1.2.post1",
        "===1.2",
    ],
)
def test_what_pep_440_cannot_say_is_refused(constraint: str) -> None:
    with pytest.raises(TranslationError):
        to_pep440(constraint)


@given(st.text(st.sampled_from("=<>!~,|* 0123.ab"), max_size=12))
def test_whatever_is_translated_is_a_specifier(constraint: str) -> None:
    with contextlib.suppress(TranslationError):
        SpecifierSet(to_pep440(constraint).specifier)


@pytest.mark.parametrize(
    ("specifier", "constraint"),
    [
        ("", ""),
        (">=1.2,<3", "<3dev0,>=1.2"),
        ("<3.0.0", "<3dev0"),
        ("<0.0", "<0dev0"),
        ("<1!2.0", "<1!2dev0"),
        ("~=1.4.2", ">=1.4.2,1.4.*"),
        ("~=1!1.4", ">=1!1.4,1!1.*"),
        ("==1.2.*", "1.2.*"),
        ("!=1.2.*", "!=1.2.*"),
        ("==2.0rc1", "==2.0rc1"),
        ("<=1.2", "<=1.2"),
    ],
)
def test_specifier_becomes_a_conda_constraint(specifier: str, constraint: str) -> None:
    assert from_pep440(specifier) == constraint


@pytest.mark.parametrize(
    "specifier", ["===1.2", ">=2.0rc1", "<=2.0.dev1", "~=2.0a1", ">2.0", "<2.0.post1"]
)
def test_what_conda_cannot_say_is_refused_with_the_reason(specifier: str) -> None:
    with pytest.raises(TranslationError, match="conda"):
        from_pep440(specifier)
