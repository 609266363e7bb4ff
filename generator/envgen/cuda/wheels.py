"""The GPU code inside released packages."""

import functools
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from envgen.cuda.requirement import Component, Kernels, Machine
from envgen.cuda.tables import KernelRow, Software, tables
from envgen.cuda.version import Version, find_version, parse_capability, parse_version

ALIASES: Final = {
    "libtorch": "torch",
    "pytorch": "torch",
    "tensorflow-gpu": "tensorflow",
    "tf-nightly-gpu": "tensorflow",
    "tf-nightly": "tensorflow",
    "onnxruntime-gpu-cu12": "onnxruntime-gpu",
    "pytorch-cuda": "torch",
}
"""Other names under which the software of kernels.toml and ptx.toml is known."""


_VARIANT_SUFFIX: Final = re.compile(r"-cu(?:da)?\d+x?$")


def canonical_name(package: str, cuda: Version | None = None) -> str:
    """Return the name under which the tables know a package.

    `cupy-cuda12x` is cupy and `mxnet-cu102` is mxnet; jax and jaxlib have their GPU code in the
    plugin of the CUDA major.
    """
    name = _VARIANT_SUFFIX.sub("", re.sub(r"[-_. ]+", "-", package.strip().lower()))
    if name in {"jax", "jaxlib"} and cuda is not None:
        return f"jax-cuda{cuda.major}-plugin" if cuda.major in {12, 13} else "jaxlib"
    return ALIASES.get(name, name)


def describe_wheel(
    package: str, version: str, cuda: Version | None, machine: Machine = "x86_64"
) -> Component:
    """Return what is known of a package at a version, built for a CUDA.

    Args:
        package: As the package index has it.
        version: As the lock has it; empty, or with words in it, where it is not known.
        cuda: The CUDA runtime it uses.
        machine: `x86_64` or `aarch64`.

    """
    name = canonical_name(package, cuda)
    rows = find_rows(name, version, cuda, machine)
    software = find_software(name, version)
    builds = tuple(dict.fromkeys(_kernels(row) for row in rows))
    if not builds and software and software.kernels and cuda:
        builds = default_target(software.kernels, cuda)
    return Component(
        name=" ".join(filter(None, (package, version))),
        cuda=cuda,
        builds=builds,
        ptx_at_runtime=bool(software and software.at_runtime),
        note="the exact build is not known; any of several may be it" if len(builds) > 1 else "",
    )


def bundled_parts(
    package: str, version: str, cuda: Version | None, machine: Machine = "x86_64"
) -> tuple[Component, ...]:
    """Return what a package brings beside its own kernels, built for other GPUs than those."""
    name = canonical_name(package, cuda)
    return tuple(
        msgspec.structs.replace(
            describe_wheel(row.part, version, cuda, machine),
            used_from=parse_capability(row.used_from),
        )
        for row in tables().bundles
        if row.package == name and in_range(find_version(version), row.versions)
    )


def default_cuda(package: str, version: str, machine: str = "x86_64") -> Version | None:
    """Return the CUDA of the wheel that PyPI serves for a release; None where no row tells."""
    name = canonical_name(package)
    for row in tables().defaults:
        if (row.package, row.version) == (name, version) and machine in row.machines:
            return parse_version(row.cuda)
    return None


@functools.cache
def find_rows(
    package: str, version: str, cuda: Version | None, machine: Machine = "x86_64"
) -> tuple[KernelRow, ...]:
    """Return the rows that may describe a build: those of its version, else those of its CUDA."""
    rows = [row for row in tables().kernels if row.package == package and row.machine == machine]
    number = find_version(version)
    named = _rows_of_version(rows, number) if number else rows
    exact = _rows_of_cuda(named, cuda)
    if exact:
        return exact
    variants = {row.cuda for row in named}
    if number and len(variants) == 1:  # the version tells the build, whatever CUDA it loads
        return tuple(named)
    return _rows_of_cuda(rows, cuda)


def _rows_of_version(rows: Iterable[KernelRow], version: Version) -> list[KernelRow]:
    exact = [row for row in rows if row.version == str(version)]
    series = [row for row in rows if row.version in {str(version.release), "*"}]
    return exact or series


def _rows_of_cuda(rows: Iterable[KernelRow], cuda: Version | None) -> tuple[KernelRow, ...]:
    """Return the rows built for a CUDA, or for its major version where a package has one each."""
    rows = tuple(rows)
    if cuda is None:
        return rows
    same = tuple(row for row in rows if parse_version(row.cuda) == cuda.release)
    major = tuple(row for row in rows if parse_version(row.cuda).major == cuda.major)
    return same or (major if len({row.cuda for row in major}) == 1 else ())


def _kernels(row: KernelRow) -> Kernels:
    return Kernels(
        sass=tuple(parse_capability(code) for code in row.sass),
        ptx=tuple(parse_capability(code) for code in row.ptx),
    )


def find_software(name: str, version: str = "") -> Software | None:
    """Return how a program compiles GPU code, where the tables know it."""
    number = find_version(version)
    for row in tables().software:
        if row.name == name and in_range(number, row.versions):
            return row
    return None


def in_range(version: Version | None, versions: str) -> bool:
    """Return whether a version lies in `>=1.2,<1.3`; an empty range holds all, unknown none."""
    if not versions:
        return True
    if version is None:
        return False
    for bound in versions.split(","):
        if bound.startswith(">=") and version < parse_version(bound[2:]):
            return False
        if (
            bound.startswith("<")
            and not bound.startswith("<=")
            and version >= parse_version(bound[1:])
        ):
            return False
    return True


def default_target(name: str, cuda: Version) -> tuple[Kernels, ...]:
    """Return what a build contains when nobody named an architecture."""
    return tuple(
        Kernels(
            sass=tuple(parse_capability(code) for code in row.sass),
            ptx=tuple(parse_capability(code) for code in row.ptx),
        )
        for row in tables().default_targets
        if row.name == name and row.toolkit == cuda.major
    )
