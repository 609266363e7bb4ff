"""What a machine offers: a driver, GPUs, and how containers get them."""

from typing import Literal

import msgspec

from envgen.cuda.version import Capability, Version

Category = Literal["datacenter", "workstation", "geforce", "titan", "jetson", "unknown"]
Platform = Literal["linux", "wsl2", "windows"]
Injection = Literal["hook", "cdi", "none"]
"""How a container gets its GPUs.

`hook`: the legacy runtime hook, which enforces NVIDIA_REQUIRE_CUDA. `cdi`: the Container Device
Interface, which does not. `none`: no container is involved.
"""


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU, or several that are alike.

    Attributes:
        name: As the driver names it.
        capability: Its compute capability.
        category: The product line, which decides about forward compatibility.
        brand: As NVML reports it to the hook; empty where that is not known.
        count: How many of them there are.
        mig: Whether it is cut into MIG slices.

    """

    name: str = ""
    capability: Capability | None = None
    category: Category = "unknown"
    brand: str = ""
    count: int = 1
    mig: bool = False


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A machine, or a pool of machines that are alike.

    Attributes:
        name: For messages and tables.
        driver: The kernel driver; a bare branch (`535`) where the release is not known.
        cuda: The newest CUDA that the driver supports, where the driver said so itself.
        gpus: What is in it, each model once; empty where that is not known.
        platform: The operating system; a WSL2 or Windows host has Windows driver versions.
        injection: How containers get the GPUs.
        toolkit: The version of NVIDIA's container toolkit.
        disable_require: Whether NVIDIA_DISABLE_REQUIRE is set for every container.
        open_modules: Whether the open kernel modules are loaded; None where that is not known.
        faults: What is wrong with the machine itself, found while looking at it.

    """

    name: str = ""
    driver: Version | None = None
    cuda: Version | None = None
    gpus: tuple[Gpu, ...] = ()
    platform: Platform = "linux"
    injection: Injection = "hook"
    toolkit: Version | None = None
    disable_require: bool = False
    open_modules: bool | None = None
    faults: tuple[str, ...] = ()
