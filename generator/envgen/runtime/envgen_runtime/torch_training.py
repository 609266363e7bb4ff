"""PyTorch as programs use it: training, compiled and not, loading data, several GPUs."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch

from envgen_runtime.seeding import loader_options
from envgen_runtime.torch_ops import normal, pieces, rows
from envgen_runtime.workload import SEED, NotSupportedError, Piece, one_line

F = torch.nn.functional
STEPS = 3


def train(optimizer: str, device: str) -> Sequence[Piece]:
    """Train a small convolutional network for a few steps."""
    torch.manual_seed(SEED)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(8 * 8 * 8, 10),
    ).to(device)
    images, targets = normal(device, 32, 1, 16, 16), rows(device, 32, 10)
    step = getattr(torch.optim, optimizer)(model.parameters(), lr=0.01)
    losses = []
    for _ in range(STEPS):
        step.zero_grad()
        loss = F.cross_entropy(model(images), targets)
        loss.backward()
        step.step()
        losses.append(loss.detach())
    return pieces(losses=torch.stack(losses), **_state(model))


def _state(model: torch.nn.Module) -> Mapping[str, torch.Tensor]:
    return {name.replace(".", "_"): value for name, value in model.state_dict().items()}


def train_compiled(device: str) -> Sequence[Piece]:
    """Take gradient steps through a loss that torch.compile has made kernels for."""
    _require_compiler(device)
    torch.manual_seed(SEED)
    weights = [normal(device, 64, 64).div(8).requires_grad_(), normal(device, 64).requires_grad_()]
    inputs, targets = normal(device, 256, 64), rows(device, 256, 64)
    losses = []
    for _ in range(STEPS):
        loss = _compiled(device)(inputs, targets, *weights)
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients):
                weight.sub_(0.1 * gradient)
        losses.append(loss.detach())
    return pieces(losses=torch.stack(losses), matrix=weights[0], bias=weights[1])


def _loss(
    inputs: torch.Tensor, targets: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    hidden = F.layer_norm(F.gelu(inputs @ matrix + bias), (64,))
    return F.cross_entropy(hidden, targets)


@cache
def _compiled(device: str) -> Callable[..., torch.Tensor]:
    """Compile once per process and device, in a directory that is gone afterwards."""
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no processes that outlive this one
    compiled: Callable[..., torch.Tensor] = torch.compile(_loss)
    arguments = normal(device, 256, 64), rows(device, 256, 64)
    weights = normal(device, 64, 64).requires_grad_(), normal(device, 64).requires_grad_()
    try:
        with tempfile.TemporaryDirectory(prefix="envgen-") as directory:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = directory
            os.environ["TRITON_CACHE_DIR"] = directory
            compiled(*arguments, *weights).backward()
    except Exception as error:
        # Whatever it is: a program that compiles will see it as well, and no result is wrong.
        reason = one_line(str(error), limit=150)
        raise NotSupportedError(f"torch.compile does not work here: {reason}") from error
    return compiled


def _require_compiler(device: str) -> None:
    """Inductor writes C++ for CPUs; for GPUs Triton does, which compiles its launcher from C."""
    if device == "cpu" and os.environ.get("ENVGEN_SELFTEST_COMPILE") != "1":
        raise NotSupportedError("compiling for a CPU takes long; ENVGEN_SELFTEST_COMPILE=1 does it")
    variable, names = ("CXX", ("g++", "clang++")) if device == "cpu" else ("CC", ("gcc", "clang"))
    candidates = [os.environ.get(variable, ""), *names]
    if not any(shutil.which(name) for name in candidates if name):
        raise NotSupportedError(f"torch.compile needs a compiler: {' or '.join(names)}")


class _Draws(torch.utils.data.Dataset):  # type: ignore[type-arg,misc,unused-ignore]
    """Data with a random part, as augmentation has."""

    def __len__(self) -> int:
        return 32

    def __getitem__(self, index: int) -> torch.Tensor:
        return index + torch.rand(8)


def load(_device: str) -> Sequence[Piece]:
    """Load shuffled batches through two worker processes that draw random numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about threads at a fork, which these workers do not use
        batches = list(
            torch.utils.data.DataLoader(
                _Draws(),
                batch_size=8,
                shuffle=True,
                num_workers=2,
                multiprocessing_context="fork",  # others would import torch once more for each
                timeout=30,
                **loader_options(SEED),
            )
        )
    return pieces(batches=torch.stack(batches))


def all_reduce(devices: Sequence[str]) -> Sequence[Piece]:
    """Add up, on all GPUs, tensors that each of them holds."""
    from torch.cuda import nccl

    tensors = [normal(device, 1_000_000) * (place + 1) for place, device in enumerate(devices)]
    if not nccl.is_available(tensors):
        raise NotSupportedError("this torch has no NCCL")
    nccl.all_reduce(tensors)
    for device in devices:
        torch.cuda.synchronize(device)
    return pieces(**dict(zip(devices, tensors)))
