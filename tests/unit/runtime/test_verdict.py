from typing import Any

import pytest
from envgen_runtime.verdict import compare, control_trips, is_healthy, judge, summarise
from hypothesis import given
from hypothesis import strategies as st


def run(sha256: str = "a", flipped: str = "b") -> dict[str, Any]:
    return {"sha256": sha256, "flipped": flipped, "seconds": 0.1}


def refused(status: str = "busy") -> dict[str, Any]:
    return {"status": status, "detail": "because"}


def work(*runs: dict[str, Any]) -> dict[str, Any]:
    """The record of a workload; the last run is the fresh process."""
    place = {"name": "gemm", "device": "cpu"}
    return judge({**place, "runs": list(runs[:-1])}, {**place, "runs": [runs[-1]]})


def framework(*works: dict[str, Any], error: str | None = None, name: str = "x") -> dict[str, Any]:
    return {"name": name, "version": "1", "error": error, "workloads": list(works)}


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ("aaa", ("reproducible here", "")),
        ("aab", ("not reproducible", "a fresh process gives another result")),
        ("aba", ("not reproducible", "two runs in one process give different results")),
        ("baa", ("not reproducible", "two runs in one process give different results")),
    ],
)
def test_any_run_that_differs_is_found(runs: str, expected: tuple[str, str]) -> None:
    assert compare([run(sha256) for sha256 in runs]) == expected


@pytest.mark.parametrize("status", ["busy", "not supported", "failed"])
def test_a_run_without_result_is_no_agreement(status: str) -> None:
    assert compare([run(), run(), refused(status)]) == (status, "because")


def test_a_difference_outweighs_a_busy_run() -> None:
    assert compare([run("a"), run("b"), refused()])[0] == "not reproducible"


def test_control_trips_on_a_changed_hash_only() -> None:
    assert control_trips([run(), run(), run()])
    assert not control_trips([run("a", flipped="a")] * 3)


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
            framework(work(run(), run(), run("c"))),
            "unhealthy: x 1: gemm on cpu: not reproducible (a fresh process gives another result)",
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
