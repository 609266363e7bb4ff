"""Versions of drivers, toolkits and compute capabilities, compared number by number."""

import functools
import re
from typing import Final

import msgspec

_PATTERN: Final = re.compile(r"\d+(?:\.\d+)*")
_ARCHITECTURE: Final = re.compile(r"(?:sm_|compute_)(\d+)(\d)[af]?")

Capability = tuple[int, int]
"""A compute capability: (8, 6) is what NVIDIA writes as 8.6 and compilers as sm_86."""


class Version(msgspec.Struct, frozen=True, eq=False):
    """A dotted version such as `535.129.03` or `12.8`; trailing zeros do not count.

    Attributes:
        text: As it was written, leading zeros included, for messages.
        parts: The numbers, without trailing zeros.

    """

    text: str
    parts: tuple[int, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.parts == other.parts

    def __lt__(self, other: "Version") -> bool:
        return self.parts < other.parts

    def __le__(self, other: "Version") -> bool:
        return self.parts <= other.parts

    def __gt__(self, other: "Version") -> bool:
        return self.parts > other.parts

    def __ge__(self, other: "Version") -> bool:
        return self.parts >= other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __str__(self) -> str:
        return self.text

    @property
    def major(self) -> int:
        """The first number: a driver's branch, a toolkit's major version."""
        return self.parts[0] if self.parts else 0

    @property
    def minor(self) -> int:
        """The second number, 0 where there is none."""
        return self.parts[1] if len(self.parts) > 1 else 0

    @property
    def release(self) -> "Version":
        """Major and minor only: `12.8` of `12.8.1`."""
        return _release(self.parts)

    @property
    def is_branch(self) -> bool:
        """Whether it names a driver branch only (`535`), not a release of it (`535.129.03`)."""
        return "." not in self.text


@functools.cache
def _release(parts: tuple[int, ...]) -> Version:
    major, minor = (*parts, 0, 0)[:2]
    return parse_version(f"{major}.{minor}")


@functools.cache
def parse_version(text: str) -> Version:
    """Return a version.

    Raises:
        ValueError: The text is not digits and dots.

    """
    if not is_version(text):
        raise ValueError(f"{text!r} is not a version")
    parts = [int(number) for number in text.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return Version(text, tuple(parts))


def is_version(text: str) -> bool:
    """Return whether a text is a version and nothing else."""
    return _PATTERN.fullmatch(text) is not None


def find_version(text: str) -> Version | None:
    """Return the first version in a text, or None."""
    found = _PATTERN.search(text)
    return parse_version(found.group()) if found else None


def parse_capability(text: str) -> Capability:
    """Return the compute capability that `8.6`, `sm_86`, `compute_120` or `9.0a` names.

    The suffix of architecture-specific code (`a`, `f`) is dropped: such code runs on its own
    capability, which is how a SASS entry is treated anyway.

    Raises:
        ValueError: The text names none.

    """
    architecture = _ARCHITECTURE.fullmatch(text)
    if architecture:
        return int(architecture[1]), int(architecture[2])
    dotted = re.fullmatch(r"(\d+)\.(\d)[af]?", text)
    if not dotted:
        raise ValueError(f"{text!r} is not a compute capability")
    return int(dotted[1]), int(dotted[2])


def format_capability(capability: Capability) -> str:
    """Return `8.6` for (8, 6)."""
    return f"{capability[0]}.{capability[1]}"


def format_sm(capability: Capability) -> str:
    """Return `sm_86` for (8, 6)."""
    return f"sm_{capability[0]}{capability[1]}"
