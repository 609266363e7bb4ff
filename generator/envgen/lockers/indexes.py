"""Indexes beside the default one, and the packages that an image takes from them alone. Pure.

An index is asked for the packages that are named for it and for no others, so that nothing on it
can stand in for a package of PyPI. Which packages have builds for each CUDA on an index of their
own is data: presets/data/indexes.toml.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from envgen.resources import PRESETS
from envgen.spec.model import Image, Network

CPU: Final = "cpu"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


class PackageIndex(msgspec.Struct, frozen=True, kw_only=True):
    """An index as a locker is told of it.

    Attributes:
        name: What the locker's files call it: `pytorch-cu128`.
        declared: What the spec calls it, and the variables with its login: `pytorch`.
        url: Its address, that of the variant where there are variants.
        packages: Those that the image asks for and takes from there, normalised and sorted.
        upload_times: Whether it says when files were uploaded.

    """

    name: str
    declared: str
    url: str
    packages: tuple[str, ...]
    upload_times: bool = False


class IndexRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An index with a folder for each CUDA release."""

    name: str
    url: str
    cuda: tuple[str, ...]
    source: str


class PackageRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package with a build for each CUDA release; `cpu` says whether there is one without."""

    name: str
    index: str
    cpu: bool
    source: str


class _Tables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    indexes: tuple[IndexRow, ...]
    packages: tuple[PackageRow, ...]


@functools.cache
def tables() -> _Tables:
    """Return the indexes that envgen knows, and the packages on them."""
    import tomllib  # noqa: PLC0415 - few images need the table

    text = (PRESETS / "data" / "indexes.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Tables)


def normalize(name: str) -> str:
    """Return a package's name as PyPA's name specification writes it; importing nothing."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    """Return the normalised name of the package that a PEP 508 requirement is about."""
    found = _NAME.match(requirement.strip())
    return normalize(found[0].rstrip("._-")) if found else ""


def choose_variant(image: Image) -> str:
    """Return the builds that an image asks for: `cpu`, `cu128`, or empty for PyPI's own.

    conda chooses its builds itself; `gpu.cuda` tells it what the hosts have.
    """
    if image.locker == "conda-lock":
        return ""
    if image.cpu_only:
        return CPU
    cuda = image.gpu.cuda if image.gpu else "auto"
    return "" if cuda == "auto" else f"cu{cuda.replace('.', '')}"


def choose_indexes(
    image: Image, network: Network, requirements: Iterable[str]
) -> tuple[PackageIndex, ...]:
    """Return the indexes that an image takes packages from beside the default one.

    Args:
        image: What it says of CUDA.
        network: The indexes that the spec declares, and mirrors of those that envgen knows.
        requirements: All that the image asks for, as PEP 508 requirements.

    """
    variant = choose_variant(image)
    if not (variant or network.indexes):
        return ()
    wanted = {requirement_name(text) for text in requirements}
    declared = tuple(_declared(network, wanted))
    # What the spec declares wins: a company may have torch builds of its own.
    wanted = wanted.difference(*(index.packages for index in declared))
    found = (*_variants(variant, network, wanted), *declared)
    return tuple(index for index in found if index.packages)


def _variants(variant: str, network: Network, wanted: set[str]) -> Iterator[PackageIndex]:
    for row in tables().indexes if variant else ():
        mirror = network.indexes.get(row.name)
        yield PackageIndex(
            name=f"{row.name}-{variant}",
            declared=row.name,
            url=f"{(mirror.url if mirror else row.url).rstrip('/')}/{variant}",
            packages=tuple(sorted(wanted & _names_on(row.name, variant))),
            upload_times=bool(mirror and mirror.upload_times),
        )


def _declared(network: Network, wanted: set[str]) -> Iterator[PackageIndex]:
    known = {row.name for row in tables().indexes}
    for name, index in network.indexes.items():
        if name not in known:
            yield PackageIndex(
                name=name,
                declared=name,
                url=index.url,
                packages=tuple(sorted(wanted & {normalize(text) for text in index.packages})),
                upload_times=index.upload_times,
            )


def _names_on(index: str, variant: str) -> set[str]:
    return {
        row.name for row in tables().packages if row.index == index and (row.cpu or variant != CPU)
    }


def find_row(package: str) -> PackageRow | None:
    """Return what is known of a package that has a build for each CUDA release."""
    return next((row for row in tables().packages if row.name == package), None)


def unknown_release(cuda: str) -> tuple[str, ...]:
    """Return the CUDA releases that PyTorch's index is known to have, if `cuda` is none of them."""
    (row,) = tables().indexes
    return () if cuda in row.cuda else row.cuda


def exempt_packages(indexes: Iterable[PackageIndex]) -> tuple[str, ...]:
    """Return the packages that `exclude-newer` would hide, since nothing tells their age."""
    return tuple(
        sorted(name for index in indexes if not index.upload_times for name in index.packages)
    )


def login_variables(index: str = "") -> tuple[str, str]:
    """Return the variables with user name and password of an index, by its name in the spec.

    Without a name they are the default index's.
    """
    prefix = f"ENVGEN_INDEX_{index.upper().replace('-', '_')}_" if index else "ENVGEN_INDEX_"
    return f"{prefix}USERNAME", f"{prefix}PASSWORD"


def list_logins(
    default: str, indexes: Iterable[PackageIndex]
) -> tuple[tuple[str, tuple[str, str]], ...]:
    """Return the address of each index with the variables that hold its login."""
    found = [(default, login_variables())] if default else []
    found += [(index.url, login_variables(index.declared)) for index in indexes]
    return tuple(found)
