"""What an image carries that a host has to fit."""

from typing import Literal

import msgspec

from envgen.cuda.version import Capability, Version

Machine = Literal["x86_64", "aarch64"]

CompatLoading = Literal["toolkit", "entrypoint", "always", "never"]
"""Who puts the image's own `libcuda` before the host's.

`toolkit`: NVIDIA's container toolkit, where it finds `/usr/local/cuda/compat` (nvidia/cuda images).
`entrypoint`: the image's start script tries it and keeps it only if it works (NGC images).
`always`: a loader path (LD_LIBRARY_PATH, ld.so.conf) names the folder, whatever the host has.
`never`: it is there but nothing loads it.
"""


class Kernels(msgspec.Struct, frozen=True, kw_only=True):
    """The GPU code of one build: finished machine code (SASS) and portable code (PTX)."""

    sass: tuple[Capability, ...] = ()
    ptx: tuple[Capability, ...] = ()


class Compat(msgspec.Struct, frozen=True, kw_only=True):
    """A forward-compatibility package (`cuda-compat-X-Y`) inside the image.

    Attributes:
        cuda: The CUDA version of the `libcuda` it brings.
        loading: Who puts it in front of the host's.

    """

    cuda: Version
    loading: CompatLoading = "toolkit"


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of software with GPU code: a framework, an extension, a program.

    Attributes:
        name: For messages, as `torch 2.9.1+cu128`.
        cuda: The CUDA runtime it links; None where that is not known.
        builds: Its kernels. Several when the exact build is not known: any of them may be it.
            Empty when nothing is known about the kernels.
        ptx_at_runtime: Whether it hands PTX to the driver's compiler while it runs.
        driver_floor: The driver it asks for beyond its toolkit's own floor.
        used_from: The oldest GPU on which it is used at all; None where it is used on any.
        note: Where this is from, or what was assumed.

    """

    name: str
    cuda: Version | None = None
    builds: tuple[Kernels, ...] = ()
    ptx_at_runtime: bool = False
    driver_floor: Version | None = None
    used_from: Capability | None = None
    note: str = ""


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in an image that decides where it runs.

    Attributes:
        name: The image or wheel, for messages.
        components: The software with GPU code; empty for an image that does not use CUDA.
        expressions: The values of its NVIDIA_REQUIRE_* variables; all of them have to hold.
        disable_require: Whether it sets NVIDIA_DISABLE_REQUIRE.
        compat: Its forward-compatibility package.
        system_cuda: The CUDA of the base image, which may differ from the components'.
        cudnn: The cuDNN that is loaded.
        nccl: The NCCL that is loaded.
        notes: What was assumed to arrive at this.

    """

    name: str
    components: tuple[Component, ...] = ()
    expressions: tuple[str, ...] = ()
    disable_require: bool = False
    compat: Compat | None = None
    system_cuda: Version | None = None
    cudnn: Version | None = None
    nccl: Version | None = None
    notes: tuple[str, ...] = ()

    @property
    def cuda(self) -> Version | None:
        """The newest CUDA runtime that something in it links."""
        return max((part.cuda for part in self.components if part.cuda), default=None)
