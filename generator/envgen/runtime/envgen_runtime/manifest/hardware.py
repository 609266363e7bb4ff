"""What a run ran on: processor, memory, GPUs. Read from the kernel and from NVML; no framework."""

from __future__ import annotations

import os
import platform

from envgen_runtime import gpu
from envgen_runtime.manifest.document import missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from envgen_runtime.nvml import Gpu


def describe_hardware() -> dict[str, Any]:
    """Return processor, memory in bytes, kernel and GPUs."""
    return {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "cpu": _cpu_model(),
        "cpus": _usable_cpus(),
        "numa_nodes": _count("/sys/devices/system/node", "node"),
        "memory_bytes": _memory(),
        **_gpus(),
    }


def _cpu_model() -> object:
    for line in _lines("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return missing("/proc/cpuinfo names no model")


def _usable_cpus() -> int:
    """Return how many processors this container may use, not how many there are."""
    usable = len(os.sched_getaffinity(0))
    quota = _lines("/sys/fs/cgroup/cpu.max")
    if quota and not quota[0].startswith("max"):
        allowed, _, period = quota[0].partition(" ")
        usable = min(usable, max(1, round(int(allowed) / int(period or 100000))))
    return usable


def _memory() -> object:
    limit = _lines("/sys/fs/cgroup/memory.max")
    if limit and limit[0].isdigit():
        return int(limit[0])
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return missing("/proc/meminfo does not tell")


def _gpus() -> dict[str, Any]:
    seen = gpu.look()
    unknown = missing(seen.detail or "this machine has no NVIDIA driver")
    return {
        "driver": seen.driver or unknown,
        "cuda": ".".join(map(str, seen.cuda)) if seen.cuda else unknown,
        "gpus": [_describe(each) for each in seen.gpus] or unknown,
    }


def _describe(each: Gpu) -> dict[str, Any]:
    return {
        "name": each.name,
        "uuid": each.uuid,
        "capability": ".".join(map(str, each.capability)) if each.capability else "",
        "mig_slices": each.slices,
    }


def _count(folder: str, prefix: str) -> object:
    try:
        names = os.listdir(folder)
    except OSError:
        return missing(f"{folder} cannot be read")
    return sum(name.startswith(prefix) and name[len(prefix) :].isdigit() for name in names)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []
