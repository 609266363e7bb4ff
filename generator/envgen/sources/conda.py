"""conda packages: each installed file held to the paths.json of the package that the lock names.

A package's own list of files and hashes is inside of its archive, and the lock has the archive's
SHA-256. Files that hold the path where they are installed are made from the archive again.
"""

import hashlib
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from envgen.errors import LockError
from envgen.image.region import Region, unpack
from envgen.lock.packages import Artifact, LockedPackage
from envgen.platforms import SUBDIRS
from envgen.sources.claims import Claims
from envgen.sources.downloads import Downloads
from envgen.sources.wheels import Prefix

_RECORDS: Final = "conda's own records"

_SCRIPT: Final = """\
#!{python}
# -*- coding: utf-8 -*-
import re
import sys

from {module} import {name}

if __name__ == '__main__':
\tsys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])
\tsys.exit({function}())
"""
"""What py-rattler 0.28.0 writes for an entry point of a package for every platform."""


class _Row(msgspec.Struct, frozen=True):
    """A file of paths.json (CEP 34, "paths.json")."""

    path: str = msgspec.field(name="_path")
    path_type: str = "hardlink"
    sha256: str = ""
    prefix_placeholder: str = ""
    file_mode: str = "text"


class _Paths(msgspec.Struct, frozen=True):
    paths: tuple[_Row, ...]


def claim_conda(
    claims: Claims,
    packages: Iterable[LockedPackage],
    prefix: Prefix,
    platform: str,
    downloads: Downloads,
) -> None:
    """Claim the files of all conda packages.

    Raises:
        LockError: A served file is not the locked one, or is no conda package.
        NetworkError: A file was not delivered.
        ToolError: This Python cannot unpack Zstandard, which `.conda` files are made with.

    """
    for package in packages:
        if package.conda:
            for archive in _for_platform(package, platform):
                _claim_package(claims, archive, prefix, downloads)


def _for_platform(package: LockedPackage, platform: str) -> Iterator[Artifact]:
    found = {archive.url: archive for archive in package.wheels}
    for url, archive in found.items():
        if url.split("/")[-2] in {SUBDIRS[platform], "noarch"}:
            yield archive


def _claim_package(claims: Claims, archive: Artifact, prefix: Prefix, downloads: Downloads) -> None:
    path = downloads.fetch(archive)
    folder = path.with_suffix(".d")
    try:
        _extract(path, archive.filename, folder)
        paths = msgspec.json.decode((folder / "info/paths.json").read_bytes(), type=_Paths)
        link = _read_link(folder)
        for row in paths.paths:
            _claim_row(claims, row, folder, prefix, archive.filename, pure=link is not None)
        for script, text in _scripts(link or {}, prefix):
            digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
            claims.hold(script.encode(), digest, f"an entry point of {archive.filename}")
    except (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise LockError.single(f"{archive.filename} is no conda package", why=str(error)) from error
    finally:
        path.unlink()
        shutil.rmtree(folder, ignore_errors=True)
    _claim_record(claims, archive, prefix)


def _extract(path: Path, name: str, folder: Path) -> None:
    if name.endswith(".tar.bz2"):
        with tarfile.open(path, "r:bz2") as archive:
            archive.extractall(folder, filter="data")
        return
    with zipfile.ZipFile(path) as outer:
        for member in outer.namelist():
            if not member.endswith(".tar.zst"):
                continue
            packed = Path(outer.extract(member, folder.with_suffix(".z")))
            region = Region(path=packed, start=0, size=packed.stat().st_size)
            unpacked, _ = unpack(region, packed.with_suffix(".tar"))
            with tarfile.open(unpacked.path) as archive:
                archive.extractall(folder, filter="data")
    shutil.rmtree(folder.with_suffix(".z"))


def _read_link(folder: Path) -> dict[str, Any] | None:
    """Return what a package for every Python says of its installation; None of all others."""
    path = folder / "info/link.json"
    if not path.is_file():
        return None
    noarch: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")).get("noarch", {})
    return noarch if noarch.get("type") == "python" else None


def _claim_row(
    claims: Claims, row: _Row, folder: Path, prefix: Prefix, origin: str, *, pure: bool
) -> None:
    if row.path_type == "directory" or row.path.endswith(".pyc"):  # bytecode is compiled anew
        return
    place = _place(row.path, prefix, pure=pure).encode()
    if row.path_type == "softlink":
        target = (folder / row.path).readlink().as_posix().encode()
        found = claims.find(place)
        claims.claim(place, origin)
        if found is None or found.entry.link != target:
            claims.complain(place, f"is not the link that {origin} has")
    elif row.prefix_placeholder:
        content = (folder / row.path).read_bytes()
        text = _relocate(content, row, f"/{prefix.root}".encode())
        claims.hold(place, f"sha256:{hashlib.sha256(text).hexdigest()}", origin)
    else:
        claims.hold(place, f"sha256:{row.sha256}", origin)


def _place(path: str, prefix: Prefix, *, pure: bool) -> str:
    if pure and path.startswith("site-packages/"):
        return f"{prefix.site_packages}/{path.removeprefix('site-packages/')}"
    if pure and path.startswith("python-scripts/"):
        return f"{prefix.root}/bin/{path.removeprefix('python-scripts/')}"
    return f"{prefix.root}/{path}"


def _relocate(content: bytes, row: _Row, prefix: bytes) -> bytes:
    """Return a file with the prefix in the place of the placeholder.

    In a binary, the string that holds it keeps its length: it is filled up with zeros.
    """
    placeholder = row.prefix_placeholder.encode()
    if row.file_mode != "binary":
        return content.replace(placeholder, prefix)

    def replace(found: re.Match[bytes]) -> bytes:
        return found[0].replace(placeholder, prefix).ljust(len(found[0]), b"\0")

    return re.sub(re.escape(placeholder) + rb"[^\0]*\0", replace, content)


def _scripts(link: dict[str, Any], prefix: Prefix) -> Iterator[tuple[str, str]]:
    for entry in link.get("entry_points", ()):
        script, _, target = (part.strip() for part in entry.partition("="))
        module, _, function = target.partition(":")
        name = function.partition(".")[0]
        text = _SCRIPT.format(
            python=prefix.versioned_python, module=module, name=name, function=function
        )
        yield f"{prefix.root}/bin/{script}", text


def _claim_record(claims: Claims, archive: Artifact, prefix: Prefix) -> None:
    stem = archive.filename.removesuffix(".conda").removesuffix(".tar.bz2")
    path = f"{prefix.root}/conda-meta/{stem}.json".encode()
    claims.claim(path, _RECORDS)
    record = json.loads(claims.read(path) or b"{}")
    if record.get("sha256") != archive.sha256:
        claims.complain(path, f"does not name the SHA-256 that the lock has of {archive.filename}")
