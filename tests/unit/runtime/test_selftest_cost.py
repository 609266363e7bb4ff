from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from envgen_runtime import cost

if TYPE_CHECKING:
    from tests.unit.runtime.conftest import Container


def rows(off: list[float], strict: list[float], name: str = "gemm") -> list[dict[str, Any]]:
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for mode, seconds in (("off", off), ("strict", strict)):
        runs = [{"seconds": 9.0}, *({"seconds": value} for value in seconds)]
        cost._collect(found, "torch", mode, [{"name": name, "device": "cuda:0", "runs": runs}])
    return [cost._summarise(row) for row in found.values()]


def test_ratio_is_of_medians_and_the_first_run_does_not_count() -> None:
    (row,) = rows([0.1, 0.1, 0.1], [0.2, 0.2, 0.2])
    assert row["slower"] == 2.0
    assert row["clear"]
    assert row["per_second"]["off"] == pytest.approx([10, 10, 10])


def test_difference_within_the_spread_is_said_to_be_noise() -> None:
    (row,) = rows([0.1, 0.12, 0.14, 0.16], [0.11, 0.13, 0.15, 0.17])
    assert not row["clear"]
    text = cost.describe({"rows": [row], "errors": []})
    assert text.startswith("torch, operations on cuda: no difference beyond the noise in any of 1")
    assert "within the noise" in text


def test_work_that_strict_refuses_is_counted_and_named() -> None:
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    refused = {"status": "not supported", "detail": "has no deterministic form"}
    for mode, run in (("off", {"seconds": 0.1}), ("strict", refused)):
        work = {"name": "put", "device": "cpu", "runs": [run, run, run]}
        cost._collect(found, "torch", mode, [work])
    text = cost.describe(
        {"rows": [cost._summarise(row) for row in found.values()], "errors": ["jax: gone"]}
    )
    assert text.startswith("1 do not run with strict, and do with off")
    assert "refused" in text
    assert text.endswith("jax: gone")


def test_training_is_concluded_first() -> None:
    both = rows([0.1] * 3, [0.2] * 3) + rows([0.1] * 3, [0.3] * 3, "training, SGD")
    first, second = cost.conclude({"rows": both}).splitlines()
    assert first.startswith("torch, training on cuda: strict takes 3.00 to 3.00 times as long")
    assert second.startswith("torch, operations on cuda: strict takes 2.00 to 2.00 times as long")


def test_off_runs_without_the_variables_of_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true --xla_dump_to=/d")
    before = dict(os.environ)
    with cost._environment("off"):
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
        assert os.environ["XLA_FLAGS"] == "--xla_dump_to=/d"
    with cost._environment("strict"):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    assert dict(os.environ) == before


def test_every_workload_is_measured_in_both_modes(container: Container) -> None:
    answer = container.run("cost", "--json")
    assert answer.code == 0
    measured = json.loads(answer.text)
    assert measured["errors"] == []
    assert {row["name"] for row in measured["rows"]} >= {"draws", "text"}
    for row in measured["rows"]:
        for mode in ("off", "strict"):
            low, middle, high = row["per_second"][mode]
            assert 0 < low <= middle <= high
            assert len(row["seconds"][mode]) == cost.ROUNDS * cost.RUNS
