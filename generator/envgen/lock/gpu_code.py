"""Which locked packages hold GPU code, and what about them will surprise their user."""

import logging

from envgen.cuda.locked import read_lock
from envgen.lock.model import LockedGpuCode
from envgen.lock.packages import LockedPackage

_log = logging.getLogger(__name__)


def read_gpu_code(
    image: str, packages: tuple[LockedPackage, ...], *, wants_gpu: bool
) -> tuple[LockedGpuCode, ...]:
    """Return the packages with GPU code; surprises among them are logged as warnings.

    Args:
        image: The image's name.
        packages: What is locked for it.
        wants_gpu: Whether the spec declares a GPU for it.

    """
    found = read_lock(image, packages, wants_gpu=wants_gpu)
    for finding in found.findings:
        _log.warning("%s: %s: %s; %s", image, finding.what, finding.why, finding.fix)
    rows = []
    for part in found.requirement.components:
        package, _, version = part.name.partition(" ")
        cuda = str(part.cuda.release) if part.cuda else ""
        rows.append(LockedGpuCode(package=package, version=version, cuda=cuda))
    return tuple(rows)
