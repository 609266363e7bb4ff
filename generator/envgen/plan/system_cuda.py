"""Where CUDA libraries come from that no package brings, and why.

They are taken out of an image of nvidia/cuda into a layer of their own. Standing on that image
instead would add its Ubuntu and leave the Python to somebody else.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from envgen.cuda.gpus import find_gpu
from envgen.cuda.images import from_environment, from_name
from envgen.cuda.needs import find_need
from envgen.cuda.requirement import Requirement
from envgen.cuda.tables import Flavour, Need, SystemImage, tables
from envgen.cuda.version import Version, find_version, parse_version
from envgen.errors import LockError
from envgen.lock.model import LockedBase, LockedImage
from envgen.lock.packages import LockedPackage
from envgen.lock.request import image_platforms
from envgen.plan.base import CUDA_FLAVOURS, find_glibc, wants_system_cuda
from envgen.plan.model import Decision
from envgen.platforms import MACHINES
from envgen.spec.model import Image, Spec
from envgen.tables import distros

_FLAVOURS: Final[tuple[Flavour, ...]] = ("base", "runtime", "cudnn-runtime")
"""Each has what the one before has."""

_REFUSE_COMPAT: Final = frozenset({"geforce", "titan"})

_CUDA_IN_NAME: Final = re.compile(r"nvidia/cuda:(\d+\.\d+(?:\.\d+)?)")


def choose_system_cuda(
    spec: Spec,
    name: str,
    needs: Iterable[Need],
    runtimes: tuple[Version, ...],
    *,
    keep: str = "",
) -> SystemImage | None:
    """Return the image that CUDA libraries are taken from; None where nothing wants them.

    Args:
        spec: The spec.
        name: The image.
        needs: What its packages need and none of them brings.
        runtimes: The CUDA releases that its packages bring, oldest first.
        keep: The image that was chosen before, which stays where it still does.

    Raises:
        LockError: No image in the table has what is wanted.

    """
    image = spec.images[name]
    needs = tuple(need for need in needs if need.image)
    if not wants_system_cuda(image, links=bool(needs)):
        return None
    flavour = CUDA_FLAVOURS.get(image.base) or _largest(needs)
    fitting = [
        row
        for row in tables().system_images
        if row.flavour == flavour
        and _runs_on(row, find_glibc(spec, image))
        and all(_has(row, need, flavour) for need in needs)
    ]
    asked = _asked_release(image)
    rows = [row for row in fitting if not asked or parse_version(row.cuda).release == asked]
    if not rows:
        raise _no_image(name, flavour, asked, needs, fitting)
    same = runtimes[-1] if runtimes and not needs else None
    for row in rows:
        if row.image == keep and same in {None, parse_version(row.cuda).release}:
            return row
    return max(rows, key=lambda row: _preference(row, same))


def _largest(needs: Iterable[Need]) -> Flavour:
    return max((need.image or "base" for need in needs), key=_FLAVOURS.index)


def _runs_on(row: SystemImage, glibc: str) -> bool:
    """Return whether libraries of an image run on a system: its glibc must not be older."""
    return parse_version(_glibc(row)) <= parse_version(glibc)


def _glibc(row: SystemImage) -> str:
    return next(distro.glibc for distro in distros() if distro.id == row.distro)


def _has(row: SystemImage, need: Need, flavour: Flavour) -> bool:
    """Return whether an image has the CUDA and, where it has any, the cuDNN of a need."""
    cuda = not need.cuda or parse_version(row.cuda).major == int(need.cuda)
    asks_cudnn = bool(need.cudnn) and flavour == "cudnn-runtime"
    return cuda and (not asks_cudnn or parse_version(row.cudnn).major == int(need.cudnn))


def _asked_release(image: Image) -> Version | None:
    """Return the CUDA that the spec fixes; with conda-lock it is that of the hosts."""
    if image.gpu is None or image.gpu.cuda == "auto" or image.locker == "conda-lock":
        return None
    return parse_version(image.gpu.cuda).release


def _preference(row: SystemImage, same: Version | None) -> tuple[bool, bool, bool, Version]:
    """Return what goes first: the packages' own CUDA, a row that was checked, a newer release."""
    cuda = parse_version(row.cuda)
    return (
        same is not None and cuda.release == same.release,
        same is not None and cuda.major == same.major,
        row.verified,
        cuda,
    )


def _no_image(
    name: str,
    flavour: Flavour,
    asked: Version | None,
    needs: tuple[Need, ...],
    fitting: list[SystemImage],
) -> LockError:
    there = ", ".join(dict.fromkeys(str(parse_version(row.cuda).release) for row in fitting))
    linked = " and ".join(f"{need.package} needs {need.what}" for need in needs)
    return LockError.single(
        f"no {flavour} image of nvidia/cuda has {f'CUDA {asked}' if asked else 'all of them'}",
        key=f"images.{name}.{'gpu.cuda' if asked else 'base'}",
        why=linked or "the spec asks for it",
        fix=f"ask for one of {there}, or name an image as base"
        if there
        else "name an image as base that has them",
    )


