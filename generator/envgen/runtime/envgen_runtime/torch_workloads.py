"""Workloads for PyTorch: what is run on which device. Importing this module imports torch.

Shapes on a GPU are larger than on a CPU: each fills its device for milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch

from envgen_runtime import seeding, torch_ops, torch_training
from envgen_runtime.torch_ops import piece
from envgen_runtime.workload import GPU_MEMORY, Piece, Workload


class Row(NamedTuple):
    """A workload on every device, or on GPUs only."""

    name: str
    run: Callable[[str], Sequence[Piece]]
    why: str
    essential: bool = True
    only_gpu: bool = False
    forks: bool = False


# Types that a CPU may announce and not have come first: a crash costs what was done before it.
ROWS = (
    Row("gemm bfloat16", partial(torch_ops.gemm, "bfloat16"), "tensor cores, AMX", essential=False),
    Row("gemm float16", partial(torch_ops.gemm, "float16"), "tensor cores, AMX", essential=False),
    Row(
        "gemm float8",
        torch_ops.gemm_float8,
        "tensor cores from 8.9 on",
        essential=False,
        only_gpu=True,
    ),
    Row("gemm float32", partial(torch_ops.gemm, "float32"), "the order of a split sum"),
    Row(
        "gemm TF32",
        torch_ops.gemm_tf32,
        "tensor cores, rounded inputs",
        essential=False,
        only_gpu=True,
    ),
    Row("gemm float64", partial(torch_ops.gemm, "float64"), "the order of a split sum"),
    Row("conv2d", torch_ops.conv2d, "cuDNN picks among algorithms, some with atomics"),
    Row("scatter_add", torch_ops.scatter_add, "atomic additions on GPUs", essential=False),
    Row("index_add", torch_ops.index_add, "atomic additions on GPUs"),
    Row("gather", torch_ops.gather, "its gradient is a scatter", essential=False),
    Row("embedding", torch_ops.embedding, "its gradient adds rows of one word"),
    Row("bincount", torch_ops.bincount, "atomic additions of integers", essential=False),
    Row("bincount with weights", torch_ops.weighted_bincount, "atomic additions", essential=False),
    Row("cumsum", torch_ops.cumsum, "a scan over blocks that finish in any order", essential=False),
    Row("sort", torch_ops.sort, "ties have no order of their own", essential=False),
    Row("interpolate", torch_ops.interpolate, "its gradient adds up neighbours", essential=False),
    Row("attention, math", partial(torch_ops.attention, "MATH"), "softmax between products"),
    Row(
        "attention, flash",
        partial(torch_ops.attention, "FLASH"),
        "gradients by atomics",
        essential=False,
    ),
    Row(
        "attention, efficient",
        partial(torch_ops.attention, "EFFICIENT"),
        "split keys",
        essential=False,
    ),
    Row(
        "attention, cuDNN",
        partial(torch_ops.attention, "CUDNN"),
        "gradients by atomics",
        essential=False,
    ),
    Row("layer norm", torch_ops.layer_norm, "its weight's gradient is a sum over rows"),
    Row("cross-entropy", torch_ops.cross_entropy, "a mean over rows"),
    Row("dropout", torch_ops.dropout, "draws on the device"),
    Row("random", torch_ops.random, "generators, global and own"),
    Row("training, SGD", partial(torch_training.train, "SGD"), "differences grow over steps"),
    Row("training, Adam", partial(torch_training.train, "Adam"), "differences grow over steps"),
    Row("training, compiled", torch_training.train_compiled, "kernels made here", essential=False),
    Row(
        "DataLoader", torch_training.load, "order and draws of workers", essential=False, forks=True
    ),
)


def configure(mode: str) -> None:
    """Set the mode that `enforce` sets."""
    seeding.enforce_torch(torch, mode)


def version() -> str:
    return str(torch.__version__)


def devices() -> Mapping[str, str]:
    named = {"cpu": str(torch.backends.cpu.get_cpu_capability())}
    for device in cuda_devices():
        properties = torch.cuda.get_device_properties(device)
        # cuBLAS promises equal bits only for an equal number of multiprocessors.
        named[device] = f"{properties.name}, {properties.multi_processor_count} SMs"
    return named


def workloads() -> Sequence[Workload]:
    gpus = cuda_devices()
    work = [
        Workload(
            row.name,
            device,
            partial(_with_room, row.run, device),
            row.why,
            essential=row.essential,
            forks=row.forks,
        )
        for device in ("cpu", *gpus)
        for row in ROWS
        if device != "cpu" or not row.only_gpu
        if device == "cpu" or not row.forks
    ]
    if len(gpus) > 1:
        run = partial(torch_training.all_reduce, gpus)
        work.append(
            Workload("all-reduce", "cuda", run, "NCCL adds in rings and trees", essential=False)
        )
    return work


def controls() -> Mapping[str, str]:
    """Show on each GPU that this hardware does vary when it is allowed to.

    Without that, `reproducible here` could mean that nothing ever varies. `no evidence on this
    device` is not a failure: atomics may well arrive in one order on an idle device.
    """
    return {f"atomics on {device}": _atomics_vary(device) for device in cuda_devices()}


def poison(device: str) -> None:
    """Fill what the caching allocator keeps with NaN, in blocks of its small and large pools.

    Deterministic mode fills `torch.empty` by itself, always with the same, which would hide reads
    of what was never written: that ends here.
    """
    if hasattr(torch.utils, "deterministic"):  # from torch 2.2 on
        torch.utils.deterministic.fill_uninitialized_memory = False
    if device == "cpu":
        return
    blocks = [torch.empty(1 << 18, dtype=torch.uint8, device=device) for _ in range(64)]
    blocks += [torch.empty(GPU_MEMORY // 2, dtype=torch.uint8, device=device)]
    for block in blocks:
        block.fill_(0xFF)


def companion(device: str) -> Callable[[], object]:
    """Multiply matrices: with threads of their own on a CPU, in another stream on a GPU."""
    matrix = torch.ones(1024 if _is_gpu(device) else 128, 128, device=_place(device))
    if not _is_gpu(device):
        return lambda: matrix @ matrix.T
    stream = torch.cuda.Stream(_place(device))

    def multiply() -> None:
        with torch.cuda.stream(stream):
            _ = matrix @ matrix.T
        stream.synchronize()

    return multiply


def cuda_devices() -> Sequence[str]:
    if not torch.cuda.is_available():
        return []
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def _is_gpu(device: str) -> bool:
    return device.startswith("cuda")


def _place(device: str) -> str:
    """Return a device for what belongs to all of them, as `cuda` does."""
    return "cuda:0" if device == "cuda" else device


def _with_room(run: Callable[[str], Sequence[Piece]], device: str) -> Sequence[Piece]:
    """Leave a GPU alone that the program of this container has filled, and take little of it."""
    if device != "cpu":
        free, total = torch.cuda.mem_get_info(device)
        if free + torch.cuda.memory_reserved(device) < GPU_MEMORY:
            wanted = GPU_MEMORY >> 20
            raise MemoryError(f"{free >> 20} MiB free on {device}, the test wants {wanted}")
        torch.cuda.set_per_process_memory_fraction(min(1.0, GPU_MEMORY / total), device)
    return run(device)


def _atomics_vary(device: str) -> str:
    """Add a million numbers of all sizes to one place, in whatever order the threads come."""
    values = torch_ops.normal(device, 1_000_000)
    rows = torch.zeros(1_000_000, dtype=torch.int64, device=device)
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=False)
    try:
        sums = [torch.zeros(1, device=device).index_add_(0, rows, values) for _ in range(8)]
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
    results = {piece("sum", value).data for value in sums}
    return "varies, as it should" if len(results) > 1 else "no evidence on this device"
