"""Ask CUDA's driver library which GPUs a program of this container would get.

NVML knows neither the number of multiprocessors nor what CUDA_VISIBLE_DEVICES leaves. The library
is initialised, which makes no context and takes no GPU memory; it may hang or crash on a broken
GPU, so a process of its own does this.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

LIBRARY = "libcuda.so.1"

# cuda.h, CUdevice_attribute
_MULTIPROCESSORS = 16
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76

_ROOM = 256  # bytes for a name


def describe(library: str = LIBRARY) -> dict[str, Any]:
    """Return the CUDA release that the driver supports and its GPUs, or why there are none."""
    try:
        cuda = ctypes.CDLL(library)
    except OSError as error:
        return {"error": f"{library} cannot be loaded: {error}", "gpus": []}
    failure = cuda.cuInit(0)
    if failure:
        return {"error": f"cuInit answers with error {failure}", "gpus": []}
    release = _number(cuda.cuDriverGetVersion)
    count = _number(cuda.cuDeviceGetCount)
    return {
        "cuda": f"{release // 1000}.{release % 1000 // 10}",
        "gpus": [_describe_gpu(cuda, index) for index in range(count)],
    }


def _describe_gpu(cuda: ctypes.CDLL, index: int) -> dict[str, Any]:
    """Return a GPU, or the slice of one: then its name ends in `MIG 1g.10gb`."""
    gpu = ctypes.c_int()
    failure = cuda.cuDeviceGet(ctypes.byref(gpu), index)
    if failure:
        return {"model": f"cuDeviceGet answers with error {failure}"}
    name = ctypes.create_string_buffer(_ROOM)
    cuda.cuDeviceGetName(name, _ROOM, gpu)
    model, _, mig = name.value.decode("utf-8", "replace").partition(" MIG ")
    major = _number(cuda.cuDeviceGetAttribute, _CAPABILITY_MAJOR, gpu)
    minor = _number(cuda.cuDeviceGetAttribute, _CAPABILITY_MINOR, gpu)
    return {
        "model": model,
        "mig": mig,
        "multiprocessors": _number(cuda.cuDeviceGetAttribute, _MULTIPROCESSORS, gpu),
        "capability": f"{major}.{minor}",
        "uuid": _uuid(cuda, gpu),
    }


def _number(function: Callable[..., int], *arguments: object) -> int:
    """Return the number that a function fills in, 0 where it fails."""
    value = ctypes.c_int()
    return 0 if function(ctypes.byref(value), *arguments) else value.value


def _uuid(cuda: ctypes.CDLL, gpu: object) -> str:
    # The second version tells the slices of one GPU apart; drivers before 470 have only the first.
    function = getattr(cuda, "cuDeviceGetUuid_v2", None) or cuda.cuDeviceGetUuid
    uuid = (ctypes.c_ubyte * 16)()
    return "" if function(uuid, gpu) else bytes(uuid).hex()
