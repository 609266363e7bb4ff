"""A dated archive of OS packages, signed, as those of Debian are; and a base image for them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.integration.conftest import Server

SUITES = {"debian": ("trixie", "trixie-updates"), "debian-security": ("trixie-security",)}


def make_deb(name: str, version: str, files: Mapping[str, str], *, depends: str = "") -> bytes:
    """Return a package: an ar archive of two tar archives (deb(5))."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: a <a@a>\n"
    control += (f"Depends: {depends}\n" if depends else "") + "Description: a test\n"
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _tar({"control": control}),
        "data.tar.gz": _tar(files),
    }
    archive = b"!<arch>\n"
    for member, content in members.items():
        header = f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        archive += header.encode() + content + b"\n" * (len(content) % 2)
    return archive


def _tar(files: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        folders = {
            "/".join(path.split("/")[:n]) for path in files for n in range(1, path.count("/") + 1)
        }
        for folder in sorted(folders):
            member = tarfile.TarInfo(f"./{folder}")
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for path, text in files.items():
            member = tarfile.TarInfo(f"./{path}")
            member.size, member.mode = len(text), 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(made.getvalue(), mtime=0)


class Key:
    """A key that signs archives."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self._home = home
        self._gpg("--quick-generate-key", "--passphrase=", "archive@packages.example", "ed25519")
        self.keyring = home / "archive.gpg"
        self.keyring.write_bytes(self._gpg("--export"))

    def sign(self, text: str) -> bytes:
        return self._gpg("--clearsign", input_text=text)

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=False)

    def _gpg(self, *arguments: str, input_text: str = "") -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--pinentry-mode=loopback"]
        done = subprocess.run(
            [*command, *arguments], input=input_text.encode(), capture_output=True, check=True
        )
        return done.stdout


class Archive:
    """What Debian trixie's archives hold at some moments, on a server."""

    def __init__(self, server: Server, key: Key) -> None:
        self._server = server
        self._key = key

    @property
    def urls(self) -> dict[str, str]:
        return {name: f"{self._server.url}/{name}/{{moment}}" for name in SUITES}

    def publish(self, moment: str, *debs: bytes) -> list[str]:
        """Publish packages in the first suite at a moment, and return where each one is."""
        paths, paragraphs = [], []
        for deb in debs:
            fields = subprocess.run(
                ["dpkg-deb", "--field", "/dev/stdin"], input=deb, capture_output=True, check=True
            ).stdout.decode()
            name = fields.partition("\n")[0].removeprefix("Package: ")
            path = f"pool/main/{name}_{hashlib.sha256(deb).hexdigest()[:8]}.deb"
            paths.append(f"/debian/{moment}/{path}")
            self._server.pages[paths[-1]] = deb
            digest = hashlib.sha256(deb).hexdigest()
            paragraphs.append(f"{fields}Filename: {path}\nSize: {len(deb)}\nSHA256: {digest}\n")
        for archive, suites in SUITES.items():
            for suite in suites:
                text = "\n".join(paragraphs) if suite == "trixie" else ""
                self._publish_suite(f"/{archive}/{moment}/dists/{suite}", text)
        return paths

    def _publish_suite(self, folder: str, packages: str) -> None:
        content = lzma.compress(packages.encode())
        index = "main/binary-amd64/Packages.xz"
        self._server.pages[f"{folder}/{index}"] = content
        line = f" {hashlib.sha256(content).hexdigest()} {len(content)} {index}"
        release = f"Suite: {folder.rpartition('/')[2]}\nSHA256:\n{line}\n"
        self._server.pages[f"{folder}/InRelease"] = self._key.sign(release)


def add_base(server: Server, repository: str, status: str) -> None:
    """Offer a Debian trixie image of one layer, as `repository:1`."""
    layer = _tar(
        {
            "usr/lib/os-release": 'ID=debian\nVERSION_ID="13"\n',
            "var/lib/dpkg/status": status,
        }
    )
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(gzip.decompress(layer)).hexdigest()}"],
            },
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"digest": _add_blob(server, repository, config)},
            "layers": [{"digest": _add_blob(server, repository, layer)}],
        }
    ).encode()
    platform = {"os": "linux", "architecture": "amd64"}
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    index = json.dumps({"manifests": [{"digest": digest, "platform": platform}]}).encode()
    server.pages[f"/v2/{repository}/manifests/{digest}"] = manifest
    for name in ("1", f"sha256:{hashlib.sha256(index).hexdigest()}"):
        server.pages[f"/v2/{repository}/manifests/{name}"] = index


def _add_blob(server: Server, repository: str, content: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    server.pages[f"/v2/{repository}/blobs/{digest}"] = content
    return digest


@pytest.fixture(scope="session")
def archive_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Key]:
    """Return a key; skip where nothing can sign or read packages."""
    for program in ("gpg", "gpgv", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on PATH")
    # A socket's path must be short.
    key = Key(tmp_path_factory.mktemp("gpg") / "h")
    yield key
    key.close()
