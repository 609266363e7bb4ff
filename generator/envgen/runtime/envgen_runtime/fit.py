"""Whether the locked software runs on the driver and the GPUs that are here.

The rules are those of docs/cuda.md of envgen, as far as a container can look.
"""

from __future__ import annotations

from envgen_runtime.gpu import Seen
from envgen_runtime.nvml import Gpu
from envgen_runtime.requirement import Part, Requirement, version

FIRST_WITH_MINOR_COMPATIBILITY = 11
"""CUDA 11 is the first major version whose releases run on any driver of the major version."""


class Objection:
    """Why it does not run.

    Attributes:
        need: What is needed.
        have: What is here.
        fix: What would help.
        certain: Whether the part fails whatever the program does with it. A compiler that is
            locked (numba comes with many a package) may never be called.

    """

    def __init__(self, need: str, have: str, fix: str, *, certain: bool = True) -> None:
        self.need = need
        self.have = have
        self.fix = fix
        self.certain = certain

    def __str__(self) -> str:
        return f"needs {self.need}; has {self.have}; fix: {self.fix}"


def compare(requirement: Requirement, seen: Seen) -> list[Objection]:
    """Return what each GPU that does not fit lacks; GPUs that fit are left out."""
    found = [object_to(requirement, seen, gpu) for gpu in seen.gpus or [Gpu()]]
    return [objection for objection in found if objection]


def object_to(requirement: Requirement, seen: Seen, gpu: Gpu) -> Objection | None:
    """Return the first rule that this GPU breaks, a certain one before others, or None.

    What is not known breaks none.
    """
    integrated = requirement.integrated
    parts = [part for part in requirement.parts if _is_used(part, gpu)]
    found = [_driver_too_old(part, seen) for part in parts]
    found += [_no_code(part, gpu, integrated) for part in parts]
    found += [_no_compiler(part, seen, gpu, integrated) for part in parts]
    objections = [objection for objection in found if objection]
    return next((o for o in objections if o.certain), objections[0] if objections else None)


def _is_used(part: Part, gpu: Gpu) -> bool:
    if not part.used_from or gpu.capability is None:
        return True
    return gpu.capability >= capability(part.used_from)


def supports(part: Part, seen: Seen) -> bool | None:
    """Return whether the driver supports the part's CUDA itself; None where nothing tells."""
    if not part.cuda:
        return None
    if seen.cuda:
        return part.cuda <= version(f"{seen.cuda[0]}.{seen.cuda[1]}")
    driver = version(seen.driver)
    if _cuda_is_hidden(seen) or not driver or not part.branch:
        return None
    return driver[0] >= part.branch


def _cuda_is_hidden(seen: Seen) -> bool:
    """Return whether the driver's version does not tell which CUDA it supports.

    Releases for Windows have numbers of their own, and the image's own driver library (cuda-compat)
    may support more than the machine's.
    """
    return seen.cuda is None and (seen.wsl or seen.compat)


def _driver_too_old(part: Part, seen: Seen) -> Objection | None:
    """A CUDA runtime needs a driver of its version, or of its major version from 11 on."""
    floor, driver = part.floors.get("wsl2" if seen.wsl else "linux", ""), version(seen.driver)
    if not floor or not driver or driver >= version(floor) or _cuda_is_hidden(seen):
        return None
    early = bool(part.cuda) and part.cuda[0] < FIRST_WITH_MINOR_COMPATIBILITY
    if supports(part, seen) and not early:  # by a driver library of the image's own
        return None
    older = f", or use a build for CUDA {seen.cuda[0]}.{seen.cuda[1]} or older" if seen.cuda else ""
    return Objection(
        f"driver {floor} or newer for CUDA {part.release} ({part.name})",
        str(seen),
        f"update the driver to {floor} or newer{older}",
    )


def _no_code(part: Part, gpu: Gpu, integrated: list[str]) -> Objection | None:
    """There has to be finished code for the GPU, or portable code that is not newer than it."""
    if gpu.capability is None:
        return None
    target = f"sm_{gpu.capability[0]}{gpu.capability[1]}"
    if any(_covers(build, part, gpu.capability, integrated) for build in part.builds):
        return None
    if not part.builds and target not in part.without:
        return None
    have = "; ".join(" ".join(build) for build in part.builds)
    return Objection(
        f"code for {target} in {part.name}",
        f"{have or f'CUDA {part.release}, which makes none,'} on {gpu}",
        f"use a build that has {target}, or another GPU",
    )


def _covers(build: list[str], part: Part, gpu: tuple[int, int], integrated: list[str]) -> bool:
    portable = any(code.startswith("compute_") and capability(code) <= gpu for code in build)
    return portable or _finished(build, part, gpu, integrated)


def _finished(build: list[str], part: Part, gpu: tuple[int, int], integrated: list[str]) -> bool:
    """Return whether finished code of a build runs: the same major version, and no later minor.

    Integrated GPUs run their own code only, except that code built with CUDA 13.2 or newer runs on
    8.7 (torch/cuda/__init__.py, DEVICE_REQUIREMENT).
    """
    target = f"sm_{gpu[0]}{gpu[1]}"
    lifted = gpu == (8, 7) and part.cuda >= (13, 2)
    for code in build:
        if code == target:
            return True
        if not code.startswith("sm_") or not ((gpu[0], 0) <= capability(code) < gpu):
            continue
        if lifted or not (code in integrated or target in integrated):
            return True
    return False


def capability(code: str) -> tuple[int, int]:
    """Return (12, 0) for sm_120 and compute_120."""
    digits = code.rpartition("_")[2]
    return int(digits[:-1]), int(digits[-1])


def _no_compiler(part: Part, seen: Seen, gpu: Gpu, integrated: list[str]) -> Objection | None:
    """A driver compiles only PTX of toolkits that are not newer than itself."""
    unfinished, target = False, gpu.capability
    if target is not None and part.builds:
        unfinished = not any(_finished(build, part, target, integrated) for build in part.builds)
    if not (part.compiles or unfinished) or supports(part, seen) is not False:
        return None
    return Objection(
        f"a driver of CUDA {part.release} or newer, which compiles the PTX of {part.name}",
        str(seen),
        f"update the driver to one that supports CUDA {part.release}",
        certain=unfinished,
    )
