"""What the parser does with documents that nobody thought of."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from envgen.errors import Problem, SpecError
from envgen.spec import model
from envgen.spec.forms import _SIMPLE_REQUIREMENT, check_requirement
from envgen.spec.load import _load

NOWHERE = Path("/nowhere")
KEYS = sorted(
    {
        field.encode_name
        for table in vars(model).values()
        if isinstance(table, type) and issubclass(table, msgspec.Struct)
        for field in msgspec.structs.fields(table)
    }
    | {"dependency-groups", "include-group", "optional-dependencies", "requires-python", "a"}
)
WORDS = ["1", "2026.11", "3.13", "auto", "strict", "linux/amd64", "uv", "a", "app/", "numpy>=2"]

scalars = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=8),
    st.integers(),
    st.booleans(),
    st.floats(),
    st.just(datetime(1979, 5, 27, 7, 32, tzinfo=UTC)),
    st.just(date(1979, 5, 27)),
    st.just(time(7, 32)),
)
keys = st.one_of(st.sampled_from(KEYS), st.text(max_size=4))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=12,
)
documents = st.dictionaries(keys, values, max_size=6)

requirements = st.one_of(
    st.from_regex(_SIMPLE_REQUIREMENT, fullmatch=True),
    st.text(alphabet="ab1.-_[], <>=!~", max_size=16),
)


def refused(read: Callable[[], object]) -> tuple[Problem, ...] | None:
    """Return the problems that reading raises, None where it raises nothing."""
    try:
        read()
    except SpecError as error:
        return error.problems
    return None


@given(documents)
def test_any_document_is_a_spec_or_a_spec_error(document: dict[str, Any]) -> None:
    problems = refused(lambda: _load(NOWHERE / "envgen.toml", b"", document, None))

    assert problems is None or problems
    assert all(problem.what and problem.file for problem in problems or ())


@given(documents, documents, documents)
def test_any_pyproject_is_a_spec_or_a_spec_error(
    document: dict[str, Any], project: dict[str, Any], table: dict[str, Any]
) -> None:
    whole = {**document, "project": {"name": "a", **project}, "tool": {"envgen": table}}

    problems = refused(lambda: _load(NOWHERE / "pyproject.toml", b"", whole, None))

    assert problems is None or problems
    assert all(problem.what and problem.file for problem in problems or ())


@given(requirements)
def test_requirement_that_passes_is_one_for_packaging(text: str) -> None:
    if check_requirement(text) is None:
        Requirement(text)


@given(st.from_regex(_SIMPLE_REQUIREMENT, fullmatch=True))
def test_short_cut_takes_only_what_packaging_takes(text: str) -> None:
    assert Requirement(text).marker is None
