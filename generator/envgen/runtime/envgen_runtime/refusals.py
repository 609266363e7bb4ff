"""What to use instead of an operation that has no deterministic kernel.

Torch's are those that the docstring of `torch.use_deterministic_algorithms` lists as raising, from
2.0 to 2.15, found by the name that the error message has for the kernel.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Advice(NamedTuple):
    """An operation, by a pattern that its refusal matches, and what gives the same to rounding."""

    pattern: str
    instead: str


ADVICE = (
    Advice("MaxPool gradient ops", "a convolution with strides, or no jit_compile"),
    Advice("avg_pool3d", "a depthwise conv3d with constant weights"),
    Advice(
        "adaptive_avg_pool", "mean() over the last dimensions, or AvgPool2d with a fixed kernel"
    ),
    Advice(
        "adaptive_max_pool", "amax() over the last dimensions, or MaxPool2d with a fixed kernel"
    ),
    Advice("fractional_max_pool", "MaxPool2d or MaxPool3d"),
    Advice("max_pool3d", "torch 2.13 or newer, or MaxPool2d over slices"),
    Advice("max_unpool", "zeros followed by scatter()"),
    Advice(
        "upsample|interpolate", "mode='nearest', or a transposed convolution with fixed weights"
    ),
    Advice("reflection_pad", "index_select() with the reflected indices, or padding of zeros"),
    Advice("replication_pad", "torch 2.8 or newer, or index_select() with the repeated indices"),
    Advice("nll_loss2d", "cross_entropy on logits of shape (pixels, classes)"),
    Advice("ctc_loss", "the loss on the CPU"),
    Advice("embedding_bag", "embedding() followed by amax()"),
    Advice("put_", "index_put_() or scatter() with indices that are unique"),
    Advice("histc", "bucketize() followed by bincount() without weights"),
    Advice("bincount", "zeros(n).index_add_(0, ids, weights)"),
    Advice("kthvalue|median", "sort() and the element in question"),
    Advice("grid_sampler|grid_sample", "gather() and the weighted sum of the corners"),
    Advice("cumsum", "torch 2.14 or newer, a product with a triangular matrix, or the CPU"),
    Advice("scatter_reduce", "reduce='sum' or 'mean'"),
    Advice("cublas", "CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment"),
    Advice("memory efficient", "enforce('strict'): `warn` leaves this kernel as it is"),
    Advice("segment reduction|unsorted_segment", "a product with a one-hot matrix"),
    Advice("SIGILL", "ONEDNN_MAX_CPU_ISA=AVX512_CORE_FP16 where a CPU announces AMX in vain"),
    Advice("require a seed", "envgen_runtime.seed_everything(seed) at the start of the program"),
)


def advise(message: str) -> str:
    """Return what to use instead of the operation that refuses with this message, or ""."""
    for advice in ADVICE:
        if re.search(advice.pattern, message, re.IGNORECASE):
            return advice.instead
    return ""
