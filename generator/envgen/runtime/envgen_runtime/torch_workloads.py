"""Workloads for PyTorch. Importing this module imports torch: only a worker process does.

Every workload runs on the CPU and on each CUDA device that torch sees, with the same shapes: a
result may depend on the shape, so a test on other shapes would say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ctypes import string_at
from functools import partial

import torch

from envgen_runtime.workload import SEED, NotSupportedError, Piece, Workload

F = torch.nn.functional

_ROOM = 512 << 20  # bytes; the workloads take far less, the libraries' workspaces some tens of MiB

# Operations without a deterministic kernel raise instead of running (with cuBLAS before torch 2.10
# also the ones that need CUBLAS_WORKSPACE_CONFIG); algorithms are not chosen by a stopwatch.
torch.use_deterministic_algorithms(mode=True)
torch.backends.cudnn.benchmark = False


def version() -> str:
    return str(torch.__version__)


def devices() -> Mapping[str, str]:
    """Name the devices. Called after the work, because asking a GPU for its name starts CUDA."""
    named = {"cpu": str(torch.backends.cpu.get_cpu_capability())}
    for device in _cuda_devices():
        properties = torch.cuda.get_device_properties(device)
        # cuBLAS promises equal bits only for an equal number of multiprocessors.
        named[device] = f"{properties.name}, {properties.multi_processor_count} SMs"
    return named


def workloads() -> Sequence[Workload]:
    work: dict[str, Callable[[str], Sequence[Piece]]] = {
        "gemm": _gemm,
        "bfloat16 gemm": _bfloat16_gemm,
        "conv2d": _conv2d,
        "layer norm, cross-entropy": _norm_and_loss,
        "dropout": _dropout,
        "index_add": _index_add,
        "attention": _attention,
        "embedding": _embedding,
        "training, SGD": partial(_training, torch.optim.SGD),
        "training, Adam": partial(_training, torch.optim.Adam),
    }
    return [
        Workload(name, device, partial(_with_room, run, device))
        for device in ("cpu", *_cuda_devices())
        for name, run in work.items()
    ]


def controls() -> Mapping[str, str]:
    """Show on each GPU that this hardware does vary when it is allowed to.

    Without that, `reproducible here` could mean that nothing ever varies. `no evidence on this
    device` is not a failure: atomics may well arrive in one order on an idle device.
    """
    return {f"atomics on {device}": _atomics_vary(device) for device in _cuda_devices()}


def _cuda_devices() -> Sequence[str]:
    if not torch.cuda.is_available():
        return []
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def _with_room(run: Callable[[str], Sequence[Piece]], device: str) -> Sequence[Piece]:
    """Leave a GPU alone that the program of this container has filled, or soon will."""
    if device != "cpu":
        free, _ = torch.cuda.mem_get_info(device)
        if free < _ROOM:
            raise MemoryError(f"{free >> 20} MiB free on {device}, the test wants {_ROOM >> 20}")
    return run(device)


def _atomics_vary(device: str) -> str:
    values = _normal(device, 1_000_000)
    rows = torch.zeros(1_000_000, dtype=torch.int64, device=device)
    torch.use_deterministic_algorithms(mode=False)
    try:
        sums = [torch.zeros(1, device=device).index_add_(0, rows, values) for _ in range(8)]
    finally:
        torch.use_deterministic_algorithms(mode=True)
    results = {_piece("sum", value).data for value in sums}
    return "varies, as it should" if len(results) > 1 else "no evidence on this device"


def _piece(label: str, tensor: torch.Tensor) -> Piece:
    """Take a tensor's bytes through ctypes: Tensor.numpy() needs NumPy and knows no bfloat16."""
    tensor = tensor.detach().cpu().contiguous()
    data = string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())
    return Piece(label, str(tensor.dtype), tuple(tensor.shape), data)


def _pieces(**tensors: torch.Tensor) -> Sequence[Piece]:
    return [_piece(label, tensor) for label, tensor in tensors.items()]


def _normal(device: str, *shape: int) -> torch.Tensor:
    """Draw on the CPU whatever the device: the inputs are then the same everywhere."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(SEED)).to(device)


def _gemm(device: str) -> Sequence[Piece]:
    left, right = _normal(device, 2, 512, 512)
    # A long inner dimension is where libraries split the sum.
    long = _normal(device, 32, 16_384)
    return _pieces(
        float32=left @ right,
        float64=left.double() @ right.double(),
        split=long @ long.T,
    )


def _bfloat16_gemm(device: str) -> Sequence[Piece]:
    # By itself: on virtual machines that announce AMX and do not have it, this is SIGILL.
    left, right = _normal(device, 2, 512, 512).bfloat16()
    return _pieces(product=left @ right)


def _conv2d(device: str) -> Sequence[Piece]:
    images = _normal(device, 8, 16, 32, 32).requires_grad_()
    kernel = _normal(device, 32, 16, 3, 3).requires_grad_()
    output = F.conv2d(images, kernel, padding=1, stride=2)
    output.square().mean().backward()
    return _pieces(output=output, images=images.grad, kernel=kernel.grad)


def _norm_and_loss(device: str) -> Sequence[Piece]:
    inputs = _normal(device, 256, 128).requires_grad_()
    weight = _normal(device, 128).requires_grad_()
    targets = torch.arange(256, device=device) % 128
    loss = F.cross_entropy(F.layer_norm(inputs, (128,), weight), targets)
    loss.backward()
    return _pieces(loss=loss, inputs=inputs.grad, weight=weight.grad)


def _dropout(device: str) -> Sequence[Piece]:
    torch.manual_seed(SEED)
    inputs = _normal(device, 256, 256).requires_grad_()
    output = F.dropout(inputs, p=0.3)
    output.square().sum().backward()
    return _pieces(output=output, inputs=inputs.grad)


def _index_add(device: str) -> Sequence[Piece]:
    # Thousands of additions per row: atomics in another order would show.
    values = _normal(device, 50_000, 4)
    rows = (torch.arange(50_000) * 7919 % 16).to(device)
    added = torch.zeros(16, 4, device=device).index_add_(0, rows, values)
    return _pieces(added=added)


def _attention(device: str) -> Sequence[Piece]:
    if not hasattr(F, "scaled_dot_product_attention"):
        raise NotSupportedError("torch before 2.0 has no scaled_dot_product_attention")
    query = _normal(device, 2, 4, 128, 32).requires_grad_()
    output = F.scaled_dot_product_attention(query, query * 0.5, query + 0.1, is_causal=True)
    output.square().mean().backward()
    return _pieces(output=output, query=query.grad)


def _embedding(device: str) -> Sequence[Piece]:
    table = _normal(device, 100, 32).requires_grad_()
    words = (torch.arange(5000) * 7919 % 100).to(device)
    F.embedding(words, table).tanh().sum().backward()
    return _pieces(table=table.grad)


def _training(optimizer: Callable[..., torch.optim.Optimizer], device: str) -> Sequence[Piece]:
    torch.manual_seed(SEED)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 8 * 8, 10),
    ).to(device)
    images = _normal(device, 32, 1, 16, 16)
    targets = torch.arange(32, device=device) % 10
    step = optimizer(model.parameters(), lr=0.01)
    losses = []
    for _ in range(3):
        step.zero_grad()
        loss = F.cross_entropy(model(images), targets)
        loss.backward()
        step.step()
        losses.append(loss.detach())
    return _pieces(losses=torch.stack(losses), **_state(model))


def _state(model: torch.nn.Module) -> Mapping[str, torch.Tensor]:
    return {name.replace(".", "_"): value for name, value in model.state_dict().items()}
