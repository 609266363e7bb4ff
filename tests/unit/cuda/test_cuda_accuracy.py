"""The benchmark reads its input fairly, and the check is right on recorded threads."""

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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
