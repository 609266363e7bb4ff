"""The rules that decide whether an image runs on a host, one function each.

They are asked in the order in which the machine would fail: does the driver drive the GPU, does
the hook let the container start, which `libcuda` is loaded, is it new enough, does the image have
code for the GPU, and can the driver compile what is not finished code. A rule returns the verdict
that ends the question, or None to let the next one speak.
"""

import functools

import msgspec

from envgen.cuda.drivers import (
    FIRST_WITH_MINOR_COMPATIBILITY,
    Support,
    compat_package,
    find_branch,
    host_branch,
    minor_floor,
    reaches,
    release_floor,
    supported_cuda,
)
from envgen.cuda.host import Category, Gpu, Host
from envgen.cuda.require_expression import HostFacts, evaluate
from envgen.cuda.requirement import Compat, Component, Kernels, Requirement
from envgen.cuda.tables import Architecture, tables
from envgen.cuda.verdict import Kind, Verdict, fails, unknown
from envgen.cuda.version import (
    Capability,
    Version,
    format_capability,
    format_sm,
    parse_capability,
    parse_version,
)

FORWARD_COMPATIBLE: frozenset[Category] = frozenset({"datacenter", "jetson"})
"""NVIDIA CUDA Compatibility guide: data-center GPUs and Jetson boards."""

BRANDS: dict[Category, tuple[str, ...]] = {
    "datacenter": ("tesla", "nvidia"),
    "workstation": ("quadro", "quadrortx", "nvidiartx", "nvidia"),
    "geforce": ("geforce", "geforcertx"),
    "titan": ("titan", "titanrtx"),
    "jetson": ("unknown",),
    "unknown": (),
}
"""The brands that NVML reports for a product line; which of them depends on model and driver."""

_LAST_INTEGRATED_EXCEPTION = parse_version("13.2")
_WSL_TOOLKIT_FIXED = parse_version("1.4.0")
_COMPAT_DISABLED_TOOLKIT = parse_version("1.17.4")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The `libcuda` that a process in the container gets.

    Attributes:
        support: The CUDA it supports.
        from_image: Whether it is the image's forward-compatibility package.
        instead: What to answer if it is too old, because the image's own could not be used.

    """

    support: Support
    from_image: bool = False
    instead: Verdict | None = None


@functools.cache
def architecture(capability: Capability) -> Architecture | None:
    """Return the table's row for a compute capability."""
    for row in tables().architectures:
        if parse_capability(row.capability) == capability:
            return row
    return None


def describe_driver(host: Host) -> str:
    """Return a host's driver in words."""
    parts = [f"driver {host.driver}"] if host.driver else []
    support = supported_cuda(host)
    if support:
        parts.append(f"CUDA {support}")
    return ", ".join(parts) or "no driver"


def driver_is_there(host: Host) -> Verdict | None:
    """A host has to say which driver it has."""
    need = "an NVIDIA driver"
    if host.faults:
        return fails(
            Kind.OTHER,
            need=need + " that works",
            have="; ".join(host.faults),
            fix="mend the host first; after a driver upgrade that is usually a reboot",
            rule="driver_is_there",
        )
    if supported_cuda(host) is None:
        return unknown(
            need=need + " of a known version",
            have=describe_driver(host),
            fix="give the driver version, as nvidia-smi prints it",
            rule="driver_is_there",
        )
    return None


def driver_drives_gpu(host: Host, gpu: Gpu) -> Verdict | None:
    """A driver branch drives GPUs from some architecture to another, and no others."""
    row = architecture(gpu.capability) if gpu.capability else None
    if row is None or host.driver is None:
        return None
    branch = find_branch(host.driver, host.platform) or host.driver.major
    have = f"{describe_driver(host)} on {describe_gpu(gpu)}"
    if row.driver_first and branch < row.driver_first:
        return fails(
            Kind.DRIVER_TOO_OLD,
            need=f"driver branch {row.driver_first} or newer for {row.family}",
            have=have,
            fix=f"install a driver of branch {row.driver_first} or newer",
            rule="driver_drives_gpu",
        )
    if row.driver_last and branch > row.driver_last:
        return fails(
            Kind.OTHER,
            need=f"driver branch {row.driver_last} or older: later ones do not drive {row.family}",
            have=have,
            fix=f"install the last driver of branch {row.driver_last}",
            rule="driver_drives_gpu",
        )
    return None


def hook_lets_it_start(requirement: Requirement, host: Host, gpu: Gpu) -> Verdict | None:
    """The legacy hook refuses a container whose NVIDIA_REQUIRE_* does not hold."""
    if host.injection != "hook" or host.disable_require or requirement.disable_require:
        return None
    for expression in requirement.expressions:
        refused = {_refusal(expression, host, gpu, brand) for brand in _brands(gpu)}
        if "" in refused and (len(refused) == 1 or gpu.category != "unknown"):
            continue
        need = f"NVIDIA_REQUIRE_CUDA={shorten(expression)}"
        have = f"{describe_driver(host)} on {describe_gpu(gpu)}"
        if "" in refused:
            return unknown(
                need=need,
                have=have,
                fix="name the GPU: the requirement lets some brands pass",
                rule="hook_lets_it_start",
            )
        return fails(
            Kind.REQUIRE_CUDA_REFUSED,
            need=f"{need} (unsatisfied: {min(refused)})",
            have=have,
            fix=_refusal_fix(requirement),
            rule="hook_lets_it_start",
        )
    return None


