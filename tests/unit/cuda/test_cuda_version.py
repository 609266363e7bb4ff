"""Versions compare number by number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.cuda.version import (
    find_version,
    format_capability,
    format_sm,
    parse_capability,
    parse_version,
)

numbers = st.lists(st.integers(0, 999), min_size=1, max_size=5)


def dotted(parts: list[int]) -> str:
    return ".".join(map(str, parts))


@given(numbers, numbers)
def test_order_is_that_of_numbers_padded_with_zeros(left: list[int], right: list[int]) -> None:
    width = max(len(left), len(right))
    padded = [parts + [0] * (width - len(parts)) for parts in (left, right)]
    a, b = parse_version(dotted(left)), parse_version(dotted(right))
    assert (a < b, a == b, a > b) == (
        padded[0] < padded[1],
        padded[0] == padded[1],
        padded[0] > padded[1],
    )
    assert (a <= b, a >= b) == (padded[0] <= padded[1], padded[0] >= padded[1])


@given(numbers)
def test_equal_versions_hash_alike(parts: list[int]) -> None:
    assert hash(parse_version(dotted(parts))) == hash(parse_version(dotted([*parts, 0])))


def test_text_keeps_its_leading_zeros() -> None:
    assert str(parse_version("450.80.02")) == "450.80.02"
    assert parse_version("450.80.02") == parse_version("450.80.2")


@pytest.mark.parametrize("text", ["", "v1", "1.", ".5", "1..2", "1.2-3", "latest"])
def test_what_is_not_a_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version"):
        parse_version(text)


def test_version_is_found_in_prose() -> None:
    assert str(find_version("R470 (470.161.03)")) == "470"
    assert find_version("unknown") is None


def test_bare_branch_is_told_from_a_release() -> None:
    assert parse_version("535").is_branch
    assert not parse_version("535.129.03").is_branch


@pytest.mark.parametrize(
    ("text", "capability"),
    [
        ("8.6", (8, 6)),
        ("sm_86", (8, 6)),
        ("compute_120", (12, 0)),
        ("9.0a", (9, 0)),
        ("sm_103a", (10, 3)),
    ],
)
def test_capability_is_read_in_every_spelling(text: str, capability: tuple[int, int]) -> None:
    assert parse_capability(text) == capability


@pytest.mark.parametrize("text", ["", "86", "sm_8", "8", "ampere"])
def test_what_is_not_a_capability_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a compute capability"):
        parse_capability(text)


@given(st.tuples(st.integers(1, 20), st.integers(0, 9)))
def test_capability_survives_both_spellings(capability: tuple[int, int]) -> None:
    assert parse_capability(format_capability(capability)) == capability
    assert parse_capability(format_sm(capability)) == capability
