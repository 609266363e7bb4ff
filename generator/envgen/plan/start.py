"""What an image compares with driver and GPU before its command runs, and with what."""

from collections.abc import Iterator, Mapping
from typing import Final

from envgen.cuda.drivers import FIRST_WITH_MINOR_COMPATIBILITY, minor_floor, release_floor
from envgen.cuda.gpu_code import code_covers_gpu
from envgen.cuda.host import Gpu, Platform
from envgen.cuda.requirement import Component, Machine, Requirement
from envgen.cuda.tables import tables
from envgen.cuda.version import Version, format_sm, parse_capability, parse_version

_PLATFORMS: Final[Mapping[str, Platform]] = {"linux": "linux", "wsl2": "wsl2"}

_HEADER: Final = """\
# What this image asks of a machine's driver and GPUs. `envgen_runtime start` compares it with what
# is there before the command runs, the health check afterwards. A word and its value in a line:
#   required    whether the image needs a GPU
#   integrated  GPUs that run only code of their own
#   machine     the processor that the following packages are for
#   package     a package with code for GPUs, and what is known of it:
#   cuda        the CUDA release that it uses
#   branch      the first driver branch that supports this release itself
#   linux, wsl2 the oldest driver that runs it
#   compiles    the driver has to compile for it while it runs
#   build       its code: finished (sm_) and portable (compute_); any of several builds may be it
#   without     GPUs for which its CUDA makes no code
#   from        the oldest GPU on which it is used at all
"""


def write_requirement(requirements: Mapping[Machine, Requirement], *, required: bool) -> str:
    """Return cuda.txt, which the start of a container reads.

    Args:
        requirements: What the image requires, by the processor it is built for.
        required: Whether it does without a GPU.

    """
    islands = [
        format_sm(parse_capability(row.capability))
        for row in tables().architectures
        if row.integrated
    ]
    lines = [f"required {'yes' if required else 'no'}", f"integrated {' '.join(islands)}"]
    for machine, requirement in requirements.items():
        lines.append(f"machine {machine}")
        for part in requirement.components:
            lines += [f"package {part.name}", *_describe(part)]
    return _HEADER + "".join(f"{line}\n" for line in lines)


def _describe(part: Component) -> Iterator[str]:
    if part.cuda:
        yield f"cuda {part.cuda.release}"
        branch = _first_branch(part.cuda)
        if branch:
            yield f"branch {branch}"
        for word, platform in _PLATFORMS.items():
            floor = _floor(part.cuda, platform)
            if floor:
                yield f"{word} {floor}"
    if part.ptx_at_runtime:
        yield "compiles yes"
    for build in part.builds:
        codes = [format_sm(code) for code in build.sass]
        codes += [format_sm(code).replace("sm", "compute") for code in build.ptx]
        yield f"build {' '.join(codes)}"
    if part.used_from:
        yield f"from {format_sm(part.used_from)}"
    if not part.builds:
        yield f"without {' '.join(_not_covered(part))}"


def _first_branch(cuda: Version) -> int | None:
    """Return the first driver branch that supports a CUDA release itself."""
    branches = [row.branch for row in tables().branches if parse_version(row.cuda) >= cuda.release]
    return min(branches, default=None)


def _floor(cuda: Version, platform: Platform) -> Version | None:
    if cuda.major < FIRST_WITH_MINOR_COMPATIBILITY:
        return release_floor(cuda, platform)
    return minor_floor(cuda.major, platform)


def _not_covered(part: Component) -> Iterator[str]:
    for row in tables().architectures:
        capability = parse_capability(row.capability)
        if code_covers_gpu(part, Gpu(capability=capability)):
            yield format_sm(capability)
