from typing import Any

import pytest
from envgen_runtime.verdict import compare, control_trips, is_healthy, judge, summarise
from hypothesis import given
from hypothesis import strategies as st


def run(sha256: str = "a", flipped: str = "b") -> dict[str, Any]:
    return {"sha256": sha256, "flipped": flipped, "seconds": 0.1}


def as_run(*runs: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a workload under the conditions that the full test has for them."""
    conditions = ("first", "again", "poisoned", "disturbed")
    return [{"condition": name, **one} for name, one in zip(conditions, runs, strict=False)]


def refused(status: str = "busy") -> dict[str, Any]:
    return {"status": status, "detail": "because"}


def work(*runs: dict[str, Any], drill: str = "") -> dict[str, Any]:
    """The record of a workload; two runs are in one process, what follows in a fresh one."""
    place = {"name": "gemm", "device": "cpu"}
    given = as_run(*runs)
    return judge({**place, "runs": given[:2]}, {**place, "runs": given[2:]}, drill)


def framework(*works: dict[str, Any], error: str | None = None, name: str = "x") -> dict[str, Any]:
    return {"name": name, "version": "1", "error": error, "workloads": list(works)}


@pytest.mark.parametrize(
    ("runs", "culprit"),
    [
        ("aabb", "a fresh process"),
        ("aaba", "memory that holds rubbish"),
        ("aaab", "other work beside it"),
        ("abaa", "a second run in one process"),
        ("abbb", "a second run in one process"),
    ],
)
def test_any_run_that_differs_is_found(runs: str, culprit: str) -> None:
    status, detail = compare(as_run(*(run(sha256) for sha256 in runs)))
    assert status == "not reproducible"
    assert detail == f"{culprit} gives another result: expected a, found b"


def test_equal_runs_are_reproducible() -> None:
    assert compare(as_run(*[run()] * 4)) == ("reproducible here", "")


@pytest.mark.parametrize("status", ["busy", "not supported", "failed"])
def test_a_run_without_result_is_no_agreement(status: str) -> None:
    assert compare(as_run(run(), run(), refused(status))) == (status, "because")


def test_a_difference_outweighs_a_busy_run() -> None:
    assert compare(as_run(run("a"), run("b"), refused()))[0] == "not reproducible"


def test_control_trips_on_a_changed_hash_only() -> None:
    assert control_trips(as_run(run(), run(), run()))
    assert not control_trips(as_run(*[run("a", flipped="a")] * 3))


def test_drill_flips_one_bit_and_says_that_it_is_one() -> None:
    drilled = work(*[run()] * 4, drill="gemm")
    assert drilled["status"] == "not reproducible"
    assert drilled["detail"].endswith("; a drill: ENVGEN_SELFTEST_FLIP asks for it")
    assert work(*[run()] * 4, drill="another")["status"] == "reproducible here"


def test_failing_text_says_expected_and_found_and_what_to_do() -> None:
    digests = ("1" * 64, "2" * 64)
    text = summarise([framework(work(*map(run, digests[:1] * 3), run(digests[1])))], 1.0)
    first, second, *_ = text.splitlines()
    assert first.endswith(f"expected {'1' * 16}, found {'2' * 16})")
    assert second.startswith("what to do: ")
    assert "ENVGEN_SELFTEST=warn" in text


def test_report_of_a_reproducible_workload_has_hash_and_control() -> None:
    assert work(run(), run(), run()) == {
        "name": "gemm",
        "device": "cpu",
        "status": "reproducible here",
        "sha256": "a",
        "seconds": 0.1,
        "control": "caught",
    }


def test_healthy_summary_counts_what_was_not_tested() -> None:
    good = work(run(), run(), run())
    text = summarise([framework(good, work(*[refused()] * 3))], 1.25)
    assert text.splitlines() == [
        "healthy: 1 workloads reproducible here, 1 busy (x 1); the control was caught; 1.2 s",
        "x 1: gemm on cpu: busy (because)",
    ]


@pytest.mark.parametrize(
    ("bad", "first_line"),
    [
        (
            framework(work(run(), run(), run("c"), run("c"))),
            (
                "unhealthy: x 1: gemm on cpu: not reproducible "
                "(a fresh process gives another result: expected a, found c)"
            ),
        ),
        (
            framework(work(*[refused("failed")] * 3)),
            "unhealthy: x 1: gemm on cpu: failed (because)",
        ),
        (framework(error="import x: gone"), "unhealthy: x 1: import x: gone"),
        (framework(work(*[refused()] * 3)), "unhealthy: x 1: no workload could be compared"),
        (framework(), "unhealthy: x 1: no workload could be compared"),
        (
            framework(work(*[run("a", flipped="a")] * 3)),
            "unhealthy: x 1: the self-test cannot be trusted: a flipped bit in gemm went unnoticed",
        ),
    ],
)
def test_one_bad_framework_makes_the_container_unhealthy(
    bad: dict[str, Any], first_line: str
) -> None:
    good = framework(work(run(), run(), run()), name="y")
    text = summarise([good, bad], 1.0)
    assert text.partition("\n")[0] == first_line
    assert not is_healthy(text)


def test_never_speaks_of_a_healthy_gpu() -> None:
    record = work(run(), run(), run()) | {"device": "cuda:0"}
    text = summarise([framework(record)], 1.0)
    assert "gpu" not in text.lower()
    assert "cuda" not in text.lower()


@given(
    st.lists(st.tuples(st.text(max_size=900), st.sampled_from(["failed", "busy"])), max_size=30),
    st.text(max_size=2000),
)
def test_summary_stays_below_what_docker_keeps(
    details: list[tuple[str, str]], version: str
) -> None:
    works = [work(*[{"status": status, "detail": text}] * 3) for text, status in details]
    text = summarise([framework(*works) | {"version": version}], 1.0)
    assert len(text.encode("utf-8", "backslashreplace")) < 3600
    assert text.startswith(("healthy:", "unhealthy:"))
    assert "\n\n" not in text  # an empty line ends the text in the file of the verdict
