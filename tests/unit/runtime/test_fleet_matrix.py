from __future__ import annotations

import itertools
from typing import Any

from envgen_runtime import matrix
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.runtime.test_fingerprint_compare import fingerprint


def node(name: str, gemm: str = "1", **key: Any) -> dict[str, Any]:
    made = fingerprint(name, **key)
    made["results"][0]["sha256"] = gemm * 64
    return made


def verdicts(*nodes: dict[str, Any]) -> dict[str, str]:
    """The verdict of the GPU of each machine."""
    rows = matrix.make_matrix(nodes)["devices"]
    return {row["machine"]: row["verdict"] for row in rows if row["device"] == "cuda:0"}


def test_odd_one_out_is_found_and_named_with_both_hashes() -> None:
    nodes = [node("a"), node("b"), node("c", "f"), node("d")]
    found = matrix.make_matrix(nodes)
    assert verdicts(*nodes) == {"a": "agrees", "b": "agrees", "c": "ODD ONE OUT", "d": "agrees"}
    assert matrix.conclude(found) == "8 devices of 4 machines: look at c cuda:0"
    assert not matrix.is_sound(found)
    line = "c cuda:0: torch: gemm: expected 1111111111111111, found ffffffffffffffff"
    assert line in matrix.describe(found).splitlines()
    assert f"- {line}" in matrix.describe(found, "markdown").splitlines()


def test_other_gpus_are_not_held_against_each_other() -> None:
    h200 = {"gpus": [{"model": "NVIDIA H200", "multiprocessors": 132}]}
    nodes = [node("a"), node("b"), node("c", "f", **h200), node("d", "f", **h200)]
    assert set(verdicts(*nodes).values()) == {"agrees"}
    groups = matrix.make_matrix(nodes)["groups"]
    assert groups[0]["GPU model"] == "NVIDIA Test GPU"
    assert "library torch" not in groups[0]  # the same in all of them


def test_two_that_differ_are_disputed() -> None:
    assert set(verdicts(node("a"), node("b", "f")).values()) == {"disputed"}


def test_single_machine_is_alone_and_no_failure() -> None:
    found = matrix.make_matrix([node("a"), node("b", driver="575.2")])
    rows = [row for row in found["devices"] if row["device"] == "cuda:0"]
    assert [row["verdict"] for row in rows] == ["alone", "alone"]
    assert matrix.is_sound(found)
    assert "2 have no equal" in matrix.conclude(found)


def test_machine_that_does_not_repeat_itself_is_told() -> None:
    broken = node("c")
    broken["results"][0]["status"] = "not reproducible"
    del broken["results"][0]["sha256"]
    found = matrix.make_matrix([node("a"), node("b"), broken])
    assert verdicts(node("a"), node("b"), broken)["c"] == "not reproducible"
    assert "c cuda:0: torch: gemm: it does not repeat its own result" in matrix.describe(found)


def test_machines_of_one_name_are_told_apart() -> None:
    assert list(verdicts(node("a"), node("a"), node("a"))) == ["a", "a (2)", "a (3)"]


def test_one_of_eight_gpus_in_one_machine_is_found() -> None:
    machine = node("a", gpus=fingerprint()["key"]["gpus"] * 8)
    machine["results"] = [
        {**machine["results"][0], "device": f"cuda:{index}", "sha256": str(index // 7) * 64}
        for index in range(8)
    ]
    rows = matrix.make_matrix([machine])["devices"]
    assert [row["device"] for row in rows if row["verdict"] == "ODD ONE OUT"] == ["cuda:7"]


@given(st.permutations("abcdefg"), st.integers(0, 3))
def test_minority_is_odd_in_whatever_order(names: list[str], odd: int) -> None:
    nodes = [node(name, "f" if name in "abc"[:odd] else "1") for name in names]
    expected = {name: "ODD ONE OUT" if name in "abc"[:odd] else "agrees" for name in names}
    assert verdicts(*nodes) == expected


def test_bars_in_names_do_not_break_a_markdown_table() -> None:
    found = matrix.make_matrix([node("a|b"), node("c")])
    table = matrix.describe(found, "markdown").split("\n\n")[1]
    assert {line.replace("\\|", "").count("|") for line in table.splitlines()} == {6}
    assert len(list(itertools.chain(table.splitlines()))) == 6
