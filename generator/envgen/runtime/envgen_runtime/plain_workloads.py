"""Workloads for the interpreter itself, so that an image without a framework has a real test."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import random
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from envgen_runtime.workload import SEED, NotSupportedError, Piece, Workload


def version() -> str:
    return platform.python_version()


def devices() -> Mapping[str, str]:
    return {"cpu": platform.machine()}


def workloads() -> Sequence[Workload]:
    return [
        Workload("draws", "cpu", _draws, "samplers and shuffles draw from `random`"),
        Workload("arithmetic", "cpu", _arithmetic, "the C library's functions and sums"),
        Workload("text", "cpu", _text, "how numbers are written, as in logs and JSON"),
        Workload("hash order", "cpu", _hash_order, "the order of a set of strings is random"),
    ]


def configure(_mode: str) -> None:
    """There is no deterministic mode: PYTHONHASHSEED has to be set before Python starts."""


def controls() -> Mapping[str, str]:
    return {}


def poison(_device: str) -> None:
    """There is no allocator that malloc does not stand behind."""


def companion(_device: str) -> Callable[[], object]:
    return partial(hashlib.sha256, bytes(1 << 20))  # lets go of the interpreter's lock


def _doubles(label: str, values: Sequence[float]) -> Piece:
    return Piece(label, "float64", (len(values),), struct.pack(f"<{len(values)}d", *values))


def _draws() -> Sequence[Piece]:
    generator = random.Random(SEED)  # noqa: S311
    order = list(range(1000))
    generator.shuffle(order)
    return [
        _doubles("uniform", [generator.random() for _ in range(10_000)]),
        _doubles("normal", [generator.gauss(0.0, 1.0) for _ in range(10_000)]),
        Piece("order", "json", (len(order),), json.dumps(order).encode()),
    ]


def _arithmetic() -> Sequence[Piece]:
    generator = random.Random(SEED)  # noqa: S311
    values = [generator.uniform(-10.0, 10.0) for _ in range(10_000)]
    return [
        _doubles("library", [math.exp(math.sin(value)) * math.tanh(value) for value in values]),
        _doubles("sums", [sum(values), math.fsum(values)]),
    ]


def _text() -> Sequence[Piece]:
    generator = random.Random(SEED)  # noqa: S311
    record = {str(i): generator.uniform(-1e9, 1e9) for i in range(2000)}
    written = json.dumps(record)
    formatted = " ".join(f"{value:.17g} {value:e}" for value in json.loads(written).values())
    return [
        Piece("json", "utf-8", (len(written),), written.encode()),
        Piece("format", "utf-8", (len(formatted),), formatted.encode()),
    ]


def _hash_order() -> Sequence[Piece]:
    """The order of a set of strings: sorted out by PYTHONHASHSEED, which only an image can set."""
    seed = "" if sys.flags.ignore_environment else os.environ.get("PYTHONHASHSEED", "")
    if seed in ("", "random"):
        raise NotSupportedError("PYTHONHASHSEED is not set, so sets of strings change their order")
    order = " ".join({str(i) for i in range(1000)})
    return [Piece("order", "utf-8", (len(order),), order.encode())]
