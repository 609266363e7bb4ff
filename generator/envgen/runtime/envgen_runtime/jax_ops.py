"""Operations of JAX, forward and backward, one workload each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from envgen_runtime.workload import SEED, NotSupportedError, Piece

STEPS = 3
Array = Any
"""An array of JAX, which has no type that all releases share."""


def _large(device: str, on_gpu: int, on_cpu: int) -> int:
    return on_cpu if device == "cpu" else on_gpu


def _pieces(**arrays: Array) -> Sequence[Piece]:
    values = [(label, np.asarray(array)) for label, array in arrays.items()]
    return [Piece(label, str(a.dtype), a.shape, a.tobytes()) for label, a in values]


_PROGRAMS: dict[str, Callable[..., Mapping[str, Array]]] = {}


def _compiled(
    name: str, compute: Callable[..., Mapping[str, Array]], *arguments: Array
) -> Sequence[Piece]:
    """Run `compute` as one program, compiled once in a process for each name.

    What it reads are arguments: constants XLA would fold, and there would be nothing left to do.
    """
    return _pieces(**_PROGRAMS.setdefault(name, jax.jit(compute))(*arguments))


def normal(*shape: int) -> Array:
    """Draw with NumPy: JAX's own draws are a workload of their own."""
    draw = np.random.Generator(np.random.PCG64(SEED))
    return draw.standard_normal(shape).astype(np.float32)


def _places(count: int, places: int) -> Array:
    return (np.arange(count) * 7919 % places).astype(np.int32)


def gemm(dtype: Array, device: str, precision: Array = lax.Precision.HIGHEST) -> Sequence[Piece]:
    size = _large(device, 2048, 192)
    multiply = partial(jnp.matmul, precision=precision)

    def compute(pair: Array, long: Array) -> Mapping[str, Array]:
        pair, long = pair.astype(dtype), long.astype(dtype)
        return {"product": multiply(pair[0], pair[1]), "split": multiply(long, long.T)}

    return _compiled(
        f"gemm {np.dtype(dtype)} {precision}",
        compute,
        normal(2, size, size),
        normal(64, _large(device, 65_536, 4096)),
    )


def gemm_tf32(device: str) -> Sequence[Piece]:
    return gemm(jnp.float32, device, lax.Precision.DEFAULT)


def gemm_float8(_device: str) -> Sequence[Piece]:
    if not hasattr(jnp, "float8_e4m3fn"):
        raise NotSupportedError(f"jax {jax.__version__} has no float8_e4m3fn")

    def compute(pair: Array) -> Mapping[str, Array]:
        left, right = pair.astype(jnp.float8_e4m3fn)
        return {"product": lax.dot(left, right.T, preferred_element_type=jnp.float32)}

    return _compiled("gemm_float8", compute, normal(2, 2048, 2048))


def conv2d(device: str) -> Sequence[Piece]:
    channels = _large(device, 64, 16)

    def loss(images: Array, kernel: Array) -> Array:
        output = lax.conv_general_dilated(images, kernel, (2, 2), "SAME")
        return (output**2).mean(), output

    def compute(images: Array, kernel: Array) -> Mapping[str, Array]:
        gradients, output = jax.grad(loss, argnums=(0, 1), has_aux=True)(images, kernel)
        return {"output": output, "images": gradients[0], "kernel": gradients[1]}

    images = normal(_large(device, 64, 4), channels, 32, 32)
    return _compiled("conv2d", compute, images, normal(2 * channels, channels, 3, 3))


def scatter(device: str) -> Sequence[Piece]:
    def add(rows: Array, values: Array) -> Array:
        return jnp.zeros(16).at[rows].add(values)

    def compute(rows: Array, values: Array) -> Mapping[str, Array]:
        gradient = jax.grad(lambda v: (add(rows, v) ** 2).sum())(values)
        return {"added": add(rows, values), "values": gradient}

    count = _large(device, 1_000_000, 50_000)
    return _compiled("scatter", compute, _places(count, 16), normal(count))


def segment_sum(device: str) -> Sequence[Piece]:
    def compute(rows: Array, values: Array) -> Mapping[str, Array]:
        return {"sums": jax.ops.segment_sum(values, rows, 100)}

    count = _large(device, 250_000, 50_000)
    return _compiled("segment_sum", compute, _places(count, 100), normal(count, 4))


def embedding(device: str) -> Sequence[Piece]:
    def compute(words: Array, table: Array) -> Mapping[str, Array]:
        return {"table": jax.grad(lambda table: jnp.tanh(table[words]).sum())(table)}

    return _compiled(
        "embedding", compute, _places(_large(device, 50_000, 5000), 100), normal(100, 32)
    )


def bincount(device: str) -> Sequence[Piece]:
    def compute(rows: Array, weights: Array) -> Mapping[str, Array]:
        counts = jnp.bincount(rows, length=100)
        return {"counts": counts, "sums": jnp.bincount(rows, weights, length=100)}

    count = _large(device, 1_000_000, 50_000)
    return _compiled("bincount", compute, _places(count, 100), normal(count))


def cumsum(device: str) -> Sequence[Piece]:
    def compute(values: Array) -> Mapping[str, Array]:
        gradient = jax.grad(lambda v: (jnp.cumsum(v, 1) ** 2).mean())(values)
        return {"sums": jnp.cumsum(values, 1), "values": gradient}

    return _compiled("cumsum", compute, normal(4, _large(device, 250_000, 5000)))


