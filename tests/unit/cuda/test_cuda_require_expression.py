"""NVIDIA_REQUIRE_CUDA means here what it means to NVIDIA's hook."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.cuda.require_expression import HostFacts, evaluate, without_host_properties
from envgen.cuda.version import parse_version

HOST = HostFacts(
    cuda=parse_version("12.2"),
    driver=parse_version("535.129.03"),
    arch=parse_version("8.9"),
    brand="GeForceRTX",
)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("cuda>=12.2", True),
        ("cuda>=12.2.0", True),
        ("cuda>=12.3", False),
        ("cuda>12.1,cuda<13", True),
        ("cuda!=12.2", False),
        ("cuda=12.2.0.0", True),
        ("driver<535.129.04", True),
        ("arch>=9.0", False),
        ("CUDA>=12.0", True),
        ("brand=geforcertx", True),
        ("brand!=tesla", True),
        ("cuda>=12.4 brand=geforcertx,driver>=535,driver<536", True),
        ("cuda>=12.4 brand=tesla,driver>=535,driver<536", False),
        ("cuda>=12.4  brand=tesla,driver>=535,driver<536   arch<9", True),
        ("", True),
        ("   ", True),
        (",,", True),
        ("cuda>=12.0,,driver>=1", True),
    ],
)
def test_expression_holds_as_the_hook_says(expression: str, *, holds: bool) -> None:
    assert evaluate(expression, HOST).holds is holds


@pytest.mark.parametrize(
    "expression",
    ["cuda", "cuda>=", ">=12", "cuda=>12", "cuda==12", "cuda>=12.x", "gpu>=1", "brand>tesla"],
)
def test_mistake_refuses_the_container_and_is_named(expression: str) -> None:
    found = evaluate(expression, HOST)
    assert not found.holds
    assert found.mistake == expression


def test_mistake_behind_an_alternative_that_holds_goes_unseen() -> None:
    assert evaluate("cuda>=11.0 nonsense", HOST).holds
    assert evaluate("nonsense cuda>=11.0", HOST).mistake == "nonsense"


def test_refusal_names_the_first_alternative() -> None:
    found = evaluate("cuda>=12.8 brand=tesla,driver>=535,driver<536", HOST)
    assert found.unsatisfied == "cuda>=12.8"


def test_what_is_not_known_of_the_host_counts_as_fulfilled() -> None:
    assert evaluate("cuda>=99,driver>=999,arch>=99,brand=tesla", HostFacts()).holds


def as_tuple(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def independent(conditions: list[tuple[str, str, str]]) -> bool:
    """Say what a conjunction means, written down apart from the implementation."""
    known = {"cuda": (12, 2, 0, 0), "driver": (535, 129, 3, 0), "arch": (8, 9, 0, 0)}
    for name, relation, value in conditions:
        wanted = (*as_tuple(value), 0, 0, 0)[:4]
        order = (known[name] > wanted) - (known[name] < wanted)
        fulfilled = {
            "=": order == 0,
            "!=": order != 0,
            "<": order < 0,
            "<=": order <= 0,
            ">": order > 0,
            ">=": order >= 0,
        }[relation]
        if not fulfilled:
            return False
    return True


versions = st.lists(
    st.sampled_from([0, 1, 2, 3, 8, 9, 11, 12, 13, 128, 129, 534, 535, 536]), min_size=1, max_size=4
).map(lambda parts: ".".join(map(str, parts)))
condition_parts = st.tuples(
    st.sampled_from(["cuda", "driver", "arch"]),
    st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
    versions,
)
alternatives = st.lists(st.lists(condition_parts, min_size=1, max_size=3), min_size=1, max_size=4)


@given(alternatives, st.sampled_from([" ", "  ", "   "]))
def test_any_alternative_of_which_all_conditions_hold_is_enough(
    expression: list[list[tuple[str, str, str]]], space: str
) -> None:
    written = space.join(",".join(map("".join, conjunction)) for conjunction in expression)
    expected = any(independent(conjunction) for conjunction in expression)
    assert evaluate(written, HOST).holds is expected


@given(st.text(max_size=60) | st.text("cudabrnive=<>!,. 0129", max_size=40))
def test_refusal_always_says_why(text: str) -> None:
    found = evaluate(text, HOST)
    assert found.holds is not bool(found.mistake or found.unsatisfied)


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("cuda>=12.9 brand=tesla,driver>=535,driver<536", "cuda>=12.9"),
        ("cuda>=12.0,arch>=8.7 driver>=535", "cuda>=12.0,arch>=8.7"),
        ("brand=tesla,cuda>=11.0", "cuda>=11.0"),
        ("brand=tesla", ""),
    ],
)
def test_own_evaluation_of_the_toolkit_skips_what_it_does_not_know(
    expression: str, kept: str
) -> None:
    assert without_host_properties(expression) == kept
