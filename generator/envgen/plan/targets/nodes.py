"""On which nodes of a cluster a container may run, by the labels of GPU feature discovery."""

from collections.abc import Iterator

from envgen.cuda.drivers import FIRST_WITH_MINOR_COMPATIBILITY, minor_floor, release_floor
from envgen.cuda.gpu_code import code_covers_gpu
from envgen.cuda.host import Gpu
from envgen.cuda.kubernetes import PREFIX
from envgen.cuda.requirement import Requirement
from envgen.cuda.tables import tables
from envgen.cuda.version import Version, parse_capability, parse_version
from envgen.lock.model import LockedImage
from envgen.lock.request import image_platforms
from envgen.plan.gpu import describe_requirement, oldest_cuda
from envgen.plan.targets.model import Expression
from envgen.spec.model import Spec

_DRIVER = f"{PREFIX}cuda.driver-version"
"""Labels of GPU feature discovery 0.15 and newer (NVIDIA/k8s-device-plugin, its list of
labels): numbers in `.major`, `.minor` and `.revision`, which `Gt` compares."""

_COMPUTE_MAJOR = f"{PREFIX}gpu.compute.major"


def plan_affinity(
    spec: Spec, name: str, locked: LockedImage, *, gpus: bool
) -> tuple[tuple[Expression, ...], ...]:
    """Return the terms of a node affinity, any of which will do.

    Args:
        spec: The spec.
        name: The image.
        locked: Its lock.
        gpus: Whether the container gets GPUs.

    """
    platforms = image_platforms(spec, name)
    gpu = spec.images[name].gpu
    if not gpus or gpu is None:
        machines = tuple(platform.removeprefix("linux/") for platform in platforms)
        return ((_match("kubernetes.io/arch", *machines),),)
    bound = parse_version(gpu.driver.removeprefix(">=")) if gpu.driver else None
    return tuple(
        (_match("kubernetes.io/arch", platform.removeprefix("linux/")), *driver, *_compute(needs))
        for platform in platforms
        for needs in (describe_requirement(name, locked, platform),)
        for driver in _drivers(needs, bound)
    )


def _match(key: str, *values: str) -> Expression:
    return Expression(key=key, operator="In", values=values)


def _above(key: str, number: int) -> Expression:
    return Expression(key=key, operator="Gt", values=(str(number),))


def _drivers(needs: Requirement, bound: Version | None) -> Iterator[tuple[Expression, ...]]:
    """Yield what the labels of a driver that is new enough are, in one way or the other."""
    floor = max(filter(None, (_floor(needs), bound)), default=None)
    if floor is None:
        yield ()
    elif not floor.minor:
        yield (_above(f"{_DRIVER}.major", floor.major - 1),)
    else:
        yield (_above(f"{_DRIVER}.major", floor.major),)
        yield (
            _match(f"{_DRIVER}.major", str(floor.major)),
            _above(f"{_DRIVER}.minor", floor.minor - 1),
        )


def _floor(needs: Requirement) -> Version | None:
    cuda = oldest_cuda(needs)
    if cuda is None:
        return None
    if cuda.major < FIRST_WITH_MINOR_COMPATIBILITY:
        return release_floor(cuda, "linux")
    return minor_floor(cuda.major, "linux")


def _compute(needs: Requirement) -> tuple[Expression, ...]:
    """Return the major compute capabilities that the packages have code for.

    Within one of them some GPUs may still be without; the start of the container tells those.
    """
    known = sorted({parse_capability(row.capability) for row in tables().architectures})
    parts = [part for part in needs.components if part.cuda]
    majors = {
        major
        for major, minor in known
        if all(code_covers_gpu(part, Gpu(capability=(major, minor))) is None for part in parts)
    }
    if not parts or not majors:
        return ()
    return (_match(_COMPUTE_MAJOR, *map(str, sorted(majors))),)
