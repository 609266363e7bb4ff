"""Workloads for scikit-learn. A worker process in the image imports this, and nothing else does.

It runs on the image's Python, which may be 3.9, beside `envgen_runtime` and what is locked.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import sklearn
from envgen_runtime.workload import SEED, Piece, Workload
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression


def version() -> str:
    return str(sklearn.__version__)


def devices() -> Mapping[str, str]:
    return {"cpu": platform.machine()}


def workloads() -> Sequence[Workload]:
    return [
        Workload("forest", "cpu", _forest, "trees grow in threads, each with draws of its own"),
        Workload("regression", "cpu", _regression, "an iteration that stops at a tolerance"),
    ]


def configure(_mode: str) -> None:
    """There is no deterministic mode: every estimator takes a seed."""


def controls() -> Mapping[str, str]:
    return {}


def poison(_device: str) -> None:
    """Its memory comes from NumPy."""


def companion(_device: str) -> Callable[[], object]:
    matrix = np.ones((128, 128))
    return lambda: matrix @ matrix


def _data() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.Generator(np.random.PCG64(SEED))
    inputs = draw.standard_normal((200, 8))
    return inputs, (inputs @ draw.standard_normal(8) > 0).astype(np.int64)


def _piece(label: str, values: object) -> Piece:
    array = np.asarray(values)
    return Piece(label, array.dtype.str, array.shape, array.tobytes())


def _forest() -> Sequence[Piece]:
    inputs, targets = _data()
    model = RandomForestClassifier(n_estimators=20, n_jobs=2, random_state=SEED)
    model.fit(inputs, targets)
    return [_piece("probabilities", model.predict_proba(inputs))]


def _regression() -> Sequence[Piece]:
    inputs, targets = _data()
    model = LogisticRegression(random_state=SEED).fit(inputs, targets)
    return [_piece("coefficients", model.coef_), _piece("intercept", model.intercept_)]
