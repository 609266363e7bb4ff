"""Which `libcuda` a process in the container gets: the host's, or the image's own."""

from typing import Final

import msgspec

from envgen.cuda.describe import describe_driver, describe_gpu
from envgen.cuda.drivers import Support, compat_package, find_architecture, host_branch
from envgen.cuda.host import Category, Gpu, Host
from envgen.cuda.requirement import Compat, Requirement
from envgen.cuda.verdict import Kind, Verdict, fails, unknown
from envgen.cuda.version import parse_version

FORWARD_COMPATIBLE: Final[frozenset[Category]] = frozenset({"datacenter", "jetson"})
"""NVIDIA CUDA Compatibility guide: data-center GPUs and Jetson boards."""

_COMPAT_DISABLED_TOOLKIT: Final = parse_version("1.17.4")
"""The one release of the container toolkit that left cuda-compat out (its release notes)."""


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


def loaded_driver(
    requirement: Requirement, host: Host, gpu: Gpu, support: Support
) -> Loaded | Verdict:
    """Decide between the host's `libcuda`, with its `support`, and the one the image brings."""
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
    if usable and not _drives(compat, gpu):
        return _not_driven(compat, host, gpu)
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


def _drives(compat: Compat, gpu: Gpu) -> bool:
    """Return whether the driver that the package is a part of still drives the GPU."""
    row, package = find_architecture(gpu.capability), compat_package(compat.cuda)
    if row is None or package is None or gpu.category not in FORWARD_COMPATIBLE:
        return True
    return not row.driver_last or package.driver <= row.driver_last


def _not_driven(compat: Compat, host: Host, gpu: Gpu) -> Verdict:
    return fails(
        Kind.OTHER,
        need=f"a GPU that the image's own CUDA {compat.cuda} driver library still drives "
        "(it finds no device)",
        have=f"{describe_driver(host)} on {describe_gpu(gpu)}",
        fix="use an image of an older CUDA, or remove /usr/local/cuda/compat from the image",
        rule="loaded_driver",
    )


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
