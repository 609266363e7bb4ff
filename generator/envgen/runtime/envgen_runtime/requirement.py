"""What the locked software needs of a driver and of GPUs: cuda.txt beside this package.

`envgen render` writes it from the lock and from the tables that `envgen doctor` asks. Plain lines,
a word and its value, because importing json takes longer than all the rest of a start.
"""

from __future__ import annotations

import os

REQUIREMENT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cuda.txt")


class Part:
    """A locked package with code for GPUs.

    Attributes:
        name: Name and version.
        release: The CUDA release that it uses, as `12.8`; empty where that is not known.
        branch: The first driver branch that supports this CUDA itself; 0 where none is known.
        floors: The oldest driver, for `linux` and `wsl2`, where one is known.
        compiles: Whether it hands PTX to the driver's compiler while it runs.
        builds: The targets of its code, as sm_80 and compute_90; any of several may be it, none
            where its code is not known.
        without: GPUs for which its CUDA makes no code.
        used_from: The oldest GPU on which it is used at all, as sm_80; empty for any.

    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.release = ""
        self.branch = 0
        self.floors: dict[str, str] = {}
        self.compiles = False
        self.builds: list[list[str]] = []
        self.without: list[str] = []
        self.used_from = ""

    @property
    def cuda(self) -> tuple[int, ...]:
        return version(self.release)


class Requirement:
    """What the image asks: whether it needs a GPU, and its parts."""

    def __init__(self) -> None:
        self.required = False
        self.integrated: list[str] = []
        self.parts: list[Part] = []


def read_requirement(path: str, machine: str) -> Requirement | None:
    """Return what the image asks of this kind of machine; None where it asks nothing.

    Args:
        path: Of cuda.txt.
        machine: The processor, as `x86_64`.

    """
    try:
        with open(path, encoding="utf-8") as file:
            return parse_requirement(file.read(), machine)
    except FileNotFoundError:
        return None


def parse_requirement(text: str, machine: str) -> Requirement:
    requirement, here = Requirement(), True
    for line in text.splitlines():
        word, _, value = line.partition(" ")
        if word == "required":
            requirement.required = value == "yes"
        elif word == "integrated":
            requirement.integrated = value.split()
        elif word == "machine":
            here = value == machine
        elif word == "package" and here:
            requirement.parts.append(Part(value))
        elif here and requirement.parts:
            _fill(requirement.parts[-1], word, value)
    return requirement


def _fill(part: Part, word: str, value: str) -> None:
    if word == "cuda":
        part.release = value
    elif word == "branch":
        part.branch = int(value)
    elif word in ("linux", "wsl2"):
        part.floors[word] = value
    elif word == "compiles":
        part.compiles = True
    elif word == "build":
        part.builds.append(value.split())
    elif word == "without":
        part.without = value.split()
    elif word == "from":
        part.used_from = value


def is_version(text: str) -> bool:
    return all(part.isdigit() for part in text.split("."))


def version(text: str) -> tuple[int, ...]:
    """Return the numbers of a dotted version without trailing zeros; none where it is none."""
    numbers = [int(part) for part in text.split(".")] if is_version(text) else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
