from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from envgen_runtime import compare
from envgen_runtime.compare import DEFECT, EXPECTED, MISSING, SAME
from envgen_runtime.record import FORMAT, FingerprintError, describe_key, parse_fingerprints
from hypothesis import given
from hypothesis import strategies as st

GPU = {"model": "NVIDIA Test GPU", "mig": "", "multiprocessors": 108, "capability": "8.0"}


def fingerprint(name: str = "a", **key: Any) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "machine": {"name": name, "gpus": []},
        "key": {
            "gpus": [dict(GPU)],
            "driver": "570.1",
            "cpu": "Test CPU",
            "libraries": {"torch": "2.9.1"},
            "environment": {},
            "lock": "abc",
            "mode": "strict",
        }
        | key,
        "results": [
            result("gemm", "cuda:0", "1" * 64),
            result("gemm", "cpu", "2" * 64),
        ],
        "errors": {},
    }


def result(name: str, device: str, sha256: str) -> dict[str, Any]:
    place = {"framework": "torch", "name": name, "device": device}
    return {**place, "status": "reproducible here", "sha256": sha256}


def changed(device: int, **key: Any) -> dict[str, Any]:
    """Return a fingerprint with other bits on one device: 0 is the GPU, 1 the CPU."""
    other = fingerprint("b", **key)
    other["results"][device]["sha256"] = "f" * 64
    return other


def outcome(after: dict[str, Any]) -> tuple[str, list[str]]:
    (found,) = compare.compare(fingerprint(), after)["results"]
    return found["outcome"], found["because"]


def test_equal_fingerprints_have_the_same_bits() -> None:
    found = compare.compare(fingerprint(), fingerprint("b"))
    assert found["counts"] == {SAME: 2, EXPECTED: 0, DEFECT: 0, MISSING: 0}
    assert compare.conclude(found) == "the same bits in all 2 results"
    assert compare.is_sound(found, exact=True)


@pytest.mark.parametrize(
    ("key", "because"),
    [
        ({"gpus": [{**GPU, "model": "NVIDIA Another"}]}, "GPU model"),
        ({"gpus": [{**GPU, "multiprocessors": 132}]}, "GPU multiprocessors"),
        ({"gpus": [{**GPU, "mig": "1g.5gb"}]}, "GPU mig"),
        ({"driver": "575.2"}, "driver"),
        ({"libraries": {"torch": "2.10.0"}}, "library torch"),
        ({"environment": {"OMP_NUM_THREADS": "1"}}, "variable OMP_NUM_THREADS"),
        ({"lock": "def"}, "lock"),
        ({"mode": "off"}, "mode"),
    ],
)
def test_other_bits_are_expected_where_the_key_changed(key: dict[str, Any], because: str) -> None:
    assert outcome(changed(0, **key)) == (EXPECTED, [because])


def test_other_bits_with_the_same_key_are_a_defect() -> None:
    found = compare.compare(fingerprint(), changed(0))
    assert compare.conclude(found).startswith("DEFECT: 1 results have other bits and nothing")
    assert not compare.is_sound(found)
    text = compare.describe(found)
    assert "1111111111111111" in text
    assert "ffffffffffffffff" in text


def test_another_gpu_does_not_explain_other_bits_of_the_cpu() -> None:
    other = changed(1, gpus=[{**GPU, "model": "NVIDIA Another"}], driver="575.2")
    assert outcome(other) == (DEFECT, [])


def test_each_gpu_is_explained_by_itself() -> None:
    key = fingerprint(gpus=[GPU, {**GPU, "model": "Second"}])["key"]
    assert describe_key(key, "cuda:1")["GPU model"] == "Second"
    assert describe_key(key, "gpu:0")["GPU model"] == "NVIDIA Test GPU"
    assert "GPU model" not in describe_key(key, "cpu")


def test_expected_differences_fail_only_when_asked() -> None:
    found = compare.compare(fingerprint(), changed(0, driver="575.2"))
    assert compare.is_sound(found)
    assert not compare.is_sound(found, exact=True)
    assert compare.conclude(found).startswith("as expected: 1 results have other bits")
    assert "| driver | 570.1 | 575.2 |" in compare.describe(found, "markdown")


def test_result_that_does_not_repeat_itself_is_a_defect_whatever_changed() -> None:
    other = fingerprint("b", driver="575.2")
    other["results"][0] = {**result("gemm", "cuda:0", ""), "status": "not reproducible"}
    del other["results"][0]["sha256"]
    assert outcome(other) == (DEFECT, [])


def test_busy_device_is_no_defect() -> None:
    other = fingerprint("b")
    other["results"][0]["status"] = "busy"
    del other["results"][0]["sha256"]
    assert outcome(other) == (MISSING, [])


def test_machines_without_a_common_result_cannot_be_compared() -> None:
    other = fingerprint("b")
    other["results"] = [result("sort", "cpu", "3" * 64)]
    found = compare.compare(fingerprint(), other)
    assert not compare.has_common(found)
    assert compare.conclude(found).startswith("nothing to compare")


@given(st.lists(st.sampled_from(["1", "2", "3"]), min_size=2, max_size=2), st.booleans())
def test_comparing_is_symmetric(digits: list[str], other_driver: bool) -> None:  # noqa: FBT001
    pair = [fingerprint(), fingerprint(driver="575.2" if other_driver else "570.1")]
    for one, digit in zip(pair, digits, strict=True):
        one["results"][0]["sha256"] = digit * 64
    found = [compare.compare(*order)["counts"] for order in (pair, pair[::-1])]
    assert found[0] == found[1]


def test_fingerprints_are_read_from_lines_and_from_indented_json() -> None:
    pair = [fingerprint(), fingerprint("b")]
    lines = "".join(json.dumps(one) + "\n" for one in pair)
    indented = "\n\n".join(json.dumps(one, indent=2) for one in pair)
    assert parse_fingerprints(lines, "f") == parse_fingerprints(indented, "f") == pair
    assert parse_fingerprints(" \n", "f") == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: one.update(format="envgen-fingerprint 9"),
        lambda one: one.update(machine={}),
        lambda one: one.update(results={"gemm": 1}),
        lambda one: one["results"].append({"name": "gemm"}),
        lambda one: one["results"][0].update(sha256=7),
        lambda one: one["key"].update(gpus="H100"),
        lambda one: one.update(key=[]),
    ],
)
def test_what_is_no_fingerprint_is_refused_with_its_line(spoil: Any) -> None:
    broken = copy.deepcopy(fingerprint())
    spoil(broken)
    text = json.dumps(fingerprint()) + "\n" + json.dumps(broken)
    with pytest.raises(FingerprintError, match=r"^fleet\.jsonl:2: this is no fingerprint"):
        parse_fingerprints(text, "fleet.jsonl")


@given(st.text(max_size=200) | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_any_other_text_is_refused_in_one_way(text: str) -> None:
    if not text.strip():
        assert parse_fingerprints(text, "f") == []
        return
    with pytest.raises(FingerprintError, match=r"^f:\d+: this is no "):
        parse_fingerprints(text, "f")
