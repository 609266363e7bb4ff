"""Requirements as people write them, and requests for locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from packaging.requirements import Requirement

from envgen.lockers import LockRequest

if TYPE_CHECKING:
    from collections.abc import Callable

_numbers = st.integers(0, 30).map(str)
_releases = st.lists(_numbers, min_size=1, max_size=3).map(".".join)
_versions = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "", "1!"]),
    _releases,
    st.sampled_from(["", "", "", "a1", "rc2", ".post3", ".dev4"]),
)
_clauses = st.one_of(
    st.builds("{}{}".format, st.sampled_from(["==", "!=", ">=", "<=", ">", "<"]), _versions),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), _releases),
    st.builds("~={}.{}".format, _numbers, _numbers),
    st.builds("=={}+cu128".format, _releases),
)
_names = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,8}[a-zA-Z0-9])?", fullmatch=True)
_comparisons = st.one_of(
    st.builds(
        "python_version {} '{}'".format,
        st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]),
        st.sampled_from(["3.9", "3.11", "3.13", "4"]),
    ),
    st.builds(
        "{} {} '{}'".format,
        st.sampled_from(["sys_platform", "platform_machine", "platform_python_implementation"]),
        st.sampled_from(["==", "!="]),
        st.sampled_from(["linux", "win32", "x86_64", "CPython"]),
    ),
)
_markers = st.recursive(
    _comparisons,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
    max_leaves=4,
)


def _write(name: str, extras: list[str], clauses: list[str], marker: str) -> Requirement:
    wanted = name + (f"[{','.join(extras)}]" if extras else "") + ",".join(clauses)
    return Requirement(f"{wanted} ; {marker}" if marker else wanted)


# `st.from_type(Requirement)` in the tests of this folder.
st.register_type_strategy(
    Requirement,
    st.builds(
        _write,
        _names,
        st.lists(_names, max_size=2, unique=True),
        st.lists(_clauses, max_size=3),
        st.one_of(st.just(""), _markers),
    ),
)


@pytest.fixture
def make_request() -> Callable[..., LockRequest]:
    """Return a function that makes a request of some requirements."""

    def make(*requirements: str, **others: object) -> LockRequest:
        fields = {
            "image": "serve",
            "project": "demo",
            "folder": "environments/serve",
            "python": "3.13",
            "platforms": ("linux/amd64",),
            "requirements": requirements,
        }
        return LockRequest(**(fields | others))  # type: ignore[arg-type]

    return make
