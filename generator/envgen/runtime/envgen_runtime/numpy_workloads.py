"""Workloads for NumPy. Importing this module imports NumPy: only a worker process does."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from envgen_runtime.workload import SEED, Piece, Workload


def version() -> str:
    return str(np.__version__)


def devices() -> Mapping[str, str]:
    return {"cpu": platform.machine()}


def workloads() -> Sequence[Workload]:
    return [
        Workload("draws", "cpu", _draws, "every split, shuffle and initial weight starts here"),
        Workload("legacy draws", "cpu", _legacy_draws, "what libraries draw from global state"),
        Workload("matmul", "cpu", _matmul, "BLAS splits it among threads"),
        Workload("sort", "cpu", _sort, "vector code per CPU; ties have no order of their own"),
        Workload("reductions", "cpu", _reductions, "the order of additions is the result"),
        Workload("elementwise", "cpu", _elementwise, "vector code per CPU"),
        Workload("linear algebra", "cpu", _linear_algebra, "LAPACK, blocked for its threads"),
        Workload("fft", "cpu", _fft, "its plan depends on alignment in some libraries"),
        Workload("scatter", "cpu", _scatter, "additions to one place, one after another"),
        Workload("training", "cpu", _training, "small differences grow over steps"),
    ]


def configure(_mode: str) -> None:
    """NumPy has no deterministic mode, and no operation that varies by design."""


def controls() -> Mapping[str, str]:
    return {}


def poison(_device: str) -> None:
    """NumPy takes its memory from malloc."""


def companion(_device: str) -> Callable[[], object]:
    matrix = np.ones((128, 128))
    return lambda: matrix @ matrix


def _pieces(**arrays: object) -> Sequence[Piece]:
    values = [(label, np.asarray(array)) for label, array in arrays.items()]
    return [Piece(label, a.dtype.str, a.shape, a.tobytes()) for label, a in values]


def _generator() -> np.random.Generator:
    # PCG64 by name: which generator default_rng() stands for may change with NumPy.
    return np.random.Generator(np.random.PCG64(SEED))


def _draws() -> Sequence[Piece]:
    draw = _generator()
    return _pieces(
        uniform=draw.random(10_000, dtype=np.float32),
        normal=draw.standard_normal(10_000),
        integers=draw.integers(0, 1000, 10_000),
        permutation=draw.permutation(10_000),
        chosen=draw.choice(1000, 100, replace=False),
    )


def _legacy_draws() -> Sequence[Piece]:
    draw = np.random.RandomState(SEED)  # the stream of np.random.seed, without its global state
    return _pieces(
        uniform=draw.rand(10_000), normal=draw.randn(10_000), order=draw.permutation(10_000)
    )


def _matmul() -> Sequence[Piece]:
    # Large enough for BLAS to use its threads, whose number and timing must not show.
    left, right = _generator().standard_normal((2, 512, 512))
    return _pieces(
        float64=left @ right,
        float32=left.astype(np.float32) @ right.astype(np.float32),
        vector=left @ right[0],
    )


def _sort() -> Sequence[Piece]:
    values = _generator().integers(0, 5000, 50_000)  # with ties
    numbers = values * 0.5
    return _pieces(
        values=np.sort(numbers), order=np.argsort(values), stable=np.argsort(values, kind="stable")
    )


def _reductions() -> Sequence[Piece]:
    values = _generator().standard_normal((64, 5000)).astype(np.float32)
    return _pieces(
        sums=values.sum(axis=1),
        total=values.sum(),
        cumulative=np.cumsum(values[0]),
        variance=values.var(axis=0),
        product=np.einsum("ij,ij->i", values, values),
    )


def _elementwise() -> Sequence[Piece]:
    values = _generator().standard_normal(50_000)
    single = values.astype(np.float32)  # other vector code than double
    return _pieces(
        exp=np.exp(values),
        sin=np.sin(values),
        log=np.log(np.abs(values)),
        power=np.abs(values) ** 1.7,
        exp32=np.exp(single),
        sin32=np.sin(single),
        tanh32=np.tanh(single),
    )


def _linear_algebra() -> Sequence[Piece]:
    matrix = _generator().standard_normal((128, 128))
    q, r = np.linalg.qr(matrix)
    u, s, vt = np.linalg.svd(matrix)
    return _pieces(q=q, r=r, u=u, s=s, vt=vt, solved=np.linalg.solve(matrix, matrix[0]))


def _fft() -> Sequence[Piece]:
    values = _generator().standard_normal((16, 1000))
    return _pieces(forward=np.fft.fft(values), real=np.fft.rfft(values), back=np.fft.ifft(values))


def _scatter() -> Sequence[Piece]:
    rows = np.arange(50_000) * 7919 % 16
    values = _generator().standard_normal(50_000).astype(np.float32)
    sums = np.zeros(16, dtype=np.float32)
    np.add.at(sums, rows, values)
    counts = np.bincount(rows, weights=values)
    return _pieces(sums=sums, counts=counts, bins=np.histogram(values, bins=32)[0])


def _training() -> Sequence[Piece]:
    """Fit a logistic regression by gradient descent."""
    draw = _generator()
    inputs = draw.standard_normal((256, 64))
    targets = (inputs @ draw.standard_normal(64) > 0).astype(np.float64)
    weights, error = np.zeros(64), np.zeros(256)
    for _ in range(20):
        error = 1 / (1 + np.exp(-inputs @ weights)) - targets
        weights -= 0.1 * inputs.T @ error / 256
    return _pieces(weights=weights, error=error)
