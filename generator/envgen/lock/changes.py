"""What a new lock changed, package by package."""

from collections.abc import Iterable, Mapping

import msgspec

from envgen.lock.packages import LockedPackage


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is pinned differently than before.

    Attributes:
        image: The image whose package it is; empty for a base image.
        name: The package, or the base image.
        old: Its version or digest before; empty where it is new.
        new: Its version or digest now; empty where it is gone.

    """

    image: str
    name: str
    old: str
    new: str

    def __str__(self) -> str:
        prefix = f"{self.image}: " if self.image else ""
        match self.old, self.new:
            case "", new:
                return f"{prefix}added {self.name} {new}"
            case old, "":
                return f"{prefix}removed {self.name} {old}"
            case old, new:
                return f"{prefix}{self.name} {old} -> {new}"


def describe_changes(changes: Iterable[Change]) -> list[str]:
    """Return a line for each change, and a single one for an image that was not locked before."""
    grouped: dict[str, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.image, []).append(change)
    lines = []
    for image, found in grouped.items():
        if image and len(found) > 1 and not any(change.old for change in found):
            lines.append(f"{image}: {len(found)} packages locked")
        else:
            lines += [str(change) for change in found]
    return lines


def compare_packages(
    image: str, before: Iterable[Mapping[str, object]], after: Iterable[LockedPackage]
) -> tuple[Change, ...]:
    """Return how an image's packages differ from the package tables of its last pylock.toml."""
    old = {str(package.get("name")): _describe_table(package) for package in before}
    new = {package.name: describe_version(package) for package in after}
    return tuple(
        Change(image=image, name=name, old=old.get(name, ""), new=new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def describe_version(package: LockedPackage) -> str:
    """Return a package's version, and with it the commit that it is built from."""
    return _join(package.version, package.git.commit if package.git else "")


def _describe_table(package: Mapping[str, object]) -> str:
    vcs = package.get("vcs")
    commit = vcs.get("commit-id", "") if isinstance(vcs, dict) else ""
    return _join(str(package.get("version", "")), str(commit))


def _join(version: str, commit: str) -> str:
    return f"{version} ({commit[:12]})" if commit else version
