import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from envgen_runtime import numpy_workloads, plain_workloads
from envgen_runtime.verdict import compare
from envgen_runtime.worker import attempt, classify, describe, refuse_or_fail
from envgen_runtime.workload import NotSupportedError, Piece, Workload

WORKLOADS = [
    *(pytest.param(item, id=f"numpy {item.name}") for item in numpy_workloads.workloads()),
    *(pytest.param(item, id=item.name) for item in plain_workloads.workloads()),
]


def attempts(item: Workload) -> list[dict[str, Any]]:
    return [attempt(item, condition) for condition in ("first", "again", "poisoned")]


def once(run: Callable[[], float]) -> Workload:
    return Workload("w", "cpu", lambda: [Piece("x", "float64", (), np.float64(run()).tobytes())])


@pytest.mark.parametrize("item", WORKLOADS)
def test_workload_gives_the_same_bits_again(
    item: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    first, *others = attempts(item)
    assert {first["sha256"]} == {other["sha256"] for other in others}
    assert first["sha256"] != first["flipped"]


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(random.random, id="random"),
        pytest.param(np.random.default_rng().random, id="numpy"),
        pytest.param(time.perf_counter, id="time"),
    ],
)
def test_unseeded_work_is_not_reproducible(run: Callable[[], float]) -> None:
    assert compare(attempts(once(run)))[0] == "not reproducible"


def test_work_that_its_order_changes_is_not_reproducible() -> None:
    state = [0.0]

    def accumulate() -> float:
        state[0] += 1
        return state[0]

    assert compare(attempts(once(accumulate)))[0] == "not reproducible"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotSupportedError("no"), "not supported"),
        (
            RuntimeError(
                "put_ does not have a deterministic implementation, but you set "
                "'torch.use_deterministic_algorithms(True)'"
            ),
            "not supported",
        ),
        (MemoryError(), "busy"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), "busy"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `x`"), "busy"),
        (
            RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"),
            "busy",
        ),
        (RuntimeError("no kernel image is available for execution on the device"), "failed"),
        (RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'"), "not supported"),
        (RuntimeError("No available kernel. Aborting execution."), "not supported"),
        (RuntimeError("RESOURCE_EXHAUSTED: failed to allocate 64.00MiB"), "busy"),
        (ZeroDivisionError("division by zero"), "failed"),
    ],
)
def test_error_is_told_from_refusal_and_full_device(error: Exception, status: str) -> None:
    assert classify(error) == status


@pytest.mark.parametrize(
    ("refusal", "instead"),
    [
        ("upsample_bilinear2d_backward_out_cuda does not have a deterministic", "mode='nearest'"),
        ("cumsum_cuda_kernel does not have a deterministic implementation", "torch 2.14 or newer"),
        ("_bincount_cuda does not have a deterministic implementation", "index_add_"),
        (
            "nll_loss2d_forward_out_cuda_template does not have a deterministic",
            "(pixels, classes)",
        ),
        ("Random ops require a seed to be set when determinism is enabled", "seed_everything"),
    ],
)
def test_refusal_says_what_to_use_instead(refusal: str, instead: str) -> None:
    run = refuse_or_fail(RuntimeError(refusal))
    assert run["status"] == "not supported"
    assert instead in run["detail"]


def test_failure_gets_no_advice() -> None:
    assert "; use " not in refuse_or_fail(ValueError("cumsum"))["detail"]


def test_attempt_reports_an_error_in_one_line() -> None:
    def broken() -> list[Piece]:
        raise RuntimeError("first\nsecond")

    assert attempt(Workload("w", "cpu", broken), "first") == {
        "condition": "first",
        "status": "failed",
        "detail": "RuntimeError: first second",
    }
    assert len(describe(RuntimeError("x" * 10_000))) == 300
