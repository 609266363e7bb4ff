"""What a driver supports, and which driver a toolkit needs."""

import functools
from bisect import bisect_right
from typing import Final

import msgspec

from envgen.cuda.host import Host, Platform
from envgen.cuda.tables import Architecture, Branch, CompatPackage, tables
from envgen.cuda.version import Capability, Version, parse_capability, parse_version

FIRST_WITH_MINOR_COMPATIBILITY: Final = 11
"""CUDA 11 is the first major version whose releases run on any driver of the major version."""


class Support(msgspec.Struct, frozen=True, kw_only=True):
    """The newest CUDA that a driver supports: `low` for certain, at most `high`.

    Attributes:
        low: Everything up to this one is supported.
        high: Nothing beyond this one is; None for a driver newer than the tables.

    """

    low: Version
    high: Version | None

    @property
    def exact(self) -> bool:
        """Whether both ends are the same."""
        return self.low == self.high

    def __str__(self) -> str:
        return str(self.low) if self.exact else f"{self.low} or newer"


@functools.cache
def _branches() -> tuple[Branch, ...]:
    return tuple(sorted(tables().branches, key=lambda row: row.branch))


@functools.cache
def find_branch(driver: Version, platform: Platform) -> int | None:
    """Return the driver branch a version belongs to; None where the tables do not know it.

    Windows releases of a branch have numbers above the Linux branch: 551.76 belongs to 550.
    """
    numbers = [row.branch for row in _branches()]
    position = bisect_right(numbers, driver.major)
    if platform == "linux":
        return driver.major if driver.major in numbers else None
    newest = position == len(numbers) and driver.major > numbers[-1] + 4
    return numbers[position - 1] if position and not newest else None


def supported_cuda(host: Host) -> Support | None:
    """Return the CUDA that a host's driver supports; None where nothing tells.

    What the driver itself reported counts more than the table.
    """
    if host.cuda is not None:
        return Support(low=host.cuda, high=host.cuda)
    return None if host.driver is None else _driver_support(host.driver, host.platform)


@functools.cache
def _driver_support(driver: Version, platform: Platform) -> Support | None:
    rows = _branches()
    branch = find_branch(driver, platform)
    position = bisect_right([row.branch for row in rows], branch or driver.major)
    if position == 0:
        return None
    low = parse_version(rows[position - 1].cuda)
    if branch is not None:
        return Support(low=low, high=low)
    high = parse_version(rows[position].cuda) if position < len(rows) else None
    return Support(low=low, high=high)


def host_branch(host: Host) -> int | None:
    """Return the driver branch of a host, from its driver or else from its CUDA."""
    if host.driver is not None:
        return find_branch(host.driver, host.platform)
    for row in _branches():
        if host.cuda is not None and parse_version(row.cuda) == host.cuda.release:
            return row.branch
    return None


@functools.cache
def minor_floor(major: int, platform: Platform) -> Version | None:
    """Return the oldest driver for a CUDA major version; None where there is none in the table."""
    for row in tables().minor_compatibility:
        if row.major == major:
            text = row.linux_driver if platform == "linux" else row.windows_driver
            return parse_version(text) if text else None
    return None


@functools.cache
def release_floor(cuda: Version, platform: Platform) -> Version | None:
    """Return the oldest driver that a toolkit release names; None where the table has none.

    A version without a patch number (`8.0`) gets the lowest floor of its releases.
    """
    floors = [
        parse_version(text)
        for row in tables().toolkits
        if parse_version(row.version).release == cuda.release
        and (len(cuda.parts) < 3 or parse_version(row.version) == cuda)
        and (text := row.linux_driver if platform == "linux" else row.windows_driver)
    ]
    return min(floors, default=None)


def reaches(driver: Version, floor: Version) -> bool:
    """Return whether a driver is at least `floor`; a bare branch counts as its newest release."""
    return driver.major >= floor.major if driver.is_branch else driver >= floor


@functools.cache
def find_architecture(capability: Capability | None) -> Architecture | None:
    """Return the table's row for a compute capability."""
    for row in tables().architectures:
        if parse_capability(row.capability) == capability:
            return row
    return None


@functools.cache
def compat_package(cuda: Version) -> CompatPackage | None:
    """Return the forward-compatibility package of a CUDA version."""
    for row in tables().compat:
        if parse_version(row.cuda) == cuda.release:
            return row
    return None
