"""Two locks side by side: what came, what went, what moves, and how many bytes that is."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from envgen.lock.changes import describe_version
from envgen.lock.model import Lock, LockedImage
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lock.stored import read_packages

Sizes = Mapping[str, int]
"""Bytes to download, by platform (`linux/amd64`)."""


class PackageChange(msgspec.Struct, frozen=True, kw_only=True):
    """A package that one lock has otherwise than the other.

    Attributes:
        name: Its name.
        old: Its version before; empty where it is new.
        new: Its version now; empty where it is gone. Equal to `old` where only files differ.
        old_bytes: What its largest file weighed; None where that is not known.
        new_bytes: What it weighs now.

    """

    name: str
    old: str
    new: str
    old_bytes: int | None
    new_bytes: int | None


class FactChange(msgspec.Struct, frozen=True, kw_only=True):
    """Something about an image that is no package: its base, its locker, what it needs of a host.

    Attributes:
        about: What it is about, as `base`.
        old: As it was; empty where it is new.
        new: As it is.

    """

    about: str
    old: str
    new: str


class MovedLayer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that is built and pulled anew, with what it weighs; empty where it is gone."""

    name: str
    download_bytes: dict[str, int]


class ImageDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How an image's lock differs.

    Attributes:
        image: Its name.
        state: `added`, `removed` or `changed`.
        packages: Sorted by name.
        facts: In a fixed order.
        layers: Those whose content differs, in the order in which they are stacked.
        old_bytes: What all of it weighed on the wire, by platform.
        new_bytes: What it weighs now.

    """

    image: str
    state: str
    packages: tuple[PackageChange, ...]
    facts: tuple[FactChange, ...]
    layers: tuple[MovedLayer, ...]
    old_bytes: dict[str, int]
    new_bytes: dict[str, int]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A lock and the reader of the files beside it, at one time."""

    lock: Lock
    read: Callable[[str], bytes | None]


def compare_locks(old: Snapshot, new: Snapshot) -> tuple[ImageDiff, ...]:
    """Return the images that differ, in the new lock's order, those that are gone last.

    Raises:
        LockError: A layer's pylock.toml is missing or damaged.

    """
    names = dict.fromkeys((*new.lock.images, *old.lock.images))
    found = (_compare_image(name, old, new) for name in names)
    return tuple(one for one in found if one.packages or one.facts or one.layers)


def _compare_image(name: str, old: Snapshot, new: Snapshot) -> ImageDiff:
    before, after = old.lock.images.get(name), new.lock.images.get(name)
    state = "changed" if before and after else "added" if after else "removed"
    return ImageDiff(
        image=name,
        state=state,
        packages=_compare_packages(_packages(name, old), _packages(name, new)),
        facts=_compare_facts(_facts(before, old.lock), _facts(after, new.lock)),
        layers=_moved_layers(before, after),
        old_bytes=_weigh(before),
        new_bytes=_weigh(after),
    )


def _packages(name: str, side: Snapshot) -> dict[str, list[LockedPackage]]:
    image = side.lock.images.get(name)
    found: dict[str, list[LockedPackage]] = {}
    for package in read_packages(name, image, side.read) if image else ():
        found.setdefault(package.conda or package.name, []).append(package)
    return found


def _compare_packages(
    before: Mapping[str, list[LockedPackage]], after: Mapping[str, list[LockedPackage]]
) -> tuple[PackageChange, ...]:
    return tuple(
        PackageChange(
            name=name,
            old=_versions(before.get(name, [])),
            new=_versions(after.get(name, [])),
            old_bytes=_largest(before.get(name, [])),
            new_bytes=_largest(after.get(name, [])),
        )
        for name in sorted(before.keys() | after.keys())
        if _identity(before.get(name, [])) != _identity(after.get(name, []))
    )


def _versions(packages: Iterable[LockedPackage]) -> str:
    return ", ".join(sorted({describe_version(package) for package in packages}))


def _identity(packages: Iterable[LockedPackage]) -> set[tuple[str, str]]:
    """Return the versions with the hashes of their files, so that a rebuild shows too."""
    commits = {(package.git.commit, "") for package in packages if package.git}
    files = {(package.version, file.sha256) for package in packages for file in _files(package)}
    return commits | files


def _files(package: LockedPackage) -> tuple[Artifact, ...]:
    return (*package.wheels, *((package.source,) if package.source else ()))


def _largest(packages: Iterable[LockedPackage]) -> int | None:
    sizes = [file.size for package in packages for file in _files(package)]
    known = [size for size in sizes if size is not None]
    return max(known) if known and len(known) == len(sizes) else None


def _facts(image: LockedImage | None, lock: Lock) -> dict[str, str]:
    """Return what is told of an image beside its packages; a new kind of fact is one line here."""
    if image is None:
        return {}
    base = lock.find_base(image.base)
    uv = lock.find_tool("uv")
    return {
        "base": image.base,
        "base digest": base.digest if base else "",
        "locker": f"{image.locker} {image.locker_version}",
        "uv in builds": uv.version if uv else "",
        "CUDA": ", ".join(
            f"{code.package} {code.version}" + (f" (CUDA {code.cuda})" if code.cuda else "")
            for code in image.gpu_code
        ),
    }


def _compare_facts(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[FactChange, ...]:
    return tuple(
        FactChange(about=about, old=before.get(about, ""), new=after.get(about, ""))
        for about in (after or before)
        if before.get(about, "") != after.get(about, "")
    )


def _moved_layers(before: LockedImage | None, after: LockedImage | None) -> tuple[MovedLayer, ...]:
    old = {layer.name: layer.sha256 for layer in before.layers} if before else {}
    new = after.layers if after else ()
    moved = [
        MovedLayer(name=layer.name, download_bytes=layer.download_bytes)
        for layer in new
        if old.get(layer.name) != layer.sha256
    ]
    kept = {layer.name for layer in new}
    return (*moved, *(MovedLayer(name=name, download_bytes={}) for name in old if name not in kept))


def _weigh(image: LockedImage | None) -> dict[str, int]:
    total: dict[str, int] = {}
    for layer in image.layers if image else ():
        for platform, size in layer.download_bytes.items():
            total[platform] = total.get(platform, 0) + size
    return total
