"""Whether an image has code for a GPU, finished or to be compiled by the driver."""

import functools
from typing import Final

from envgen.cuda.describe import describe_driver, describe_gpu, describe_kernels
from envgen.cuda.drivers import find_architecture
from envgen.cuda.forward_compat import Loaded
from envgen.cuda.host import Gpu, Host
from envgen.cuda.requirement import Component, Kernels, Requirement
from envgen.cuda.tables import tables
from envgen.cuda.verdict import Kind, Verdict, fails, unknown
from envgen.cuda.version import Capability, Version, format_sm, parse_capability, parse_version

_LAST_INTEGRATED_EXCEPTION: Final = parse_version("13.2")


def code_covers_gpu(part: Component, gpu: Gpu) -> Verdict | None:
    """An image needs finished code for the GPU, or portable code that is not newer than it."""
    if gpu.capability is None:
        return None
    if part.builds:
        builds = part.builds
        if any(covers(build, gpu.capability, part.cuda) for build in builds):
            return None
        available = "; ".join(dict.fromkeys(describe_kernels(build) for build in builds))
    else:
        available = _toolkit_gap(part.cuda, gpu.capability)
        if not available:
            return None
    return fails(
        Kind.NO_KERNEL_IMAGE,
        need=f"code for {format_sm(gpu.capability)} in {part.name}",
        have=f"{available} on {describe_gpu(gpu)}",
        fix=f"use a build that has {format_sm(gpu.capability)}, or another GPU",
        rule="code_covers_gpu",
    )


def covers(build: Kernels, gpu: Capability, toolkit: Version | None) -> bool:
    """Return whether a build runs on a GPU at all."""
    return any(sass_runs(code, gpu, toolkit) for code in build.sass) or any(
        code <= gpu for code in build.ptx
    )


@functools.cache
def sass_runs(code: Capability, gpu: Capability, toolkit: Version | None) -> bool:
    """Return whether finished code runs on a GPU: the same major version, and not a later minor.

    Integrated GPUs are islands, except that code built with CUDA 13.2 or newer runs on 8.7
    (torch/cuda/__init__.py, DEVICE_REQUIREMENT).
    """
    if code == gpu:
        return True
    if code[0] != gpu[0] or code > gpu:
        return False
    islands = [row for cc in (code, gpu) if (row := find_architecture(cc)) and row.integrated]
    lifted = gpu == (8, 7) and toolkit is not None and toolkit >= _LAST_INTEGRATED_EXCEPTION
    return not islands or lifted


@functools.cache
def _toolkit_gap(toolkit: Version | None, gpu: Capability) -> str:
    """Return why no build of this toolkit can have code for the GPU; empty where one can."""
    row = find_architecture(gpu)
    if toolkit is None or row is None:
        return ""
    if row.cuda_last and toolkit.release > parse_version(row.cuda_last):
        return f"CUDA {toolkit}, which makes no code for {row.family} any more"
    makes = any(
        sass_runs(parse_capability(other.capability), gpu, toolkit)
        for other in tables().architectures
        if parse_version(other.cuda_first) <= toolkit.release
    )
    return "" if makes else f"CUDA {toolkit}, which is older than {row.family}"


def driver_compiles_ptx(part: Component, gpu: Gpu, loaded: Loaded, host: Host) -> Verdict | None:
    """A driver compiles only PTX of toolkits that are not newer than itself."""
    if not needs_compiler(part, gpu):
        return None
    if part.cuda is None or part.cuda.release <= loaded.support.low:
        return None
    if not loaded.support.exact and loaded.support.high is None:
        return unknown(
            need=f"a driver that compiles PTX of CUDA {part.cuda}",
            have=describe_driver(host),
            fix="give the CUDA version that nvidia-smi shows",
            rule="driver_compiles_ptx",
        )
    target = format_sm(gpu.capability) if gpu.capability else "the GPU"
    return fails(
        Kind.PTX_TOOLCHAIN,
        need=f"a driver of CUDA {part.cuda} or newer, which compiles the PTX of {part.name}",
        have=f"CUDA {loaded.support} ({describe_driver(host)})",
        fix=f"update the driver to CUDA {part.cuda.release}, or build with CUDA "
        f"{loaded.support.low} and name {target} as a target",
        rule="driver_compiles_ptx",
    )


def needs_compiler(part: Component, gpu: Gpu) -> bool:
    """Return whether the driver has to compile PTX for this software on this GPU."""
    if part.ptx_at_runtime:
        return True
    capability = gpu.capability
    return (
        capability is not None
        and bool(part.builds)
        and not any(
            sass_runs(code, capability, part.cuda) for build in part.builds for code in build.sass
        )
    )


def cudnn_covers_gpu(requirement: Requirement, gpu: Gpu) -> Verdict | None:
    """A cuDNN serves GPUs from some capability on."""
    if requirement.cudnn is None or gpu.capability is None or requirement.cuda is None:
        return None
    rows = [
        row
        for row in tables().cudnn
        if row.cuda == requirement.cuda.major and parse_version(row.first) <= requirement.cudnn
    ]
    row = max(rows, key=lambda row: parse_version(row.first), default=None)
    if row is None or gpu.capability >= parse_capability(row.capability_min):
        return None
    return fails(
        Kind.NO_KERNEL_IMAGE,
        need=f"compute capability {row.capability_min} or newer for cuDNN {requirement.cudnn}",
        have=describe_gpu(gpu),
        fix="pin a cuDNN that still serves this GPU",
        rule="cudnn_covers_gpu",
    )
