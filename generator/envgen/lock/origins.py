"""Where an image's packages come from: what is odd about it is told, what is wrong is refused."""

import logging
from collections.abc import Iterable

from envgen.errors import LockError, Problem
from envgen.lock.packages import LockedPackage
from envgen.lockers import LockRequest
from envgen.lockers.indexes import (
    CPU,
    choose_variant,
    exempt_packages,
    find_row,
    normalize,
    tables,
    unknown_release,
)
from envgen.spec.model import Image, Network

_log = logging.getLogger(__name__)


def warn_of_indexes(image: Image, request: LockRequest) -> None:
    """Tell what the spec asks of an index and the index may not do."""
    exempt = exempt_packages(request.indexes)
    if request.exclude_newer and exempt:
        _log.warning(
            "%s: exclude-newer does not hold for %s, whose index does not say when files were "
            "uploaded",
            request.image,
            " and ".join(exempt),
        )
    cuda = image.gpu.cuda if image.gpu and choose_variant(image) else "auto"
    known = () if cuda == "auto" or not request.indexes else unknown_release(cuda)
    if known:
        _log.warning(
            "%s: PyTorch is not known to have builds for CUDA %s; it has had them for %s",
            request.image,
            cuda,
            ", ".join(known),
        )


def warn_of_git(image: str, packages: Iterable[LockedPackage]) -> None:
    """Tell which packages have no hash, and what holds them instead."""
    for package in packages:
        if package.git:
            _log.warning(
                "%s: %s comes from %s and has no hash: its commit %s pins it, and it is built "
                "from source",
                image,
                package.name,
                package.git.url,
                package.git.commit[:12],
            )


def require_own_index(
    image: Image, network: Network, request: LockRequest, packages: Iterable[LockedPackage]
) -> None:
    """Refuse packages that belong to an index and came from the default one.

    Lockers take a package from the index that is named for it where the project itself asks for
    it, and from the default one where only another package does: there it may be another CUDA's
    build, or a stranger's of the same name.

    Raises:
        LockError: With every such package.

    """
    variant = choose_variant(image)
    placed = {name for index in request.indexes for name in index.packages}
    owners = _list_owners(network, variant)
    problems = [
        _misplaced(request.image, package.name, owners[package.name], variant)
        for package in packages
        if package.name in owners and package.name not in placed and not package.conda
    ]
    if problems:
        raise LockError(*problems)


def _list_owners(network: Network, variant: str) -> dict[str, str]:
    """Return the index that each package belongs to."""
    known = {row.name for row in tables().indexes} if variant or network.indexes else set()
    owners = {row.name: row.index for row in tables().packages} if variant else {}
    return owners | {
        normalize(package): name
        for name, index in network.indexes.items()
        if name not in known
        for package in index.packages
    }


def _misplaced(image: str, package: str, index: str, variant: str) -> Problem:
    row = find_row(package)
    if row and row.index == index and variant == CPU and not row.cpu:
        return Problem(
            what=f"{package} has no build without CUDA",
            key=f"images.{image}.cpu-only",
            why=f"the index {index} has it for CUDA alone",
            fix="take it out, or let the image have CUDA",
        )
    builds = f", with other builds than the {variant} that the image asks for" if row else ""
    return Problem(
        what=f"{package} came from the default index{builds}",
        key=f"images.{image}.dependencies",
        why=f"only another package asks for it, and then lockers do not look at the index {index}",
        fix=f'add "{package}" to the dependencies, so that it is taken from there',
    )
