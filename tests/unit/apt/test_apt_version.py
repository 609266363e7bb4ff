"""The order of versions is Debian's; an integration test asks dpkg itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from envgen.apt.version import compare, fits, sort_key

OLDEST_FIRST = (
    "0~beta1~svn1245",
    "0~beta1~svn1245-1",
    "0~beta1",
    "0",
    "0.9a",
    "0.9a.1",
    "0.9+",
    "1.0~rc1-1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb13u1",
    "1.0-1.1",
    "1.0-10",
    "1.0.1-1",
    "1:0.1",
    "1:0.1-1",
    "2:0",
)
versions = st.from_regex(r"\A([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?\Z", fullmatch=True)


def test_versions_are_sorted_as_debian_sorts_them() -> None:
    assert tuple(sorted(set(OLDEST_FIRST), key=sort_key)) == OLDEST_FIRST


def test_leading_zeros_and_an_epoch_of_zero_change_nothing() -> None:
    assert compare("0:1.02-1", "1.2-1") == 0


@given(versions, versions)
def test_order_is_the_same_from_both_sides(left: str, right: str) -> None:
    assert (compare(left, right) > 0) == (compare(right, left) < 0)


def test_no_operator_takes_any_version() -> None:
    assert fits("1", "", "")
