"""Which locked packages hold GPU code, and what about them will surprise their user."""

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from envgen.cuda.requirement import Requirement
from envgen.cuda.wheels import ALIASES
from envgen.lock.model import LockedGpuCode
from envgen.lock.packages import LockedPackage
from envgen.platforms import MACHINES
from envgen.resources import PRESETS

_log = logging.getLogger(__name__)

_NAMED_IN: Final = ("kernels.toml", "ptx.toml", "needs.toml")


def read_gpu_code(
    image: str,
    packages: tuple[LockedPackage, ...],
    platforms: tuple[str, ...],
    *,
    base: Requirement | None = None,
    wants_gpu: bool,
    os_packages: frozenset[str] = frozenset(),
) -> tuple[LockedGpuCode, ...]:
    """Return the packages with GPU code; surprises among them are logged as warnings.

    Args:
        image: The image's name.
        packages: What is locked for it.
        platforms: What it is built for; the wheels of one version differ by processor.
        base: What the image brings of CUDA beside its packages.
        wants_gpu: Whether the spec declares a GPU for it.
        os_packages: What it has of its distribution beside the base.

    """
    if not may_use_gpu(package.name for package in packages):
        return ()
    from envgen.cuda.locked import read_lock  # noqa: PLC0415 - most images need none of it

    found: dict[LockedGpuCode, list[str]] = {}
    surprises: dict[str, list[str]] = {}
    for platform in platforms:
        locked = read_lock(
            image,
            installed_on(platform, packages),
            base=base,
            wants_gpu=wants_gpu,
            machine=MACHINES[platform],
            os_packages=os_packages,
        )
        for part in locked.requirement.components:
            package, _, version = part.name.partition(" ")
            cuda = str(part.cuda.release) if part.cuda else ""
            row = LockedGpuCode(package=package, version=version, cuda=cuda)
            found.setdefault(row, []).append(platform)
        for finding in locked.findings:
            text = f"{finding.what}: {finding.why}; {finding.fix}"
            surprises.setdefault(text, []).append(platform)
    for text, where in surprises.items():
        _log.warning("%s%s: %s", image, _name_some(where, platforms), text)
    return tuple(
        row if len(where) == len(platforms) else msgspec.structs.replace(row, platforms=where)
        for row, where in ((row, tuple(where)) for row, where in found.items())
    )


def _name_some(where: list[str], platforms: tuple[str, ...]) -> str:
    return "" if len(where) == len(platforms) else f" on {', '.join(where)}"


def installed_on(platform: str, packages: Iterable[LockedPackage]) -> Iterator[LockedPackage]:
    """Yield what an installer takes on a platform, each with the file of that platform first."""
    for package in packages:
        own = package.downloads.get(platform)
        if own or not package.downloads:
            yield msgspec.structs.replace(package, wheels=(own,)) if own else package


def may_use_gpu(names: Iterable[str]) -> bool:
    """Return whether the CUDA tables name one of the packages, without parsing them.

    Most images have no such package, and parsing takes as long as the rest of reading a lock.
    """
    text = "".join((PRESETS / "data" / "cuda" / file).read_text("utf-8") for file in _NAMED_IN)
    known = {*ALIASES, *re.findall(r'(?:package|name) = "([^"]+)"', text)}
    return any(name in known or name.partition("-cuda")[0] in known for name in names)
