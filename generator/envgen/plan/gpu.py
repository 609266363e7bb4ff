"""What an image asks of a host's driver and GPUs, and whether its lock can serve the spec."""

from collections.abc import Iterable, Iterator

import msgspec

from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Host
from envgen.cuda.judge import judge
from envgen.cuda.requirement import Component, Machine, Requirement
from envgen.cuda.verdict import Outcome
from envgen.cuda.version import Version, parse_version
from envgen.cuda.wheels import bundled_parts, describe_wheel
from envgen.errors import LockError, Problem
from envgen.lock.model import LockedGpuCode, LockedImage
from envgen.lock.request import image_platforms
from envgen.plan.model import Decision
from envgen.platforms import MACHINES
from envgen.spec.load import key_prefix
from envgen.spec.model import Gpu, Spec


def plan_gpu_environment(
    name: str, locked: LockedImage, platforms: Iterable[str]
) -> dict[str, str]:
    """Return the variables that NVIDIA's container toolkit reads. CUDA_VERSION is not among them.

    Without NVIDIA_REQUIRE_CUDA beside it, the toolkit would take it for a requirement of that very
    release (nvidia-container-toolkit, cuda_image.go). What a base image has of these variables is
    overridden: what counts is the CUDA of the packages. Variables are the same on all platforms, so
    the platform that requires least decides; the image's own check at start knows each.
    """
    env = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    oldest = [oldest_cuda(describe_requirement(name, locked, each)) for each in platforms]
    cuda = min(filter(None, oldest), default=None)
    return {**env, "NVIDIA_REQUIRE_CUDA": f"cuda>={cuda}"} if cuda else env


def explain_gpu(name: str, locked: LockedImage, platforms: tuple[str, ...]) -> tuple[Decision, ...]:
    """Return what was decided about CUDA, for an image whose spec declares a GPU."""
    by_platform = {each: _explain_platform(name, locked, each) for each in platforms}
    if len(set(by_platform.values())) == 1:
        return by_platform[platforms[0]]
    return tuple(
        msgspec.structs.replace(decision, about=f"{decision.about} on {platform}")
        for platform, decisions in by_platform.items()
        for decision in decisions
    )


def _explain_platform(name: str, locked: LockedImage, platform: str) -> tuple[Decision, ...]:
    requirement = describe_requirement(name, locked, platform)
    cuda, oldest = requirement.cuda, oldest_cuda(requirement)
    if cuda is None or oldest is None:
        reason = "nothing that is locked uses CUDA; the image would never touch the GPU"
        return (Decision(about="cuda", choice="none", reason=reason),)
    carriers = ", ".join(part.name for part in requirement.components)
    return (
        Decision(about="cuda", choice=str(cuda.release), reason=f"that of {carriers}"),
        Decision(
            about="driver",
            choice=f"one that supports CUDA {oldest}",
            reason="finished code runs on every driver of its CUDA's major version",
        ),
    )


def require_served(spec: Spec, name: str, locked: LockedImage, *, spec_file: str) -> None:
    """Refuse a lock that cannot serve the GPUs and the driver that the spec declares.

    Raises:
        LockError: With every target that it does not run on.

    """
    gpu = spec.images[name].gpu
    if gpu is None:
        return
    if locked.locker == "conda-lock":
        # Its `cuda` is that of the hosts, for which conda chose builds; theirs may be older.
        gpu = msgspec.structs.replace(gpu, cuda="auto")
    problems = [
        problem
        for platform in image_platforms(spec, name)
        for problem in find_unserved(
            describe_requirement(name, locked, platform),
            gpu,
            file=spec_file,
            key=f"{key_prefix(spec_file)}images.{name}.gpu",
        )
    ]
    if problems:
        raise LockError(*dict.fromkeys(problems))


def describe_requirement(name: str, locked: LockedImage, platform: str) -> Requirement:
    """Return what a locked image requires of a host.

    Args:
        name: The image, for messages.
        locked: Its lock.
        platform: As `linux/amd64`; wheels of one version differ in their code by processor.

    """
    parts = tuple(
        part
        for row in locked.gpu_code
        if platform in (row.platforms or (platform,))
        for part in _describe_code(row, MACHINES[platform])
    )
    system = parse_version(locked.base_cuda) if locked.base_cuda else None
    # A base's CUDA that no package loads is there for the application.
    if system and not any(part.cuda for part in parts):
        parts = (*parts, Component(name=f"CUDA {system} of the base", cuda=system))
    return Requirement(name=name, components=parts, system_cuda=system)


def _describe_code(row: LockedGpuCode, machine: Machine) -> tuple[Component, ...]:
    """Return a locked package's kernels, and those that it brings beside its own."""
    cuda = parse_version(row.cuda) if row.cuda else None
    wheel = describe_wheel(row.package, row.version, cuda, machine)
    return (wheel, *bundled_parts(row.package, row.version, cuda, machine))


def describe_requirements(
    name: str, locked: LockedImage, platforms: Iterable[str]
) -> dict[Machine, Requirement]:
    """Return what a locked image requires, by the processor it is built for."""
    return {MACHINES[each]: describe_requirement(name, locked, each) for each in platforms}


def oldest_cuda(requirement: Requirement) -> Version | None:
    """Return the oldest CUDA that a driver has to support; None for an image without CUDA.

    Finished code runs on every driver of its CUDA's major version: minor-version compatibility,
    from CUDA 11 on (docs.nvidia.com/deploy/cuda-compatibility). What compiles PTX at run time needs
    a newer driver when it does, but may never do it: numba is locked with librosa and others. So it
    refuses no start; `doctor` and the image's own check say it.
    """
    wanted = [
        part.cuda.release if part.cuda.major < 11 else parse_version(f"{part.cuda.major}.0")
        for part in requirement.components
        if part.cuda
    ]
    return max(wanted, default=None)


def find_unserved(requirement: Requirement, gpu: Gpu, *, file: str, key: str) -> Iterator[Problem]:
    """Yield what the spec declares and the lock cannot serve.

    Args:
        requirement: What the locked image requires.
        gpu: What the spec declares.
        file: The spec's file name.
        key: The key path of the image's `gpu`.

    """
    cuda = requirement.cuda
    if gpu.cuda != "auto" and cuda and str(cuda.release) != gpu.cuda:
        yield Problem(
            what=f"the locked packages carry CUDA {cuda.release}, not {gpu.cuda}",
            file=file,
            key=f"{key}.cuda",
            why=", ".join(part.name for part in requirement.components if part.cuda == cuda),
            fix='write "auto", or ask for the releases of these packages that carry it',
        )
    driver = parse_version(gpu.driver.removeprefix(">=")) if gpu.driver else None
    for n, text in enumerate(gpu.targets or ("",)):
        found = find_gpu(text) if text else None
        host = Host(driver=driver, gpus=(found,) if found else ())
        verdict = judge(requirement, host)
        if verdict.outcome is Outcome.FAILS:
            where = f"{key}.targets[{n}]" if text else f"{key}.driver"
            yield Problem(
                what=f"the lock does not run on {text or 'this driver'}: {verdict.kind}",
                file=file,
                key=where,
                why=f"needs {verdict.need}; has {verdict.have}",
                fix=verdict.fix,
            )
