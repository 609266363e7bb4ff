"""The rules about drivers: is there one, does it drive the GPU, is it new enough.

All rules are asked in the order in which the machine would fail: the driver (here), the hook
(`hook`), which `libcuda` is loaded (`forward_compat`), whether that is new enough (here), and
whether there is code for the GPU (`gpu_code`). A rule returns the verdict that ends the question,
or None to let the next one speak.
"""

from envgen.cuda.describe import describe_driver, describe_gpu
from envgen.cuda.drivers import (
    FIRST_WITH_MINOR_COMPATIBILITY,
    Support,
    find_architecture,
    find_branch,
    minor_floor,
    reaches,
    release_floor,
    supported_cuda,
)
from envgen.cuda.forward_compat import Loaded
from envgen.cuda.host import Gpu, Host
from envgen.cuda.requirement import Component
from envgen.cuda.tables import tables
from envgen.cuda.verdict import Kind, Verdict, fails, unknown
from envgen.cuda.version import Version, parse_version


def driver_support(host: Host) -> Support | Verdict:
    """A host has to say which driver it has, and that driver has to work."""
    if host.faults:
        return fails(
            Kind.OTHER,
            need="an NVIDIA driver that works",
            have="; ".join(host.faults),
            fix="mend the host first; after a driver upgrade that is usually a reboot"
            if host.driver
            else "install an NVIDIA driver, or ask about another host: --driver and --gpu",
            rule="driver_support",
        )
    return supported_cuda(host) or unknown(
        need="an NVIDIA driver of a known version",
        have=describe_driver(host),
        fix="give the driver version, as nvidia-smi prints it",
        rule="driver_support",
    )


def driver_drives_gpu(host: Host, gpu: Gpu) -> Verdict | None:
    """A driver branch drives GPUs from some architecture to another, and no others."""
    row = find_architecture(gpu.capability)
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
