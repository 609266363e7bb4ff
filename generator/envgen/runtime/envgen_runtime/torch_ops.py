"""Operations of PyTorch, forward and backward, one workload each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import string_at

import torch

from envgen_runtime.workload import SEED, NotSupportedError, Piece

F = torch.nn.functional


def piece(label: str, tensor: torch.Tensor) -> Piece:
    """Take a tensor's bytes through ctypes: Tensor.numpy() needs NumPy and knows no bfloat16."""
    tensor = tensor.detach().cpu().contiguous()
    data = string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())
    return Piece(label, str(tensor.dtype), tuple(tensor.shape), data)


def pieces(**tensors: torch.Tensor) -> Sequence[Piece]:
    return [piece(label, tensor) for label, tensor in tensors.items()]


def normal(device: str, *shape: int) -> torch.Tensor:
    """Draw on the CPU whatever the device: the inputs are then the same everywhere."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(SEED)).to(device)


def rows(device: str, count: int, places: int) -> torch.Tensor:
    """Return `count` indices below `places`, so few that many of them meet."""
    return (torch.arange(count) * 7919 % places).to(device)


def large(device: str, on_gpu: int, on_cpu: int) -> int:
    return on_cpu if device == "cpu" else on_gpu


def gemm(dtype: str, device: str) -> Sequence[Piece]:
    size = large(device, 1024 if dtype == "float64" else 2048, 192)
    left, right = normal(device, 2, size, size).to(getattr(torch, dtype))
    # A long inner dimension is where libraries split the sum.
    long = normal(device, 64, large(device, 65_536, 4096)).to(getattr(torch, dtype))
    return pieces(product=left @ right, split=long @ long.T)


def gemm_tf32(device: str) -> Sequence[Piece]:
    if torch.cuda.get_device_capability(device) < (8, 0):
        raise NotSupportedError("TF32 needs compute capability 8.0")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        return gemm("float32", device)
    finally:
        torch.set_float32_matmul_precision(before)


def gemm_float8(device: str) -> Sequence[Piece]:
    if torch.cuda.get_device_capability(device) < (8, 9):
        raise NotSupportedError("float8 needs compute capability 8.9")
    if not (hasattr(torch, "float8_e4m3fn") and hasattr(torch, "_scaled_mm")):
        raise NotSupportedError(f"torch {torch.__version__} has no product of float8 matrices")
    left, right = normal(device, 2, 2048, 2048).to(torch.float8_e4m3fn)
    scale = torch.ones((), device=device)
    # Without a public name before 2.10; what every library for float8 calls.
    product = torch._scaled_mm(  # noqa: SLF001
        left, right.t(), scale_a=scale, scale_b=scale, out_dtype=torch.bfloat16
    )
    return pieces(product=product[0] if isinstance(product, tuple) else product)


def conv2d(device: str) -> Sequence[Piece]:
    batch, channels = large(device, 64, 4), large(device, 64, 16)
    images = normal(device, batch, channels, 32, 32).requires_grad_()
    kernel = normal(device, 2 * channels, channels, 3, 3).requires_grad_()
    output = F.conv2d(images, kernel, padding=1, stride=2)
    output.square().mean().backward()
    return pieces(output=output, images=images.grad, kernel=kernel.grad)


def scatter_add(device: str) -> Sequence[Piece]:
    count = large(device, 1_000_000, 50_000)
    values = normal(device, count).requires_grad_()
    added = torch.zeros(16, device=device).scatter_add(0, rows(device, count, 16), values)
    added.square().sum().backward()
    return pieces(added=added, values=values.grad)


def index_add(device: str) -> Sequence[Piece]:
    # Thousands of additions per row: atomics in another order would show.
    count = large(device, 250_000, 50_000)
    added = torch.zeros(16, 4, device=device)
    return pieces(added=added.index_add_(0, rows(device, count, 16), normal(device, count, 4)))


def gather(device: str) -> Sequence[Piece]:
    count = large(device, 1_000_000, 50_000)
    values = normal(device, 100).requires_grad_()
    taken = values.gather(0, rows(device, count, 100))
    (taken * normal(device, count)).sum().backward()
    return pieces(values=values.grad)


def embedding(device: str) -> Sequence[Piece]:
    table = normal(device, 100, 32).requires_grad_()
    F.embedding(rows(device, large(device, 50_000, 5000), 100), table).tanh().sum().backward()
    return pieces(table=table.grad)


def bincount(device: str) -> Sequence[Piece]:
    return pieces(counts=torch.bincount(rows(device, large(device, 1_000_000, 50_000), 100)))


def weighted_bincount(device: str) -> Sequence[Piece]:
    count = large(device, 1_000_000, 50_000)
    return pieces(sums=torch.bincount(rows(device, count, 100), weights=normal(device, count)))


def cumsum(device: str) -> Sequence[Piece]:
    values = normal(device, 4, large(device, 250_000, 10_000)).requires_grad_()
    sums = values.cumsum(1)
    sums.square().mean().backward()
    return pieces(sums=sums, values=values.grad)


def sort(device: str) -> Sequence[Piece]:
    values = rows(device, large(device, 1_000_000, 50_000), 5000).float()  # with ties
    ordered, order = values.sort()
    top, places = values.topk(100)
    stable = values.sort(stable=True).indices
    return pieces(ordered=ordered, order=order, stable=stable, top=top, places=places)


def interpolate(device: str) -> Sequence[Piece]:
    images = normal(device, 4, 8, 16, 16).requires_grad_()
    output = F.interpolate(images, scale_factor=2.5, mode="bilinear", align_corners=False)
    output.square().mean().backward()
    return pieces(output=output, images=images.grad)


def attention(backend: str, device: str) -> Sequence[Piece]:
    dtype = torch.float32 if device == "cpu" or backend == "MATH" else torch.float16
    query = normal(device, 2, 8, large(device, 512, 64), 64).to(dtype).requires_grad_()
    with _only(backend, device):
        output = F.scaled_dot_product_attention(query, query * 0.5, query + 0.1, is_causal=True)
        output.square().mean().backward()
    return pieces(output=output, query=query.grad)


@contextmanager
def _only(backend: str, device: str) -> Iterator[None]:
    """Allow one kernel of scaled_dot_product_attention; without it torch raises."""
    name = {"FLASH": "FLASH_ATTENTION", "EFFICIENT": "EFFICIENT_ATTENTION"}.get(backend, backend)
    name = "CUDNN_ATTENTION" if backend == "CUDNN" else name
    if device == "cpu" and backend in ("EFFICIENT", "CUDNN"):
        raise NotSupportedError("a kernel for GPUs only")
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel  # from torch 2.3 on
    except ImportError:
        if backend == "CUDNN" or (device == "cpu" and backend == "FLASH"):
            raise NotSupportedError(f"torch {torch.__version__} cannot choose it here") from None
        with torch.backends.cuda.sdp_kernel(
            enable_math=backend == "MATH",
            enable_flash=backend == "FLASH",
            enable_mem_efficient=backend == "EFFICIENT",
        ):
            yield
        return
    if not hasattr(SDPBackend, name):
        raise NotSupportedError(f"torch {torch.__version__} does not have it")
    with sdpa_kernel(getattr(SDPBackend, name)):
        yield


def layer_norm(device: str) -> Sequence[Piece]:
    inputs = normal(device, large(device, 4096, 256), 256).requires_grad_()
    weight = normal(device, 256).requires_grad_()
    output = F.layer_norm(inputs, (256,), weight)
    output.tanh().sum().backward()
    return pieces(output=output, inputs=inputs.grad, weight=weight.grad)


def cross_entropy(device: str) -> Sequence[Piece]:
    logits = normal(device, large(device, 4096, 256), 1000).requires_grad_()
    loss = F.cross_entropy(logits, rows(device, logits.shape[0], 1000), label_smoothing=0.1)
    loss.backward()
    return pieces(loss=loss, logits=logits.grad)


def dropout(device: str) -> Sequence[Piece]:
    torch.manual_seed(SEED)
    inputs = normal(device, 256, 256).requires_grad_()
    output = F.dropout(inputs, p=0.3)
    output.square().sum().backward()
    return pieces(output=output, inputs=inputs.grad)


def random(device: str) -> Sequence[Piece]:
    torch.manual_seed(SEED)
    own = torch.Generator(device).manual_seed(SEED)
    return pieces(
        uniform=torch.rand(10_000, device=device),
        normal=torch.randn(10_000, device=device, generator=own),
        integers=torch.randint(1000, (10_000,), device=device),
        order=torch.randperm(10_000, device=device),
        drawn=torch.multinomial(torch.ones(100, device=device), 50, generator=own),
    )
