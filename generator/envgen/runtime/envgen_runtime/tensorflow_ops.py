"""Operations of TensorFlow, forward and backward, one workload each.

Keras is left out: it may be of any release, and what varies is below it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import tensorflow as tf

from envgen_runtime.workload import SEED, NotSupportedError, Piece

STEPS = 3
Tensor = Any
"""A tensor or variable; TensorFlow ships no types."""


def place(label: str) -> str:
    """Return a device, the first one for what belongs to all of a kind."""
    return f"/{label if ':' in label else label + ':0'}"


def _large(device: str, on_gpu: int, on_cpu: int) -> int:
    return on_cpu if device == "cpu" else on_gpu


def _pieces(**tensors: Tensor) -> Sequence[Piece]:
    arrays = [(label, tf.convert_to_tensor(value).numpy()) for label, value in tensors.items()]
    return [Piece(label, str(a.dtype), a.shape, a.tobytes()) for label, a in arrays]


def normal(*shape: int) -> Tensor:
    """Draw with NumPy: TensorFlow's own draws are a workload of their own."""
    draw = np.random.Generator(np.random.PCG64(SEED))
    return draw.standard_normal(shape).astype(np.float32)


def _places(count: int, places: int) -> Tensor:
    return (np.arange(count) * 7919 % places).astype(np.int32)


def gemm(dtype: Tensor, device: str) -> Sequence[Piece]:
    size = _large(device, 1024 if dtype == tf.float64 else 2048, 192)
    left, right = tf.unstack(tf.cast(normal(2, size, size), dtype))
    long = tf.cast(normal(64, _large(device, 65_536, 4096)), dtype)
    return _pieces(product=left @ right, split=tf.matmul(long, long, transpose_b=True))


def gemm_tf32(device: str) -> Sequence[Piece]:
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(enabled=True)
    try:
        return gemm(tf.float32, device)
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def conv2d(device: str) -> Sequence[Piece]:
    channels = _large(device, 64, 16)
    images = tf.constant(normal(_large(device, 64, 4), 32, 32, channels))
    kernel = tf.constant(normal(3, 3, channels, 2 * channels))
    with tf.GradientTape() as tape:
        tape.watch((images, kernel))
        output = tf.nn.conv2d(images, kernel, strides=2, padding="SAME")
        loss = tf.reduce_mean(tf.square(output))
    gradients = tape.gradient(loss, (images, kernel))
    return _pieces(output=output, images=gradients[0], kernel=gradients[1])


def _gradient(compute: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
    """Return the gradient of the sum of squares of `compute(value)`."""
    with tf.GradientTape() as tape:
        tape.watch(value)
        loss = tf.reduce_sum(tf.square(compute(value)))
    return tf.convert_to_tensor(tape.gradient(loss, value))


def scatter(device: str) -> Sequence[Piece]:
    count = _large(device, 1_000_000, 50_000)
    rows, values = _places(count, 16)[:, None], tf.constant(normal(count))
    add = partial(tf.tensor_scatter_nd_add, tf.zeros([16]), rows)
    return _pieces(added=add(values), values=_gradient(add, values))


def segment_sum(device: str) -> Sequence[Piece]:
    count = _large(device, 250_000, 50_000)
    values = tf.constant(normal(count, 4))
    return _pieces(sums=tf.math.unsorted_segment_sum(values, _places(count, 100), 100))


def embedding(device: str) -> Sequence[Piece]:
    words, table = _places(_large(device, 50_000, 5000), 100), tf.constant(normal(100, 32))
    return _pieces(table=_gradient(lambda table: tf.nn.embedding_lookup(table, words), table))


def bincount(device: str) -> Sequence[Piece]:
    count = _large(device, 1_000_000, 50_000)
    rows = tf.constant(_places(count, 100))
    sums = tf.math.bincount(rows, weights=tf.constant(normal(count)), minlength=100)
    return _pieces(counts=tf.math.bincount(rows, minlength=100), sums=sums)


def cumsum(device: str) -> Sequence[Piece]:
    values = tf.constant(normal(4, _large(device, 250_000, 10_000)))
    sum_up = partial(tf.cumsum, axis=1)
    return _pieces(sums=sum_up(values), values=_gradient(sum_up, values))


def sort(device: str) -> Sequence[Piece]:
    values = tf.constant(_places(_large(device, 1_000_000, 50_000), 5000).astype(np.float32))
    top, places = tf.math.top_k(values, 100)
    order = tf.argsort(values, stable=True)
    return _pieces(ordered=tf.sort(values), order=order, top=top, places=places)


def resize(_device: str) -> Sequence[Piece]:
    images = tf.constant(normal(4, 16, 16, 8))
    resize = partial(tf.image.resize, size=(40, 40), method="bilinear")
    return _pieces(output=resize(images), images=_gradient(resize, images))


def attention(device: str) -> Sequence[Piece]:
    length = _large(device, 512, 64)
    query = tf.constant(normal(2, 8, length, 64))
    mask = tf.linalg.band_part(tf.ones([length, length]), -1, 0)

    def attend(query: Tensor) -> Tensor:
        scores = tf.matmul(query, query * 0.5, transpose_b=True) / 8 - 1e9 * (1 - mask)
        return tf.matmul(tf.nn.softmax(scores), query + 0.1)

    return _pieces(output=attend(query), query=_gradient(attend, query))


def layer_norm(device: str) -> Sequence[Piece]:
    inputs = tf.constant(normal(_large(device, 4096, 256), 256))
    weight = tf.constant(normal(256))

    def normalise(inputs: Tensor, weight: Tensor) -> Tensor:
        mean, variance = tf.nn.moments(inputs, [1], keepdims=True)
        return (inputs - mean) * tf.math.rsqrt(variance + 1e-5) * weight

    return _pieces(
        output=normalise(inputs, weight),
        inputs=_gradient(lambda inputs: normalise(inputs, weight), inputs),
        weight=_gradient(lambda weight: normalise(inputs, weight), weight),
    )


def cross_entropy(device: str) -> Sequence[Piece]:
    count = _large(device, 4096, 256)
    logits, targets = tf.constant(normal(count, 1000)), _places(count, 1000)

    def lose(logits: Tensor) -> Tensor:
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
        )

    return _pieces(loss=lose(logits), logits=_gradient(lose, logits))