def describe_base(base: LockedBase) -> Requirement | None:
    """Return what an image has of CUDA, by its variables, else by its name; None for none."""
    if base.environment:
        return from_environment(base.image, base.environment)
    cuda = _CUDA_IN_NAME.search(base.image)
    if cuda is None:
        return None
    found, row = from_name(base.image, parse_version(cuda[1])), _find_row(base.image)
    if row is None:
        return found
    cudnn, nccl = find_version(row.cudnn), find_version(row.nccl)
    return msgspec.structs.replace(found, cudnn=cudnn, nccl=nccl)


def hides_compat(targets: Iterable[str], base: LockedBase) -> bool:
    """Return whether the base's cuda-compat has to be kept from the container toolkit.

    GeForce cards refuse it with error 804, although finished code runs without it (NVIDIA, CUDA
    Compatibility guide, Forward Compatibility).
    """
    found = describe_base(base)
    if found is None or found.compat is None:
        return False
    return any((gpu := find_gpu(text)) and gpu.category in _REFUSE_COMPAT for text in targets)


def require_glibc(spec: Spec, name: str, locked: LockedImage) -> None:
    """Refuse CUDA libraries that were built for a newer system than the image's.

    Raises:
        LockError: With both systems' glibc.

    """
    row = find_system_image(locked)
    glibc = find_glibc(spec, spec.images[name])
    if row and not _runs_on(row, glibc):
        raise LockError.single(
            f"the CUDA libraries of {row.image} do not run on the base of {name}",
            why=f"they are built for glibc {_glibc(row)}, the base has {glibc}",
            fix="run `python -m envgen lock`",
        )


def find_system_image(locked: LockedImage) -> SystemImage | None:
    """Return the table's row of the image that CUDA libraries are taken from."""
    return _find_row(locked.system_cuda.image) if locked.system_cuda else None


def _find_row(image: str) -> SystemImage | None:
    return next((row for row in tables().system_images if row.image == image), None)


def explain_system_cuda(spec: Spec, name: str, locked: LockedImage) -> tuple[Decision, ...]:
    """Return where the CUDA libraries come from, what that costs, and what else would do."""
    needs = _needs(spec, name, locked)
    if locked.system_cuda is None:
        choice = f"{locked.base_cuda} of the base" if locked.base_cuda else "none"
        return (Decision(about="system CUDA", choice=choice, reason=_why_none(locked, needs)),)
    row = find_system_image(locked)
    size = _describe_size(row) if row else ""
    why = " and ".join(f"{link} needs {need.what}" for link, need in needs.items())
    taken = Decision(
        about="system CUDA",
        choice=locked.system_cuda.image,
        reason=f"{why or 'the spec asks for it'}; only /usr/local/cuda, cuDNN and NCCL are taken"
        f"{f', which costs {size}' if size else ''}, without its Ubuntu and without cuda-compat",
    )
    return (taken, *(_alternative(need, size) for need in dict.fromkeys(needs.values())))


def _describe_size(row: SystemImage) -> str:
    """Return what an image adds on the wire; where it is not known, by another release of it."""
    if row.amd64_bytes:
        return f"up to {_megabytes(row.amd64_bytes)} compressed on linux/amd64"
    like = [r for r in tables().system_images if r.amd64_bytes and r.flavour == row.flavour]
    if not like:
        return ""
    return f"about the {_megabytes(like[0].amd64_bytes)} compressed of {like[0].cuda}'s"


def _alternative(need: Need, size: str) -> Decision:
    wheels = _megabytes(need.fix_bytes)
    cost = f"{wheels} of wheels instead of {size}" if wheels and size else "wheels instead"
    return Decision(
        about="or else",
        choice=need.fix,
        reason=f"{cost}; the lock then pins each by its own hash",
    )


def explain_compat() -> Decision:
    """Return why the base's cuda-compat is kept from the container toolkit."""
    return Decision(
        about="cuda-compat",
        choice="hidden",
        reason="a target is a GeForce, which refuses it (error 804); only data-center GPUs take it",
    )


def _why_none(locked: LockedImage, needs: dict[str, Need]) -> str:
    if needs:
        listed = " and ".join(f"{link} needs {need.what}" for link, need in needs.items())
        return f"{listed}, which the base that the spec names has to have"
    if locked.base_cuda:
        return "the spec names the base"
    releases = {code.cuda for code in locked.gpu_code if code.cuda}
    if not releases:
        return "nothing that is locked loads it"
    newest = max(releases, key=parse_version)
    saved = _saving(newest)
    return f"the packages bring CUDA {newest} themselves" + (f"; {saved}" if saved else "")


def _saving(cuda: str) -> str:
    rows = [
        row
        for row in tables().system_images
        if row.amd64_bytes and parse_version(row.cuda).major == parse_version(cuda).major
    ]
    if not rows:
        return ""
    row = max(rows, key=lambda row: row.amd64_bytes)
    return f"a second copy, as {row.image}, would add {_megabytes(row.amd64_bytes)} compressed"


def _needs(spec: Spec, name: str, locked: LockedImage) -> dict[str, Need]:
    """Return what the packages need that link a system's CUDA, by `NAME VERSION`."""
    found: dict[str, Need] = {}
    for link in locked.links:
        package, _, version = link.partition("==")
        for platform in image_platforms(spec, name):
            asked = LockedPackage(name=package, version=version)
            if need := find_need(asked, MACHINES[platform]):
                found.setdefault(f"{package} {version}", need)
    return found


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count else ""
