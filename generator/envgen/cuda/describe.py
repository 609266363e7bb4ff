"""Hosts, GPUs and kernels in words, for verdicts."""

from envgen.cuda.drivers import supported_cuda
from envgen.cuda.host import Gpu, Host
from envgen.cuda.requirement import Kernels
from envgen.cuda.version import format_capability, format_sm


def describe_driver(host: Host) -> str:
    """Return a host's driver in words."""
    parts = [f"driver {host.driver}"] if host.driver else []
    support = supported_cuda(host)
    if support:
        parts.append(f"CUDA {support}")
    return ", ".join(parts) or "no driver"


def describe_gpu(gpu: Gpu) -> str:
    """Return a GPU in words."""
    name = gpu.name or "a GPU that is not named"
    return f"{name} ({format_sm(gpu.capability)})" if gpu.capability else name


def describe_kernels(build: Kernels) -> str:
    """Return a build's code in words: `sm_80 sm_90 +PTX 9.0`."""
    words = [format_sm(code) for code in build.sass]
    words += [f"+PTX {format_capability(code)}" for code in build.ptx]
    return " ".join(words) or "no GPU code"


def shorten(expression: str, length: int = 60) -> str:
    """Return an expression short enough for a message."""
    return expression if len(expression) <= length else expression[: length - 1] + "…"
