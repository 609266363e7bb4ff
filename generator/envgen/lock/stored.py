"""The packages of a lock as they are on disk: the file of each layer of an image."""

import tomllib
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from packaging.pylock import (
    PackageSdist,
    PackageVcs,
    PackageWheel,
    Pylock,
    PylockValidationError,
)

from envgen.errors import LockError
from envgen.lock.model import LockedImage
from envgen.lock.packages import Artifact, GitCommit, LockedPackage
from envgen.lock.request import image_folder

Read = Callable[[str], bytes | None]
"""Reads a file by its path relative to the spec; None where there is none."""


def read_packages(name: str, image: LockedImage, read: Read) -> tuple[LockedPackage, ...]:
    """Return the packages of all layers of a locked image, sorted by name and version.

    Which file is taken on which platform is not told (`downloads` is empty).

    Raises:
        LockError: A layer's file is missing or damaged.

    """
    found: list[LockedPackage] = []
    for layer in image.layers:
        path = f"{image_folder(name)}/{layer.file}"
        try:
            found += _READERS[layer.kind](_read_toml(path, read))
        except (ValueError, RecursionError, PylockValidationError) as error:
            raise LockError.single(
                "does not hold what a layer holds", file=path, why=str(error), fix=_FIX
            ) from error
    return tuple(sorted(found, key=lambda package: (package.name, package.version)))


_FIX: Final = "run `python -m envgen lock`"


# TOMLDecodeError, UnicodeDecodeError and msgspec's ValidationError are ValueErrors.
def _read_toml(path: str, read: Read) -> dict[str, Any]:
    content = read(path)
    if content is None:
        raise LockError.single("is missing", file=path, fix=_FIX)
    return tomllib.loads(content.decode())


def _read_pylock(document: dict[str, Any]) -> Iterable[LockedPackage]:
    for package in Pylock.from_dict(document).packages:
        yield LockedPackage(
            name=package.name,
            version=str(package.version),
            wheels=tuple(_artifact(wheel) for wheel in package.wheels or ()),
            source=_artifact(package.sdist) if package.sdist else None,
            marker=str(package.marker or ""),
            git=_commit(package.vcs) if package.vcs else None,
        )


def _commit(found: PackageVcs) -> GitCommit:
    return GitCommit(
        url=found.url or "",
        commit=found.commit_id,
        ref=found.requested_revision or "",
        subdirectory=found.subdirectory or "",
    )


def _artifact(found: PackageWheel | PackageSdist) -> Artifact:
    return Artifact(
        filename=found.filename,
        url=found.url or "",
        sha256=found.hashes.get("sha256", ""),
        size=found.size,
    )


class _Archive(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    sha256: str
    size: int | None = None


class _CondaPackage(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str
    conda: str
    archives: tuple[_Archive, ...]


class _CondaLayer(msgspec.Struct, frozen=True, kw_only=True):
    packages: tuple[_CondaPackage, ...] = ()


def _read_conda(document: dict[str, Any]) -> Iterable[LockedPackage]:
    for package in msgspec.convert(document, _CondaLayer).packages:
        yield LockedPackage(
            name=package.name,
            version=package.version,
            conda=package.conda,
            wheels=tuple(
                Artifact(
                    filename=PurePosixPath(urlsplit(archive.url).path).name,
                    url=archive.url,
                    sha256=archive.sha256,
                    size=archive.size,
                )
                for archive in package.archives
            ),
        )


_READERS: Final[dict[str, Callable[[dict[str, Any]], Iterable[LockedPackage]]]] = {
    "pylock": _read_pylock,
    "git": _read_pylock,
    "base": _read_pylock,
    "conda": _read_conda,
}
