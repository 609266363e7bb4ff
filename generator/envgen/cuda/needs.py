"""What packages need beside their own files: a system's CUDA, a compiler."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from envgen.cuda.requirement import Machine, Requirement
from envgen.cuda.tables import Need, tables
from envgen.cuda.version import find_version
from envgen.cuda.wheels import in_range
from envgen.lock.packages import LockedPackage

_WITHOUT_TOOLKIT: Final = re.compile(r"nvidia/cuda:[^/]*-(?:runtime|base)-")
"""Images of nvidia/cuda that lack what only the devel ones have."""


def find_need(package: LockedPackage, machine: Machine) -> Need | None:
    """Return what a package of PyPI needs; one of conda depends on what it needs."""
    if package.conda:
        return None
    number = find_version(package.version)
    return next(
        (
            row
            for row in tables().needs
            if row.package == package.name
            and machine in row.machines
            and in_range(number, row.versions)
        ),
        None,
    )


def links_cuda(package: LockedPackage, machine: Machine) -> bool:
    """Return whether a package loads CUDA libraries that it does not bring itself."""
    need = find_need(package, machine)
    return bool(need and need.cuda)


def unmet_needs(
    packages: Mapping[str, LockedPackage], machine: Machine
) -> Iterator[tuple[LockedPackage, Need]]:
    """Yield packages that need something that no other of them brings.

    Args:
        packages: By name, those that are installed together.
        machine: The processor that they are installed on.

    """
    for package in packages.values():
        need = find_need(package, machine)
        if need and not any(name in packages for name in need.unless):
            yield package, need


def serves(base: Requirement | None, need: Need) -> bool:
    """Return whether a base image brings what a package needs, as far as one can tell."""
    if base is None or base.system_cuda is None or not need.unless:
        return False
    if not need.image and _WITHOUT_TOOLKIT.search(base.name):
        return False
    fits = not need.cuda or base.system_cuda.major == int(need.cuda)
    return fits and (not need.cudnn or not base.cudnn or base.cudnn.major == int(need.cudnn))
