"""Seeds and deterministic modes, for the code of users and for the workloads."""

from __future__ import annotations

import os
import random
import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

from envgen_runtime.frameworks import location

_MODES = ("strict", "warn", "off")
_BELOW = 2**32
_VECTOR_FUNCTIONS = (
    *("acos", "asin", "atan", "cos", "cosh", "erf", "erfc", "erfinv", "exp", "expm1", "lgamma"),
    *("log", "log10", "log1p", "log2", "sin", "sinh", "sqrt", "tan", "tanh"),
)


def seed_everything(seed: int) -> tuple[str, ...]:
    """See `envgen_runtime.seed_everything`."""
    if not 0 <= seed < _BELOW:
        raise ValueError(f"seed is {seed}; NumPy takes 0 ... 2**32 - 1")
    random.seed(seed)
    seeded = ["random"]
    numpy, torch, tensorflow = map(_load, ("numpy", "torch", "tensorflow"))
    if numpy is not None:
        numpy.random.seed(seed)  # the legacy global state, which is what libraries draw from
        seeded.append("numpy")
    if torch is not None:
        torch.manual_seed(seed)  # every device
        seeded.append("torch")
    if tensorflow is not None:
        tensorflow.random.set_seed(seed)
        seeded.append("tensorflow")
    return tuple(seeded)


def seed_worker(_worker: int) -> None:
    """See `envgen_runtime.seed_worker`."""
    import torch

    seed_everything(torch.initial_seed() % _BELOW)


def loader_options(seed: int) -> dict[str, Any]:
    """See `envgen_runtime.loader_options`."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return {"generator": generator, "worker_init_fn": seed_worker}


def enforce(mode: str | None = None) -> tuple[str, ...]:
    """See `envgen_runtime.enforce`."""
    selected = mode or os.environ.get("ENVGEN_SELFTEST") or "strict"
    if selected not in _MODES:
        raise ValueError(f"mode is {selected!r}; it can be {', '.join(_MODES)}")
    if selected != "off" and os.environ.get("PYTHONHASHSEED", "random") == "random":
        _warn("PYTHONHASHSEED", "sets of strings have another order in every process")
    enforced = []
    for name, apply in (
        ("torch", enforce_torch),
        ("tensorflow", enforce_tensorflow),
        ("jax", enforce_jax),
    ):
        framework = _load(name)
        if framework is not None:
            apply(framework, selected)
            enforced.append(name)
    return tuple(enforced)


def enforce_torch(torch: ModuleType, mode: str) -> None:
    """Let operations choose a deterministic kernel, and refuse (or warn) where there is none.

    `warn` is less than `strict`: the memory-efficient attention keeps a gradient that varies.
    """
    if mode == "strict":
        # Torch before 2.10 refuses matrix products without it; read when cuBLAS starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode != "off", warn_only=mode == "warn")
    torch.backends.cudnn.deterministic = mode != "off"
    if mode != "off":
        torch.backends.cudnn.benchmark = False  # algorithms are not chosen by a stopwatch
        _start_mkl(torch)


def _start_mkl(torch: ModuleType) -> None:
    """Call MKL's vector functions once from one thread.

    Where two threads make the first call, one of them now and then gets a less exact function: seen
    with tanh, on two CPUs, in torch 2.13 with MKL 2024.2. Few numbers stay on the calling thread.
    """
    for dtype in (torch.float32, torch.float64):
        few = torch.full((64,), 0.5, dtype=dtype)
        for name in _VECTOR_FUNCTIONS:
            getattr(torch, name)(few)


def enforce_tensorflow(tensorflow: ModuleType, mode: str) -> None:
    """Turn on op determinism, which TensorFlow cannot turn off again; it has no `warn`."""
    if mode == "strict":
        tensorflow.config.experimental.enable_op_determinism()


def enforce_jax(_jax: ModuleType, mode: str) -> None:
    """Set the flags of XLA, which it reads when JAX uses a device for the first time.

    XLA ends the process at a flag that it does not know, and jaxlib 0.4.30 is the first that knows
    the second one (read from the wheels of 0.4.28 and 0.4.30).
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if mode != "strict" or "deterministic_ops" in flags:
        return
    bridge = sys.modules.get("jax._src.xla_bridge")
    if getattr(bridge, "_backends", None):
        _warn("XLA_FLAGS", "JAX has used a device already, so XLA may take kernels that vary")
        return
    import jaxlib

    known = tuple(int(part) for part in jaxlib.__version__.split(".")[:3]) >= (0, 4, 30)
    refuse = "--xla_gpu_exclude_nondeterministic_ops=true --xla_gpu_autotune_level=0"
    old = "--xla_gpu_deterministic_ops=true"
    os.environ["XLA_FLAGS"] = f"{flags} {refuse if known else old}".strip()


def _load(name: str) -> ModuleType | None:
    """Import what is installed; a seed must not be lost because an import comes later."""
    if location(name) is None:
        return None
    try:
        return import_module(name)
    except ImportError:
        return None


def _warn(variable: str, consequence: str) -> None:
    warnings.warn(f"{variable} is not set: {consequence}", RuntimeWarning, stacklevel=4)