def sort(device: str) -> Sequence[Piece]:
    def compute(values: Array) -> Mapping[str, Array]:
        top, places = lax.top_k(values, 100)
        order = jnp.argsort(values)
        return {"ordered": values[order], "order": order, "top": top, "places": places}

    values = _places(_large(device, 1_000_000, 20_000), 5000).astype(np.float32)  # with ties
    return _compiled("sort", compute, values)


def resize(_device: str) -> Sequence[Piece]:
    def resize(images: Array) -> Array:
        return jax.image.resize(images, (4, 40, 40, 8), "bilinear")

    def compute(images: Array) -> Mapping[str, Array]:
        gradient = jax.grad(lambda images: (resize(images) ** 2).mean())(images)
        return {"output": resize(images), "images": gradient}

    return _compiled("resize", compute, normal(4, 16, 16, 8))


def attention(device: str) -> Sequence[Piece]:
    def attend(query: Array) -> Array:
        mask = jnp.tril(jnp.ones((query.shape[1], query.shape[1]), bool))
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, query * 0.5) / 8
        weights = jax.nn.softmax(jnp.where(mask, scores, -1e30))
        return jnp.einsum("bhqk,bkhd->bqhd", weights, query + 0.1)

    def compute(query: Array) -> Mapping[str, Array]:
        gradient = jax.grad(lambda query: (attend(query) ** 2).mean())(query)
        return {"output": attend(query), "query": gradient}

    return _compiled("attention", compute, normal(2, _large(device, 512, 64), 8, 64))


def fused_attention(backend: str, device: str) -> Sequence[Piece]:
    if not hasattr(jax.nn, "dot_product_attention"):
        raise NotSupportedError(f"jax {jax.__version__} has no dot_product_attention")

    def compute(query: Array) -> Mapping[str, Array]:
        attend = partial(jax.nn.dot_product_attention, is_causal=True, implementation=backend)
        output, backward = jax.vjp(lambda q: attend(q, q * 0.5, q + 0.1), query)
        return {"output": output, "query": backward(output)[0]}

    query = normal(2, _large(device, 512, 64), 8, 64)
    return _compiled(
        f"attention {backend}",
        compute,
        query.astype(jnp.float32 if backend == "xla" else jnp.bfloat16),
    )


def norm_and_loss(device: str) -> Sequence[Piece]:
    def loss(inputs: Array, weight: Array, targets: Array) -> Array:
        mean, variance = inputs.mean(1, keepdims=True), inputs.var(1, keepdims=True)
        logits = (inputs - mean) * lax.rsqrt(variance + 1e-5) * weight
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], 1).mean()

    def compute(*arguments: Array) -> Mapping[str, Array]:
        value, gradients = jax.value_and_grad(loss, argnums=(0, 1))(*arguments)
        return {"loss": value, "inputs": gradients[0], "weight": gradients[1]}

    count = _large(device, 4096, 256)
    return _compiled("norm_and_loss", compute, normal(count, 256), normal(256), _places(count, 256))


def dropout(_device: str) -> Sequence[Piece]:
    def compute(key: Array, inputs: Array) -> Mapping[str, Array]:
        kept = jax.random.bernoulli(key, 0.7, inputs.shape)
        return {"output": jnp.where(kept, inputs / 0.7, 0.0)}

    return _compiled("dropout", compute, jax.random.PRNGKey(SEED), normal(256, 256))


def random(_device: str) -> Sequence[Piece]:
    def compute(key: Array) -> Mapping[str, Array]:
        keys = jax.random.split(key, 4)
        return {
            "keys": keys,
            "uniform": jax.random.uniform(keys[0], (10_000,)),
            "normal": jax.random.normal(keys[1], (10_000,)),
            "integers": jax.random.randint(keys[2], (10_000,), 0, 1000),
            "order": jax.random.permutation(keys[3], 1000),
        }

    return _compiled("random", compute, jax.random.PRNGKey(SEED))


def _step(weights: Array, momentum: Array, inputs: Array, targets: Array) -> Array:
    """Take a step of gradient descent with momentum through a small network."""

    def loss(weights: Array) -> Array:
        return jnp.square(jnp.tanh(inputs @ weights[0]) @ weights[1] - targets).sum()

    value, gradients = jax.value_and_grad(loss)(weights)
    momentum = [0.9 * m + g for m, g in zip(momentum, gradients)]
    return value, [w - 0.0001 * m for w, m in zip(weights, momentum)], momentum


def train(_device: str, step: Callable[..., Array] = _step) -> Sequence[Piece]:
    """Train operation by operation."""
    weights = [jnp.asarray(normal(64, 128) / 8), jnp.asarray(normal(128, 10) / 8)]
    momentum = [
        jnp.asarray(np.zeros((64, 128), np.float32)),
        jnp.asarray(np.zeros((128, 10), np.float32)),
    ]
    inputs, targets = jnp.asarray(normal(256, 64)), jnp.asarray(normal(256, 10))
    losses = {}
    for number in range(STEPS):
        losses[f"loss{number}"], weights, momentum = step(weights, momentum, inputs, targets)
    return _pieces(**losses, hidden=weights[0], output=weights[1])


def train_compiled(device: str) -> Sequence[Piece]:
    """Train with the whole step as one program."""
    return train(device, jax.jit(_step))


def all_reduce(count: int) -> Sequence[Piece]:
    """Add up, on all devices, arrays that each of them holds."""
    values = normal(count, 100_000)
    return _pieces(sums=jax.pmap(lambda v: lax.psum(v, "all"), axis_name="all")(values))