def dropout(_device: str) -> Sequence[Piece]:
    tf.random.set_seed(SEED)
    inputs = tf.constant(normal(256, 256))
    fixed = partial(tf.nn.experimental.stateless_dropout, rate=0.3, seed=(SEED, 1))
    return _pieces(
        output=tf.nn.dropout(inputs, rate=0.3),
        fixed=fixed(inputs),
        inputs=_gradient(fixed, inputs),
    )


def random(_device: str) -> Sequence[Piece]:
    tf.random.set_seed(SEED)
    own = tf.random.Generator.from_seed(SEED)
    return _pieces(
        uniform=tf.random.uniform([10_000]),
        normal=own.normal([10_000]),
        integers=own.uniform([10_000], maxval=1000, dtype=tf.int32),
        stateless=tf.random.stateless_normal([10_000], seed=(SEED, 0)),
        order=tf.random.shuffle(tf.range(1000)),
    )


def train(how: str, device: str) -> Sequence[Piece]:
    """Train a small convolutional network with Adam."""
    shapes = {"conv": (3, 3, 1, 8), "dense": (512, 10)}
    with tf.device(place(device)):
        weights = [tf.Variable(normal(*shape) / 8) for shape in shapes.values()]
        moments = [[tf.Variable(tf.zeros_like(w)) for w in weights] for _ in range(2)]
    images, targets = tf.constant(normal(32, 16, 16, 1)), tf.constant(_places(32, 10))
    losses = []
    for number in range(1, STEPS + 1):
        loss, gradients = _step(how)(*weights, images, targets)
        for weight, first, second, gradient in zip(weights, *moments, gradients):
            _adam(weight, first, second, gradient, number)
        losses.append(loss)
    return _pieces(losses=tf.stack(losses), **dict(zip(shapes, weights)))


def _adam(weight: Tensor, first: Tensor, second: Tensor, gradient: Tensor, number: int) -> None:
    """Take a step as Keras does."""
    tf.raw_ops.ResourceApplyAdam(
        var=weight.handle,
        m=first.handle,
        v=second.handle,
        beta1_power=0.9**number,
        beta2_power=0.999**number,
        lr=0.01,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-7,
        grad=gradient,
    )


@cache
def _step(how: str) -> Callable[..., Tensor]:
    if how == "eager":
        return _lose
    return tf.function(_lose, jit_compile=how == "XLA")  # type: ignore[no-any-return,unused-ignore]


def _lose(kernel: Tensor, dense: Tensor, images: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of the network and its gradients."""
    kernel, dense = tf.convert_to_tensor(kernel), tf.convert_to_tensor(dense)
    with tf.GradientTape() as tape:
        tape.watch((kernel, dense))
        # Not max pooling: under XLA its gradient refuses in strict mode, on CPUs as well.
        hidden = tf.nn.relu(tf.nn.conv2d(images, kernel, strides=2, padding="SAME"))
        logits = tf.reshape(hidden, [32, 512]) @ dense
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
        )
    return loss, tape.gradient(loss, (kernel, dense))


def load(_device: str) -> Sequence[Piece]:
    """Shuffle, and map in parallel with a random part, as augmentation has."""
    tf.random.set_seed(SEED)

    def draw(index: Tensor) -> Tensor:
        seed = tf.stack([tf.constant(SEED, tf.int64), index])
        return tf.cast(index, tf.float32) + tf.random.stateless_uniform([8], seed)

    data = tf.data.Dataset.range(256).shuffle(64, seed=SEED)
    data = data.map(draw, num_parallel_calls=4, deterministic=True).batch(32).prefetch(2)
    return _pieces(batches=tf.stack(list(data)))


def all_reduce(devices: Sequence[str]) -> Sequence[Piece]:
    """Add up, on all devices, tensors that each of them holds."""
    strategy = tf.distribute.MirroredStrategy(devices)
    values = tf.constant(normal(100_000))

    add = tf.function(lambda: strategy.run(_replica_sum, args=(values,)))
    sums = strategy.experimental_local_results(add())
    return _pieces(**{f"replica{number}": value for number, value in enumerate(sums)})


def _replica_sum(values: Tensor) -> Tensor:
    context = tf.distribute.get_replica_context()
    if context is None:
        raise NotSupportedError("TensorFlow gives no replica context")
    share = values * tf.cast(context.replica_id_in_sync_group + 1, tf.float32)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, share)
