"""Wheels: each installed file held to the wheel that the lock names (PEP 427, PEP 376).

What an installer adds is explained too: the scripts of entry points, as uv writes them, and RECORD,
whose every row is held to the file that it names.
"""

import base64
import configparser
import csv
import hashlib
import io
import posixpath
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from packaging.utils import parse_wheel_filename

from envgen.lock.packages import Artifact, LockedPackage
from envgen.sources.claims import Claims
from envgen.sources.downloads import Downloads

_MACHINES: Final = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_INSTALLER_FILES: Final = ("INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json")

_SCRIPT: Final = """\
#!{python}
# -*- coding: utf-8 -*-
import sys
from {module} import {name}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({function}())
"""
"""What uv writes for an entry point (uv-install-wheel, `get_script_launcher`)."""


class Prefix:
    """Where packages are installed.

    Args:
        root: The environment's folder, without a slash at either end.
        python: Major and minor version.

    """

    def __init__(self, root: str, python: str) -> None:
        self.root = root
        self.python = f"/{root}/bin/python"
        self.versioned_python = f"{self.python}{python}"
        self.site_packages = f"{root}/lib/python{python}/site-packages"
        self._headers = f"{root}/include/site/python{python}"

    def place(self, member: str, name: str) -> str:
        """Return where the file of a wheel is installed."""
        first, _, rest = member.partition("/")
        if not first.endswith(".data"):
            return f"{self.site_packages}/{member}"
        scheme, _, path = rest.partition("/")
        folders = {
            "purelib": self.site_packages,
            "platlib": self.site_packages,
            "scripts": f"{self.root}/bin",
            "data": self.root,
            "headers": f"{self._headers}/{name}",
        }
        return f"{folders[scheme]}/{path}"


def claim_wheels(
    claims: Claims,
    packages: Iterable[LockedPackage],
    prefix: Prefix,
    platform: str,
    downloads: Downloads,
) -> None:
    """Claim the files of all packages that are installed from wheels.

    Raises:
        LockError: A served file is not the locked one.
        NetworkError: A file was not delivered.

    """
    for package in packages:
        if package.conda:
            continue
        folder = _find_dist_info(claims, package, prefix)
        if folder is None:
            if not package.marker:
                claims.problems.append(f"{package.name} {package.version} is not installed")
        elif not package.wheels:
            _claim_built(claims, package, folder, prefix)
        else:
            wheels = _order(package, platform)
            _claim_package(claims, folder, prefix, wheels, downloads)


def _find_dist_info(claims: Claims, package: LockedPackage, prefix: Prefix) -> str | None:
    """Return the folder of a package's metadata, by the name that wheels spell it with."""
    if package.wheels:
        distribution = package.wheels[0].filename.split("-")[:2]
        names = ["-".join(distribution)]
    else:
        names = [f"{package.name.replace('-', '_')}-{package.version}"]
    for name in names:
        folder = f"{prefix.site_packages}/{name}.dist-info"
        if claims.find(folder.encode()) is not None:
            return folder
    return None


def _order(package: LockedPackage, platform: str) -> Iterator[Artifact]:
    """Yield the wheels that can be installed on a platform."""
    machine = _MACHINES[platform]
    for wheel in package.wheels:
        tags = parse_wheel_filename(wheel.filename)[3]
        if any(tag.platform == "any" or tag.platform.endswith(machine) for tag in tags):
            yield wheel


def _claim_package(
    claims: Claims,
    folder: str,
    prefix: Prefix,
    wheels: Iterable[Artifact],
    downloads: Downloads,
) -> None:
    installed = claims.read(f"{folder}/WHEEL".encode())
    for wheel in wheels:
        path = downloads.fetch(wheel)
        try:
            with zipfile.ZipFile(path) as archive:
                info = posixpath.basename(folder)
                if archive.read(f"{info}/WHEEL") == installed:
                    _claim_members(claims, archive, prefix, wheel.filename)
                    _claim_added(claims, archive, folder, prefix, wheel.filename)
                    return
        finally:
            Path(path).unlink()
    claims.problems.append(f"/{folder} is of no wheel that the lock has of it")


def _claim_members(claims: Claims, archive: zipfile.ZipFile, prefix: Prefix, origin: str) -> None:
    name = origin.partition("-")[0]
    for member in archive.infolist():
        place = prefix.place(member.filename, name)
        if member.is_dir() or place.endswith(".dist-info/RECORD"):
            continue
        digest = hashlib.sha256()
        with archive.open(member) as stream:
            first = stream.readline() if "/scripts/" in member.filename else b""
            # An installer puts the environment's own Python there (PEP 427).
            if first.startswith(b"#!python"):
                first = f"#!{prefix.python}\n".encode()
            digest.update(first)
            while chunk := stream.read(1024 * 1024):
                digest.update(chunk)
        claims.hold(place.encode(), f"sha256:{digest.hexdigest()}", origin)


def _claim_added(
    claims: Claims, archive: zipfile.ZipFile, folder: str, prefix: Prefix, origin: str
) -> None:
    """Claim what the installer made: scripts, notes of its own, and RECORD."""
    info = posixpath.basename(folder)
    for name, module, function in _entry_points(archive, info):
        text = _SCRIPT.format(
            python=prefix.python,
            module=module,
            name=function.partition(".")[0],
            function=function,
        )
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        claims.hold(f"{prefix.root}/bin/{name}".encode(), digest, f"an entry point of {origin}")
    for name in _INSTALLER_FILES:
        if claims.find(f"{folder}/{name}".encode()) is not None:
            claims.claim(f"{folder}/{name}".encode(), "the installer's notes")
    _claim_record(claims, folder, prefix)


def _entry_points(archive: zipfile.ZipFile, info: str) -> Iterator[tuple[str, str, str]]:
    name = f"{info}/entry_points.txt"
    if name not in archive.namelist():
        return
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read_string(archive.read(name).decode())
    for section in ("console_scripts", "gui_scripts"):
        for script, target in parser.items(section) if parser.has_section(section) else ():
            module, _, function = target.partition("[")[0].strip().partition(":")
            yield script, module.strip(), function.strip()


def _claim_record(claims: Claims, folder: str, prefix: Prefix) -> None:
    path = f"{folder}/RECORD".encode()
    claims.claim(path, "the installer's notes")
    rows = csv.reader(io.StringIO((claims.read(path) or b"").decode()))
    for row in rows:
        place = posixpath.normpath(posixpath.join(prefix.site_packages, row[0])).encode()
        found = claims.find(place)
        if found is None or (row[1] and _record_hash(claims.files.digest(found)) != row[1]):
            claims.complain(place, f"is not what {posixpath.basename(folder)}/RECORD says")


def _record_hash(digest: str) -> str:
    """Return a digest as RECORD spells it."""
    value = bytes.fromhex(digest.partition(":")[2])
    return f"sha256={base64.urlsafe_b64encode(value).rstrip(b'=').decode()}"


def _claim_built(claims: Claims, package: LockedPackage, folder: str, prefix: Prefix) -> None:
    """Claim what RECORD lists of a package that the build made from its source archive."""
    record = claims.read(f"{folder}/RECORD".encode()) or b""
    origin = f"a build of {package.name} from source"
    for row in csv.reader(io.StringIO(record.decode())):
        place = posixpath.normpath(posixpath.join(prefix.site_packages, row[0]))
        claims.claim(place.encode(), origin)
    _claim_record(claims, folder, prefix)
    claims.notes.append(
        f"{package.name} {package.version} was built from source; its files are held to its own "
        "RECORD only"
    )
