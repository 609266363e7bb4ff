"""What the makers of a framework say of the determinism of a workload, by release.

The report shows it beside what was found here: a claim is no result, and a result on one machine
is no claim. Where they say nothing, there is no row.
"""

from __future__ import annotations

import re
from typing import NamedTuple

STRICT = "deterministic in strict mode"
REFUSES = "refuses in strict mode"
WORKSPACE = "deterministic with CUBLAS_WORKSPACE_CONFIG=:4096:8, refuses without"
ALWAYS = "deterministic"
MAY_VARY = "may vary"

_ATEN = "ATen: attention_backward.cu"
_LIST = "list in the docstring of torch.use_deterministic_algorithms"
_TF_DOC = "docstring of tf.config.experimental.enable_op_determinism"
_XLA = "xla determinism_test.cc; --xla_gpu_exclude_nondeterministic_ops"
_JAX_RANDOM = "docs.jax.dev, jax.random: equal keys give equal draws"


class Claim(NamedTuple):
    """What is said of a workload on a kind of device, in the releases `since` <= x < `before`."""

    framework: str
    workload: str
    device: str
    since: str
    before: str
    says: str
    source: str


# The releases whose lists were read: torch 2.0.1, 2.3.1, 2.6.0, 2.8.0, 2.9.1, 2.10.0, 2.12.1,
# 2.13.0, 2.14.1 and 2.15.0. A change between two of them is dated to the later one.
CLAIMS = (
    Claim("torch", "gemm float32", "cuda", "2.0", "2.10", WORKSPACE, "torch 2.9.1: Context.cpp"),
    Claim("torch", "gemm float32", "cuda", "2.10", "", ALWAYS, "pytorch/pytorch#161749"),
    Claim("torch", "gemm TF32", "cuda", "2.0", "2.10", WORKSPACE, "torch 2.9.1: Context.cpp"),
    Claim("torch", "gemm TF32", "cuda", "2.10", "", ALWAYS, "pytorch/pytorch#161749"),
    Claim("torch", "gemm float64", "cuda", "2.0", "2.10", WORKSPACE, "torch 2.9.1: Context.cpp"),
    Claim("torch", "gemm float64", "cuda", "2.10", "", ALWAYS, "pytorch/pytorch#161749"),
    Claim("torch", "gemm float16", "cuda", "2.0", "2.10", WORKSPACE, "torch 2.9.1: Context.cpp"),
    Claim("torch", "gemm float16", "cuda", "2.10", "", ALWAYS, "pytorch/pytorch#161749"),
    Claim("torch", "gemm bfloat16", "cuda", "2.0", "2.10", WORKSPACE, "torch 2.9.1: Context.cpp"),
    Claim("torch", "gemm bfloat16", "cuda", "2.10", "", ALWAYS, "pytorch/pytorch#161749"),
    Claim("torch", "conv2d", "cuda", "2.0", "", STRICT, _LIST),
    Claim("torch", "scatter_add", "cuda", "2.0", "", STRICT, _LIST),
    Claim("torch", "index_add", "cuda", "2.0", "", STRICT, _LIST),
    Claim("torch", "gather", "cuda", "2.0", "", STRICT, _LIST),
    Claim("torch", "embedding", "cuda", "2.14", "", STRICT, _LIST),
    Claim("torch", "bincount", "cuda", "2.0", "2.3.1", REFUSES, _LIST),
    Claim("torch", "bincount with weights", "cuda", "2.0", "", REFUSES, _LIST),
    Claim("torch", "cumsum", "cuda", "2.0", "2.14", REFUSES, _LIST),
    Claim("torch", "cumsum", "cuda", "2.14", "", STRICT, _LIST),
    Claim("torch", "interpolate", "cuda", "2.0", "", REFUSES, _LIST),
    Claim("torch", "attention, flash", "cuda", "2.0", "", STRICT, _ATEN),
    Claim("torch", "attention, efficient", "cuda", "2.0", "", STRICT, _ATEN),
    Claim("torch", "training, compiled", "cuda", "2.0", "2.10", MAY_VARY, "autotuning"),
    Claim("torch", "training, compiled", "cuda", "2.10", "", STRICT, _LIST + ", its notes"),
    Claim("torch", "all-reduce", "cuda", "2.1", "", MAY_VARY, "NVIDIA/nccl#1497, with NVLS"),
    Claim("tensorflow", "gemm float32", "gpu", "2.8", "", STRICT, _TF_DOC),
    Claim("tensorflow", "conv2d", "gpu", "2.8", "", STRICT, _TF_DOC),
    Claim("tensorflow", "segment_sum", "gpu", "2.8", "", STRICT, _TF_DOC),
    Claim("tensorflow", "scatter_nd", "gpu", "2.8", "", STRICT, _TF_DOC),
    Claim("tensorflow", "embedding", "gpu", "2.8", "", STRICT, _TF_DOC),
    Claim("tensorflow", "resize", "gpu", "2.8", "", STRICT, _TF_DOC),
    Claim("tensorflow", "tf.data", "cpu", "2.8", "", STRICT, _TF_DOC),
    Claim("tensorflow", "dropout", "cpu", "2.8", "", STRICT, _TF_DOC),
    Claim("tensorflow", "dropout", "gpu", "2.8", "", STRICT, _TF_DOC),
    Claim("jax", "scatter", "gpu", "0.4.20", "", STRICT, _XLA),
    Claim("jax", "segment_sum", "gpu", "0.4.20", "", STRICT, _XLA),
    Claim("jax", "random", "cpu", "0.4.20", "", ALWAYS, _JAX_RANDOM),
    Claim("jax", "random", "gpu", "0.4.20", "", ALWAYS, _JAX_RANDOM),
    Claim("jax", "dropout", "cpu", "0.4.20", "", ALWAYS, _JAX_RANDOM),
    Claim("jax", "dropout", "gpu", "0.4.20", "", ALWAYS, _JAX_RANDOM),
    Claim("jax", "all-reduce", "gpu", "0.4.20", "", MAY_VARY, "NVIDIA/nccl#1497, with NVLS"),
)


def find_claim(framework: str, version: str, workload: str, device: str) -> Claim | None:
    """Return what is said of a workload in this release, or None."""
    kind, here = device.partition(":")[0], _numbers(version)
    for claim in CLAIMS:
        if (claim.framework, claim.workload, claim.device) != (framework, workload, kind):
            continue
        if _numbers(claim.since) <= here and (not claim.before or here < _numbers(claim.before)):
            return claim
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release of a version: `2.13.0+cpu` and `2.13.0rc1` are both (2, 13, 0)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
