"""What a base image has installed: dpkg's own record, read from the layers in its registry."""

import tarfile
import tempfile
import time
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from envgen.apt.control import Package, make_package, parse_paragraph, split_paragraphs
from envgen.errors import LockError
from envgen.image.fetch import download_blob
from envgen.image.region import Region, unpack
from envgen.registry.client import ask_in_turn, decode, read_manifest
from envgen.registry.manifest import Manifest
from envgen.registry.reader import Reader
from envgen.registry.reference import ImageReference

_STATUS: Final = "var/lib/dpkg/status"
_OS_RELEASE: Final = ("etc/os-release", "usr/lib/os-release")
_MAX_BYTES: Final = 64 * 1024 * 1024


class BaseSystem(msgspec.Struct, frozen=True, kw_only=True):
    """What a base image says of itself.

    Attributes:
        status: dpkg's record of what is installed; empty where it has none.
        system: `ID` and `VERSION_ID` of its os-release, as `debian 13`; empty where nobody asked.

    """

    status: str
    system: str

    @property
    def sha256(self) -> str:
        """Of the record."""
        return sha256(self.status.encode()).hexdigest()


def read_base(
    reference: ImageReference,
    *,
    platform: str,
    mirrors: Mapping[str, str],
    ca_certificates: Path | None,
    with_system: bool,
) -> BaseSystem:
    """Return what an image has installed.

    Layers are read from the top, so that most images are not fetched as a whole.

    Args:
        reference: The image, with its digest.
        platform: As `linux/amd64`.
        mirrors: A host or a URL for a registry's name, which is asked before the registry itself.
        ca_certificates: A PEM file to trust instead of SSL_CERT_FILE or the system's certificates.
        with_system: Whether to look which distribution it is made of, too.

    Raises:
        LockError: It is not a system that dpkg manages.
        NetworkError: Its registry did not deliver.

    """
    wanted = {_STATUS, *(_OS_RELEASE if with_system else ())}

    def read(reader: Reader) -> dict[str, str]:
        manifest = decode(reader, read_manifest(reader, platform).body, Manifest)
        found: dict[str, str] = {}
        for layer in reversed(manifest.layers):
            with tempfile.TemporaryDirectory(prefix="envgen-") as folder:
                blob = download_blob(reader, layer.digest, Path(folder) / "blob")
                region, _ = unpack(blob, Path(folder) / "layer.tar")
                found = _read_texts(region, wanted - found.keys()) | found
            if _STATUS in found and (not with_system or not found.keys().isdisjoint(_OS_RELEASE)):
                break
        return found

    found = ask_in_turn(reference, mirrors, ca_certificates, time.sleep, read)
    if not found.get(_STATUS):
        raise LockError.single(
            f"{reference} has no record of dpkg",
            why=f"/{_STATUS} tells which OS packages an image has, and it is not there",
            fix="name a base of Debian or Ubuntu, or leave `apt` out",
        )
    return BaseSystem(status=found[_STATUS], system=_name_system(found))


def _read_texts(region: Region, paths: Iterable[str]) -> dict[str, str]:
    """Return the texts that a layer has at some paths; an empty one for what it takes away."""
    found: dict[str, str] = {}
    gone = {f"{folder}/.wh.{name}": path for path in paths for folder, name in _parents(path)}
    with region.path.open("rb") as stream:
        stream.seek(region.start)
        with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as archive:
            for member in archive:
                name = member.name.removeprefix("./").strip("/")
                if name in paths and member.isreg() and member.size < _MAX_BYTES:
                    content = archive.extractfile(member)
                    found[name] = content.read().decode("utf-8", "replace") if content else ""
                elif name in gone:
                    found.setdefault(gone[name], "")
    return found


def _parents(path: str) -> list[tuple[str, str]]:
    """Return the folder and the name of a path, and of every folder that it is in."""
    parts = path.split("/")
    return [("/".join(parts[:n]), parts[n]) for n in range(1, len(parts))]


def _name_system(found: Mapping[str, str]) -> str:
    text = next((found[path] for path in _OS_RELEASE if found.get(path)), "")
    pairs = (line.partition("=") for line in text.splitlines())
    fields = {name: value.strip("\"'") for name, _, value in pairs}
    return f"{fields.get('ID', '')} {fields.get('VERSION_ID', '')}".strip()


def list_installed(status: str, architecture: str) -> dict[str, Package]:
    """Return the packages that a record of dpkg calls installed, by name.

    Raises:
        ValueError: The record is damaged.

    """
    found = (parse_paragraph(paragraph) for paragraph in split_paragraphs(status))
    rows = (fields for fields in found if fields.get("status", "").endswith(" installed"))
    packages = (make_package(fields, architecture) for fields in rows)
    return {p.name: p for p in packages if p.architecture in {architecture, "all"}}
