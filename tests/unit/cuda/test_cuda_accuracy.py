"""The benchmark reads its input fairly, and the check is right on recorded threads."""

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.cuda.verdict import Outcome

ROOT = Path(__file__).parents[3]
CASES = tomllib.loads((Path(__file__).parent / "threads.toml").read_text("utf-8"))["case"]


def load() -> ModuleType:
    path = ROOT / "benchmarks" / "cuda_accuracy.py"
    spec = importlib.util.spec_from_file_location("cuda_accuracy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cuda_accuracy"] = module
    spec.loader.exec_module(module)
    return module


benchmark = load()

FLOORS = {"develop": (0.93, 0.89), "held-out": (0.94, 0.95), "later": (1.0, 1.0)}
"""Verdict and kind right, as docs/cuda.md reports them, for each file of tests/data/cuda."""


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_verdict_on_a_recorded_thread(case: dict[str, Any]) -> None:
    result = benchmark.judge_case(case)
    expected = case.get("failure", "runs")
    assert (result.verdict.kind or result.verdict.outcome) == expected, result.verdict.reason


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_outcome_and_remarks_of_a_case_do_not_reach_the_check(case: dict[str, Any]) -> None:
    inputs = {key: value for key, value in case.items() if key in benchmark.INPUTS}
    blind = {"id": "", "works": True, "tags": ["forward-compat"], "note": "804", **inputs}
    assert benchmark.judge_case(blind).verdict == benchmark.judge_case(case).verdict


def test_report_counts_unknown_as_not_right() -> None:
    text = benchmark.measure([(Outcome.RUNS, Outcome.UNKNOWN), (Outcome.FAILS, Outcome.FAILS)])
    assert text == "accuracy  50.0%  balanced  50.0%  unknown 50.0%"


def test_naive_rule_compares_two_numbers() -> None:
    judge_naively = benchmark.judge_naively
    assert judge_naively({"runtime_cuda": "12.8", "driver_cuda": "12.2"}) == Outcome.FAILS
    assert judge_naively({"runtime_cuda": "12.2", "driver_cuda": "12.2"}) == Outcome.RUNS
    assert judge_naively({"runtime_cuda": "", "driver_cuda": "12.2"}) == Outcome.UNKNOWN


@pytest.mark.parametrize(("name", "floor"), FLOORS.items(), ids=FLOORS)
def test_accuracy_is_what_the_documentation_says(name: str, floor: tuple[float, float]) -> None:
    text = (ROOT / "tests" / "data" / "cuda" / f"{name}.toml").read_text("utf-8")
    results = [benchmark.judge_case(case) for case in tomllib.loads(text)["case"]]
    failures = [result for result in results if result.expected == Outcome.FAILS]
    right = sum(result.right for result in results) / len(results)
    kinds = sum(r.verdict.kind == r.case["failure"] for r in failures) / len(failures)
    assert (right >= floor[0], kinds >= floor[1]) == (True, True), (right, kinds)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("nvidia/cuda:12.4.1-base", "nvidia/cuda:12.4.1-base"),
        ("ghcr.io/acme/app (CUDA 12.4)", "ghcr.io/acme/app"),
        (
            "Our container, built on nvcr.io/nvidia/pytorch:24.01-py3",
            "nvcr.io/nvidia/pytorch:24.01-py3",
        ),
        ("plain words only", "plain words only"),
    ],
)
def test_image_is_found_in_a_description(text: str, reference: str) -> None:
    assert benchmark.find_reference(text) == reference


def test_program_in_no_table_is_taken_as_built_by_its_user() -> None:
    assert benchmark.is_built_by_its_user("some-simulation", "some-simulation 1.0")
    assert not benchmark.is_built_by_its_user("torch", "torch 2.9 (source build)")
    assert not benchmark.is_built_by_its_user("mxnet-cu102", "mxnet-cu102 1.6")
    assert benchmark.is_built_by_its_user("llama-cpp-python", "llama-cpp-python (built locally)")


texts = st.text() | st.sampled_from(
    [
        *(
            "R535",
            "535.x",
            ">=525",
            "8.6, 7.5",
            "sm_9",
            "sm_86 to sm_9",
            "sm_50 sm_1200",
            "12.x",
            "+PTX",
        ),
        *(
            "nvidia/cuda:",
            "nvidia/cuda",
            "a/b:c@d",
            ":",
            "/",
            "nvcr.io/nvidia/x:99.99",
            "torch 2.x",
        ),
        *(
            "(1.2.3.4)",
            "cuda-compat-12-9 enabled",
            "compat forced",
            "12.8 base",
            "jax[cuda12]",
            "...",
        ),
    ]
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("gpu", "compute_capability", "driver", "driver_cuda"), texts),
            **dict.fromkeys(("image", "runtime_cuda", "host_os"), texts),
            "wheel": st.dictionaries(st.sampled_from(["package", "version", "cuda"]), texts),
        },
    )
)
def test_no_case_stops_the_benchmark(case: dict[str, Any]) -> None:
    result = benchmark.judge_case({"id": "any", "works": True, **case})
    assert result.verdict.need
    assert isinstance(benchmark.judge_naively(case), Outcome)
