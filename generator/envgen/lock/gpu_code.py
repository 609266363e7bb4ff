"""Which locked packages hold GPU code, and what about them will surprise their user."""

import logging
import re
from collections.abc import Iterable
from typing import Final

from envgen.cuda.wheels import ALIASES
from envgen.lock.model import LockedGpuCode
from envgen.lock.packages import LockedPackage
from envgen.resources import PRESETS

_log = logging.getLogger(__name__)

_NAMED_IN: Final = ("kernels.toml", "ptx.toml", "needs.toml")


def read_gpu_code(
    image: str, packages: tuple[LockedPackage, ...], *, wants_gpu: bool
) -> tuple[LockedGpuCode, ...]:
    """Return the packages with GPU code; surprises among them are logged as warnings.

    Args:
        image: The image's name.
        packages: What is locked for it.
        wants_gpu: Whether the spec declares a GPU for it.

    """
    if not _may_use_gpu(package.name for package in packages):
        return ()
    from envgen.cuda.locked import read_lock  # noqa: PLC0415 - most images need none of it

    found = read_lock(image, packages, wants_gpu=wants_gpu)
    for finding in found.findings:
        _log.warning("%s: %s: %s; %s", image, finding.what, finding.why, finding.fix)
    rows = []
    for part in found.requirement.components:
        package, _, version = part.name.partition(" ")
        cuda = str(part.cuda.release) if part.cuda else ""
        rows.append(LockedGpuCode(package=package, version=version, cuda=cuda))
    return tuple(rows)


def _may_use_gpu(names: Iterable[str]) -> bool:
    """Return whether the CUDA tables name one of the packages, without parsing them.

    Most images have no such package, and parsing takes as long as the rest of reading a lock.
    """
    text = "".join((PRESETS / "data" / "cuda" / file).read_text("utf-8") for file in _NAMED_IN)
    known = {*ALIASES, *re.findall(r'(?:package|name) = "([^"]+)"', text)}
    return any(name in known or name.partition("-cuda")[0] in known for name in names)
