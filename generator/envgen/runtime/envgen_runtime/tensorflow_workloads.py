"""Workloads for TensorFlow. Importing this module imports TensorFlow: only a worker does."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from envgen_runtime import seeding, tensorflow_ops
from envgen_runtime.workload import GPU_MEMORY, Piece, Workload

Run = Callable[[str], Sequence[Piece]]


class Row(NamedTuple):
    """A workload on every device, on GPUs only or on the CPU only."""

    name: str
    run: Run
    why: str
    essential: bool = True
    only: str = ""


def configure(mode: str) -> None:
    """Set the mode that `enforce` sets, and limit what the test takes of each GPU."""
    seeding.enforce_tensorflow(tf, mode)
    for gpu in tf.config.list_physical_devices("GPU"):
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=GPU_MEMORY >> 20)
        tf.config.set_logical_device_configuration(gpu, [limit])


def version() -> str:
    return str(tf.__version__)


def devices() -> Mapping[str, str]:
    named = {"cpu": platform.machine()}
    for index, gpu in enumerate(tf.config.list_physical_devices("GPU")):
        details = tf.config.experimental.get_device_details(gpu)
        named[f"gpu:{index}"] = str(details.get("device_name", gpu.name))
    return named


def workloads() -> Sequence[Workload]:
    gpus = [f"gpu:{index}" for index, _ in enumerate(tf.config.list_physical_devices("GPU"))]
    work = [
        Workload(row.name, label, partial(_on, label, row.run), row.why, essential=row.essential)
        for label in ("cpu", *gpus)
        for row in rows()
        if row.only in ("", label.partition(":")[0])
    ]
    replicas = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(replicas) > 1:
        run = partial(tensorflow_ops.all_reduce, [replica.name for replica in replicas])
        kind = replicas[0].device_type.lower()
        work.append(
            Workload("all-reduce", kind, run, "NCCL adds in rings and trees", essential=False)
        )
    return work


def rows() -> Sequence[Row]:
    return (
        Row(
            "gemm bfloat16",
            partial(tensorflow_ops.gemm, tf.bfloat16),
            "tensor cores, AMX",
            essential=False,
        ),
        Row(
            "gemm float16",
            partial(tensorflow_ops.gemm, tf.float16),
            "tensor cores, AMX",
            essential=False,
        ),
        Row("gemm float32", partial(tensorflow_ops.gemm, tf.float32), "the order of a split sum"),
        Row(
            "gemm TF32",
            tensorflow_ops.gemm_tf32,
            "tensor cores, rounded inputs",
            essential=False,
            only="gpu",
        ),
        Row("gemm float64", partial(tensorflow_ops.gemm, tf.float64), "the order of a split sum"),
        Row("conv2d", tensorflow_ops.conv2d, "cuDNN picks among algorithms, some with atomics"),
        Row("scatter_nd", tensorflow_ops.scatter, "atomic additions on GPUs"),
        Row("segment_sum", tensorflow_ops.segment_sum, "atomic additions on GPUs", essential=False),
        Row("embedding", tensorflow_ops.embedding, "its gradient adds rows of one word"),
        Row("bincount", tensorflow_ops.bincount, "atomic additions", essential=False),
        Row("cumsum", tensorflow_ops.cumsum, "a scan over blocks", essential=False),
        Row("sort", tensorflow_ops.sort, "ties have no order of their own", essential=False),
        Row("resize", tensorflow_ops.resize, "its gradient adds up neighbours", essential=False),
        Row("attention", tensorflow_ops.attention, "softmax between products"),
        Row("layer norm", tensorflow_ops.layer_norm, "its weight's gradient is a sum over rows"),
        Row("cross-entropy", tensorflow_ops.cross_entropy, "a mean over rows"),
        Row("dropout", tensorflow_ops.dropout, "draws on the device"),
        Row("random", tensorflow_ops.random, "generators, global and own"),
        Row(
            "training, eager", partial(tensorflow_ops.train, "eager"), "differences grow over steps"
        ),
        Row("training, graph", partial(tensorflow_ops.train, "graph"), "nodes run in any order"),
        Row(
            "training, XLA",
            partial(tensorflow_ops.train, "XLA"),
            "fused kernels, autotuning",
            essential=False,
        ),
        Row("tf.data", tensorflow_ops.load, "parallel maps and shuffles", only="cpu"),
    )


def controls() -> Mapping[str, str]:
    """Show on each GPU that it varies when it is allowed to; op determinism cannot be left."""
    gpus = [label for label in devices() if label != "cpu"]
    return {f"atomics on {label}": _atomics_vary(label) for label in gpus}


def poison(device: str) -> None:
    """Fill what the allocator of a GPU keeps with NaN."""
    if device != "cpu":
        with tf.device(tensorflow_ops.place(device)):
            tf.fill([GPU_MEMORY // 8], float("nan"))


def companion(device: str) -> Callable[[], object]:
    """Multiply matrices from another thread. TensorFlow has one stream for them on a GPU."""
    with tf.device(tensorflow_ops.place(device)):
        matrix = tf.ones([128, 128] if device == "cpu" else [1024, 1024])
    return lambda: tf.matmul(matrix, matrix).numpy()


def _on(label: str, run: Run) -> Sequence[Piece]:
    with tf.device(tensorflow_ops.place(label)):
        return run(label)


def _atomics_vary(label: str) -> str:
    values, rows = tensorflow_ops.normal(1_000_000), np.zeros((1_000_000, 1), np.int32)
    with tf.device(tensorflow_ops.place(label)):
        sums = [tf.tensor_scatter_nd_add(tf.zeros([1]), rows, values) for _ in range(8)]
    results = {value.numpy().tobytes() for value in sums}
    return "varies, as it should" if len(results) > 1 else "no evidence on this device"
