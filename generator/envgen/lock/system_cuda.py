"""What a locked image has of CUDA: from its packages, its base, or an image of nvidia/cuda."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from envgen.lock.gpu_code import installed_on, may_use_gpu, read_gpu_code
from envgen.lock.image import LockedFiles
from envgen.lock.model import Lock, LockedBase, LockedImage, LockedSystemCuda
from envgen.lock.packages import LockedPackage
from envgen.lock.request import image_platforms
from envgen.plan.base import CUDA_FLAVOURS, ask_system_cuda, choose_base
from envgen.platforms import MACHINES
from envgen.spec.model import Spec

if TYPE_CHECKING:
    from envgen.cuda.requirement import Requirement
    from envgen.cuda.tables import Need
    from envgen.cuda.version import Version

Pin = Callable[[Iterable[str]], Mapping[str, LockedBase]]
"""Returns images with their digests and their variables."""


def add_cuda(
    spec: Spec, current: Lock, results: Mapping[str, LockedFiles], pin: Pin, *, upgrade: bool
) -> tuple[dict[str, LockedFiles], dict[str, LockedBase]]:
    """Return the locked images with what they have of CUDA, and the images that it comes from.

    Args:
        spec: The spec.
        current: The lock so far.
        results: What was locked anew.
        pin: Pins the images that CUDA comes from.
        upgrade: Choose these images anew.

    Raises:
        LockError: No image has what packages need.
        NetworkError: An image cannot be pinned.

    """
    before = {} if upgrade else current.images
    locked = {name: _choose(spec, name, result, before) for name, result in results.items()}
    stay = {name: image for name, image in current.images.items() if name in spec.images}
    sources = [
        image.system_cuda.image for image in {**stay, **locked}.values() if image.system_cuda
    ]
    own = [image.base for name, image in locked.items() if _has_own_base(spec, name)]
    bases = dict(pin(sorted({*sources, *own}))) if sources or own else {}
    done = {
        name: msgspec.structs.replace(
            result, locked=_read_code(spec, name, locked[name], result, bases)
        )
        for name, result in results.items()
    }
    return done, bases


def _choose(
    spec: Spec, name: str, result: LockedFiles, before: Mapping[str, LockedImage]
) -> LockedImage:
    """Return an image's row with the packages that link a system's CUDA, and where that is from."""
    image, locked = spec.images[name], result.locked
    asked = ask_system_cuda(image)
    if not (may_use_gpu(p.name for p in result.packages) or image.base in CUDA_FLAVOURS):
        return locked
    # The CUDA tables take as long to read as all else: most images need none of them.
    from envgen.plan.system_cuda import choose_system_cuda  # noqa: PLC0415

    needs = dict(_find_needs(result.packages, image_platforms(spec, name)))
    links = tuple(sorted(link for link, need in needs.items() if need.cuda))
    old = before[name].system_cuda if name in before else None
    keep = old.image if old and old.asked == asked else ""
    runtimes = _runtimes(result.packages)
    chosen = choose_system_cuda(spec, name, needs.values(), runtimes, keep=keep)
    return msgspec.structs.replace(
        locked,
        links=links,
        system_cuda=LockedSystemCuda(image=chosen.image, asked=asked) if chosen else None,
    )


def _find_needs(
    packages: tuple[LockedPackage, ...], platforms: Iterable[str]
) -> "Iterator[tuple[str, Need]]":
    from envgen.cuda.locked import applies  # noqa: PLC0415 - see _choose
    from envgen.cuda.needs import unmet_needs  # noqa: PLC0415

    for platform in platforms:
        machine = MACHINES[platform]
        here = {p.name: p for p in installed_on(platform, packages) if applies(p, machine)}
        for package, need in unmet_needs(here, machine):
            yield f"{package.name}=={package.version}", need


def _runtimes(packages: Iterable[LockedPackage]) -> "tuple[Version, ...]":
    from envgen.cuda.locked import cuda_runtimes  # noqa: PLC0415 - see _choose

    return cuda_runtimes({package.name: package for package in packages})


def _has_own_base(spec: Spec, name: str) -> bool:
    """Return whether an image for GPUs stands on an image that may have CUDA already."""
    image = spec.images[name]
    base = choose_base(spec, image).image
    return image.gpu is not None and not base.startswith("docker.io/library/")


def _read_code(
    spec: Spec,
    name: str,
    locked: LockedImage,
    result: LockedFiles,
    bases: Mapping[str, LockedBase],
) -> LockedImage:
    source = bases.get(locked.system_cuda.image if locked.system_cuda else locked.base)
    base = _describe(source) if source else None
    code = read_gpu_code(
        name,
        result.packages,
        image_platforms(spec, name),
        base=base,
        wants_gpu=spec.images[name].gpu is not None,
        os_packages=result.os_packages,
    )
    cuda = str(base.system_cuda) if base and base.system_cuda else ""
    return msgspec.structs.replace(locked, gpu_code=code, base_cuda=cuda)


def _describe(base: LockedBase) -> "Requirement | None":
    from envgen.plan.system_cuda import describe_base  # noqa: PLC0415 - see _choose

    return describe_base(base)
