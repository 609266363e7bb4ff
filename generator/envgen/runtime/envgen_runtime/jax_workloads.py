"""Workloads for JAX. Importing this module imports JAX: only a worker process does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

# Read when JAX first uses a device: no reserve of three quarters of each GPU's memory.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np

from envgen_runtime import jax_ops, seeding
from envgen_runtime.workload import GPU_MEMORY, Piece, Workload

Run = Callable[[str], Sequence[Piece]]
Array = Any
"""An array of JAX, which has no type that all releases share."""


class Row(NamedTuple):
    """A workload on every device, or on GPUs only."""

    name: str
    run: Run
    why: str
    essential: bool = True
    only_gpu: bool = False


def configure(mode: str) -> None:
    """Set the mode that `enforce` sets. `warn` and `off` are the same: XLA cannot only warn."""
    seeding.enforce_jax(jax, mode)


def version() -> str:
    return str(jax.__version__)


def devices() -> Mapping[str, str]:
    return {label: str(device.device_kind) for label, device in _devices().items()}


def workloads() -> Sequence[Workload]:
    work = [
        Workload(row.name, label, partial(_on, label, row.run), row.why, essential=row.essential)
        for label in _devices()
        for row in rows()
        if label != "cpu" or not row.only_gpu
    ]
    alike = jax.local_devices()
    if len(alike) > 1:
        run = partial(jax_ops.all_reduce, len(alike))
        work.append(
            Workload("all-reduce", _label(alike[0]), run, "rings and trees", essential=False)
        )
    return work


def rows() -> Sequence[Row]:
    return (
        Row(
            "gemm bfloat16",
            partial(jax_ops.gemm, jnp.bfloat16),
            "tensor cores, AMX",
            essential=False,
        ),
        Row(
            "gemm float16", partial(jax_ops.gemm, jnp.float16), "tensor cores, AMX", essential=False
        ),
        Row(
            "gemm float8",
            jax_ops.gemm_float8,
            "tensor cores from 8.9 on",
            essential=False,
            only_gpu=True,
        ),
        Row("gemm float32", partial(jax_ops.gemm, jnp.float32), "the order of a split sum"),
        Row(
            "gemm TF32",
            jax_ops.gemm_tf32,
            "tensor cores, rounded inputs",
            essential=False,
            only_gpu=True,
        ),
        Row("conv2d", jax_ops.conv2d, "cuDNN picks among algorithms, some with atomics"),
        Row("scatter", jax_ops.scatter, "atomic additions on GPUs"),
        Row("segment_sum", jax_ops.segment_sum, "a scatter", essential=False),
        Row("embedding", jax_ops.embedding, "its gradient adds rows of one word"),
        Row("bincount", jax_ops.bincount, "a scatter with weights", essential=False),
        Row("cumsum", jax_ops.cumsum, "a scan over blocks", essential=False),
        Row("sort", jax_ops.sort, "ties have no order of their own", essential=False),
        Row("resize", jax_ops.resize, "its gradient adds up neighbours", essential=False),
        Row("attention", jax_ops.attention, "softmax between products"),
        Row(
            "attention, fused",
            partial(jax_ops.fused_attention, "xla"),
            "XLA's own fusion",
            essential=False,
        ),
        Row(
            "attention, cuDNN",
            partial(jax_ops.fused_attention, "cudnn"),
            "gradients by atomics",
            essential=False,
            only_gpu=True,
        ),
        Row("layer norm, cross-entropy", jax_ops.norm_and_loss, "means over rows"),
        Row("dropout", jax_ops.dropout, "draws on the device"),
        Row("random", jax_ops.random, "generators of keys"),
        Row("training", jax_ops.train, "differences grow over steps"),
        Row("training, compiled", jax_ops.train_compiled, "fused kernels, autotuning"),
    )


def controls() -> Mapping[str, str]:
    """XLA reads its flags once: with `strict`, no atomics are left that could be seen to vary."""
    gpus = [label for label in _devices() if label != "cpu"]
    return {f"atomics on {label}": _atomics_vary(label) for label in gpus}


def poison(device: str) -> None:
    """Fill what the allocator of a GPU keeps with NaN."""
    if device != "cpu":
        with jax.default_device(_devices()[device]):
            jnp.full((GPU_MEMORY // 8,), jnp.nan, dtype=jnp.float32).block_until_ready()


def companion(device: str) -> Callable[[], object]:
    """Multiply matrices from another thread. XLA has one stream for all of them on a GPU."""
    size = 128 if device == "cpu" else 1024
    matrix = jax.device_put(np.ones((size, size), np.float32), _devices()[device])
    return lambda: jax.block_until_ready(matrix @ matrix)


def _devices() -> Mapping[str, Array]:
    found = [jax.local_devices(backend="cpu")[0]]
    found += [device for device in jax.local_devices() if device.platform != "cpu"]
    return {_label(device): device for device in found}


def _label(device: Array) -> str:
    return "cpu" if device.platform == "cpu" else f"gpu:{device.id}"


def _on(label: str, run: Run) -> Sequence[Piece]:
    with jax.default_device(_devices()[label]):
        return run(label)


def _atomics_vary(label: str) -> str:
    values, rows = jax_ops.normal(1_000_000), np.zeros(1_000_000, np.int32)

    def add() -> bytes:
        return np.asarray(jnp.zeros(1).at[rows].add(values)).tobytes()

    with jax.default_device(_devices()[label]):
        results = {add() for _ in range(8)}
    return "varies, as it should" if len(results) > 1 else "no evidence on this device"
