"""The audit of one image: its packages, what is known of them, and how old its lock is."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from packaging.version import InvalidVersion, Version

from envgen.audit.advisory import Advisory, read_advisories
from envgen.audit.osv import Key
from envgen.lock.packages import LockedPackage

_PYTHON_BUILD: Final = re.compile(r"-py(?:\d|h)[^-]*$")
"""The build string of a conda package for Python begins so, whatever its version."""


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """A locked package with vulnerabilities."""

    name: str
    version: str
    advisories: tuple[Advisory, ...]


class ImageAudit(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an image.

    Attributes:
        image: Its name.
        vulnerable: Packages with advisories.
        clean: How many packages have none.
        not_audited: Packages that nobody was asked about, with the reason.
        age_days: Since its packages last changed, by the repository's commits; None where no
            commit tells.

    """

    image: str
    vulnerable: tuple[Audited, ...]
    clean: int
    not_audited: dict[str, str]
    age_days: int | None


def public_key(package: LockedPackage) -> Key | None:
    """Return what OSV knows a package by; None for one that it has no database for."""
    if package.conda and not _is_python(package):
        return None
    try:
        return package.name, Version(package.version).public
    except InvalidVersion:
        return None


def _is_python(package: LockedPackage) -> bool:
    files = (artifact.filename for artifact in package.wheels)
    return any(
        _PYTHON_BUILD.search(name.removesuffix(".conda").removesuffix(".tar.bz2")) for name in files
    )


def audit_image(
    image: str,
    packages: Iterable[LockedPackage],
    documents: Mapping[Key, list[Mapping[str, Any]]],
    *,
    age_days: int | None,
) -> ImageAudit:
    """Return the audit of an image, from what OSV answered."""
    vulnerable, clean, not_audited = [], 0, {}
    for package in packages:
        key = public_key(package)
        if key is None:
            not_audited[f"{package.name} {package.version}"] = _why_not(package)
            continue
        found = read_advisories(documents[key], name=key[0], version=key[1])
        if found:
            vulnerable.append(Audited(name=package.name, version=package.version, advisories=found))
        else:
            clean += 1
    return ImageAudit(
        image=image,
        vulnerable=tuple(vulnerable),
        clean=clean,
        not_audited=not_audited,
        age_days=age_days,
    )


def _why_not(package: LockedPackage) -> str:
    if package.conda:
        return "OSV has no database of conda packages that are not Python's"
    return f"{package.version} is no version that PyPI could have"