def _refusal(expression: str, host: Host, gpu: Gpu, brand: str) -> str:
    """Return the condition that the hook would name, or nothing."""
    support = supported_cuda(host)
    cuda = support.low if support else None
    if host.platform == "wsl2" and host.toolkit and host.toolkit < _WSL_TOOLKIT_FIXED:
        cuda = parse_version("11.0")  # what it saw on every WSL2 host; nvidia-docker#1458
    arch = parse_version(format_capability(gpu.capability)) if gpu.capability else None
    facts = HostFacts(cuda=cuda, driver=host.driver, arch=arch, brand=brand)
    found = evaluate(expression, facts)
    return "" if found.holds else found.mistake or found.unsatisfied


def _brands(gpu: Gpu) -> tuple[str, ...]:
    if gpu.brand:
        return (gpu.brand,)
    return BRANDS[gpu.category] or tuple(brand for brands in BRANDS.values() for brand in brands)


def _refusal_fix(requirement: Requirement) -> str:
    cuda = requirement.cuda or requirement.system_cuda
    floor = minor_floor(cuda.major, "linux") if cuda else None
    update = "update the driver, or use an image of an older CUDA"
    if floor is None:
        return update
    return (
        f"{update}; NVIDIA_DISABLE_REQUIRE=1 skips the check, and CUDA {cuda.major if cuda else ''}"
        f" itself needs {floor}"
    )


def loaded_driver(requirement: Requirement, host: Host, gpu: Gpu) -> Loaded | Verdict:
    """Decide between the host's `libcuda` and the one that the image brings."""
    support = supported_cuda(host)
    assert support is not None, "driver_is_there comes first"  # noqa: S101
    native = Loaded(support=support)
    compat = requirement.compat
    if compat is None or not _compat_reaches_loader(compat, host):
        return native
    branch, package = host_branch(host), compat_package(compat.cuda)
    if package is None or branch is None:
        newer = support.high is None or compat.cuda.release > support.high
        return native if not newer or package is None else _compat_unknown(compat, host)
    if package.driver == branch:
        return native
    if package.driver < branch:
        return _older_compat(compat, host) if compat.loading == "always" else native
    return _newer_compat(compat, host, gpu, native, usable=branch in package.branches)


def _compat_reaches_loader(compat: Compat, host: Host) -> bool:
    if compat.loading == "always":
        return host.platform == "linux"
    in_container = host.platform == "linux" and host.injection != "none"
    return (
        in_container and compat.loading != "never" and host.toolkit != _COMPAT_DISABLED_TOOLKIT
    ) or (compat.loading == "entrypoint" and in_container)


def _newer_compat(
    compat: Compat, host: Host, gpu: Gpu, native: Loaded, *, usable: bool
) -> Loaded | Verdict:
    cuda = compat.cuda.release
    mine = Loaded(support=Support(low=cuda, high=cuda), from_image=True)
    if not usable:
        return _mixed(compat, host) if compat.loading == "always" else native
    if gpu.category in FORWARD_COMPATIBLE:
        return mine
    if gpu.category == "unknown":
        verdict = unknown(
            need=f"a data-center GPU for the image's own CUDA {compat.cuda} driver library",
            have=f"{describe_driver(host)}, GPU not named",
            fix="name the GPU",
            rule="loaded_driver",
        )
    else:
        verdict = fails(
            Kind.FORWARD_COMPAT_UNSUPPORTED_HW,
            need=f"a data-center GPU for the image's own CUDA {compat.cuda} driver library, "
            "or a driver that does not need it (error 804)",
            have=f"{describe_driver(host)} on {describe_gpu(gpu)}",
            fix=f"update the driver to CUDA {cuda} or newer, or remove /usr/local/cuda/compat "
            "from the image",
            rule="loaded_driver",
        )
    if compat.loading == "entrypoint":
        return Loaded(support=native.support, instead=verdict)
    return verdict


def _older_compat(compat: Compat, host: Host) -> Verdict:
    return fails(
        Kind.FORWARD_COMPAT_MIXED,
        need=f"the host's own driver library; the image puts that of CUDA {compat.cuda} first "
        "(error 803)",
        have=describe_driver(host),
        fix="take /usr/local/cuda/compat out of LD_LIBRARY_PATH and ld.so.conf on this host",
        rule="loaded_driver",
    )


def _mixed(compat: Compat, host: Host) -> Verdict:
    package = compat_package(compat.cuda)
    branches = ", ".join(map(str, package.branches)) if package else "none known"
    return fails(
        Kind.FORWARD_COMPAT_MIXED,
        need=f"a driver of branch {branches} under the image's CUDA {compat.cuda} driver library "
        "(error 803)",
        have=describe_driver(host),
        fix="update the driver, or take the image's compat folder out of the loader path",
        rule="loaded_driver",
    )


def _compat_unknown(compat: Compat, host: Host) -> Verdict:
    return unknown(
        need=f"to know whether cuda-compat {compat.cuda} works on this driver branch",
        have=describe_driver(host),
        fix="the driver branch is not in drivers.toml",
        rule="loaded_driver",
    )


def runtime_fits(part: Component, host: Host, loaded: Loaded) -> Verdict | None:
    """A CUDA runtime needs a driver of its version, or of its major version from 11 on."""
    if part.cuda is None:
        return unknown(
            need=f"to know which CUDA {part.name} uses",
            have=describe_driver(host),
            fix="inspect the image, or name the CUDA version",
            rule="runtime_fits",
        )
    cuda, support = part.cuda.release, loaded.support
    if cuda <= support.low:
        return _release_fits(part, host, loaded)
    floor = minor_floor(cuda.major, host.platform)
    if cuda.major < FIRST_WITH_MINOR_COMPATIBILITY or (floor and not _meets(host, loaded, floor)):
        return loaded.instead or _too_old(part, host, floor)
    if floor is None:
        if support.high is None:
            return None
        return unknown(
            need=f"the oldest driver for CUDA {cuda.major}",
            have=describe_driver(host),
            fix=f"toolkits.toml does not know CUDA {cuda.major}",
            rule="runtime_fits",
        )
    return _floor_fits(part, host, loaded)


def _meets(host: Host, loaded: Loaded, floor: Version) -> bool:
    """Return whether the loaded library is of the floor's major version or newer."""
    if loaded.from_image or host.driver is None:
        first = next((b for b in tables().branches if b.branch == floor.major), None)
        return first is not None and loaded.support.low >= parse_version(first.cuda)
    return reaches(host.driver, floor)


def _release_fits(part: Component, host: Host, loaded: Loaded) -> Verdict | None:
    """Before CUDA 11 even a release of the same minor version may need a newer driver."""
    if part.cuda is None or loaded.from_image or host.driver is None:
        return None
    floor = release_floor(part.cuda, host.platform)
    early = part.cuda.major < FIRST_WITH_MINOR_COMPATIBILITY
    if early and floor and not reaches(host.driver, floor):
        return _too_old(part, host, floor)
    return _floor_fits(part, host, loaded)


def _floor_fits(part: Component, host: Host, loaded: Loaded) -> Verdict | None:
    if part.driver_floor is None or host.driver is None or loaded.from_image:
        return None
    return (
        None if reaches(host.driver, part.driver_floor) else _too_old(part, host, part.driver_floor)
    )


def _too_old(part: Component, host: Host, floor: Version | None) -> Verdict:
    floor = floor or (release_floor(part.cuda, host.platform) if part.cuda else None)
    need = f"driver {floor} or newer" if floor else "a newer driver"
    return fails(
        Kind.DRIVER_TOO_OLD,
        need=f"{need} for CUDA {part.cuda} ({part.name})",
        have=describe_driver(host),
        fix=f"update the driver to {floor or 'one that supports CUDA ' + str(part.cuda)} or newer, "
        f"or use a build for CUDA {supported_cuda(host)} or older",
        rule="runtime_fits",
    )


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
        available = _toolkit_gap(part, gpu.capability)
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


def sass_runs(code: Capability, gpu: Capability, toolkit: Version | None) -> bool:
    """Return whether finished code runs on a GPU: the same major version, and not a later minor.

    Integrated GPUs are islands, except that code built with CUDA 13.2 or newer runs on 8.7
    (torch/cuda/__init__.py, DEVICE_REQUIREMENT).
    """
    if code == gpu:
        return True
    if code[0] != gpu[0] or code > gpu:
        return False
    islands = [row for cc in (code, gpu) if (row := architecture(cc)) and row.integrated]
    lifted = gpu == (8, 7) and toolkit is not None and toolkit >= _LAST_INTEGRATED_EXCEPTION
    return not islands or lifted


def _toolkit_gap(part: Component, gpu: Capability) -> str:
    """Return why no build of this toolkit can have code for the GPU; empty where one can."""
    row = architecture(gpu)
    if part.cuda is None or row is None:
        return ""
    if row.cuda_last and part.cuda.release > parse_version(row.cuda_last):
        return f"CUDA {part.cuda}, which makes no code for {row.family} any more"
    makes = any(
        sass_runs(parse_capability(other.capability), gpu, part.cuda)
        for other in tables().architectures
        if parse_version(other.cuda_first) <= part.cuda.release
    )
    return "" if makes else f"CUDA {part.cuda}, which is older than {row.family}"


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
    return fails(
        Kind.PTX_TOOLCHAIN,
        need=f"a driver of CUDA {part.cuda} or newer, which compiles the PTX of {part.name}",
        have=f"CUDA {loaded.support} ({describe_driver(host)})",
        fix=f"update the driver to CUDA {part.cuda.release}, or build with CUDA "
        f"{loaded.support.low} and name {format_sm(gpu.capability) if gpu.capability else 'the GPU'}",
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
