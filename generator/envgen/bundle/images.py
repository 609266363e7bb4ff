"""Base images as archives: an OCI layout for one platform that `docker load` takes as well."""

import hashlib
import io
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from envgen.errors import StorageError
from envgen.image.fetch import download_blob
from envgen.registry.client import ask_in_turn, decode, read_blob, read_manifest
from envgen.registry.manifest import ACCEPT, Index, Manifest
from envgen.registry.reader import Reader
from envgen.registry.reference import parse_reference

_LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'


def local_name(digest: str) -> str:
    """Return what a bundled image is called once an engine has it."""
    return f"envgen-bundle:{digest.rpartition(':')[2][:32]}"


def save_base(
    image: str,
    digest: str,
    target: Path,
    *,
    platform: str,
    mirrors: Mapping[str, str],
    ca_certificates: Path | None,
) -> None:
    """Write a base image to a file; every blob is held to its digest.

    Args:
        image: Its name.
        digest: Of the image, or of the index that it is in.
        target: The file.
        platform: As `linux/amd64`.
        mirrors: A host or a URL for a registry's name, which is asked before the registry itself.
        ca_certificates: A PEM file to trust instead of SSL_CERT_FILE or the system's certificates.

    Raises:
        NetworkError: It was not delivered, or not as its digests say.

    """
    reference = parse_reference(f"{image.partition('@')[0]}@{digest}")

    def write(reader: Reader) -> None:
        document = read_manifest(reader, platform)
        manifest = decode(reader, document.body, Manifest)
        config = read_blob(reader, manifest.config.digest)
        layers = [layer.digest for layer in manifest.layers]
        with tarfile.open(target, "w") as archive:
            _add(archive, "oci-layout", _LAYOUT)
            _add(archive, "index.json", _index(document.media_type, document.body, digest))
            _add(archive, "manifest.json", _docker_index(manifest.config.digest, layers, digest))
            blobs = {_sha256(document.body): document.body, manifest.config.digest: config}
            if digest not in blobs:
                blobs[digest] = reader.read("manifests", digest, accept=ACCEPT).body
            for name, content in blobs.items():
                _add(archive, _path(name), content)
            for layer in dict.fromkeys(layers):
                with tempfile.TemporaryDirectory(prefix="envgen-") as folder:
                    blob = download_blob(reader, layer, Path(folder) / "blob")
                    archive.add(blob.path, _path(layer), filter=_plain)

    ask_in_turn(reference, mirrors, ca_certificates, time.sleep, write)


def require_base(path: Path, digest: str) -> None:
    """Refuse an archive that does not hold the image of a digest, from its index to its layers.

    Raises:
        StorageError: It holds another, or is damaged.

    """
    try:
        with tarfile.open(path, "r:") as archive:
            names = [name for name in archive.getnames() if name.startswith("blobs/")]
            found = {_digest_member(archive, name): name for name in names}
            _require_chain(archive, found, digest)
    except (OSError, KeyError, ValueError, tarfile.TarError, msgspec.MsgspecError) as error:
        raise StorageError.single(
            f"does not hold the image {digest}",
            file=str(path),
            why=f"{error} is not in it" if isinstance(error, KeyError) else str(error),
            fix="run `python -m envgen fetch` again",
        ) from error


def _require_chain(archive: tarfile.TarFile, found: Mapping[str, str], digest: str) -> None:
    (row,) = msgspec.json.decode(_read(archive, "manifest.json"))
    body = _read(archive, found[digest])
    manifests = [body]
    if "manifests" in msgspec.json.decode(body):
        listed = {entry.digest for entry in msgspec.json.decode(body, type=Index).manifests}
        manifests = [_read(archive, found[name]) for name in listed & found.keys()]
    for content in manifests:
        manifest = msgspec.json.decode(content, type=Manifest)
        layers = [found[layer.digest] for layer in manifest.layers]
        if (row["Config"], row["Layers"]) == (found[manifest.config.digest], layers):
            return
    raise ValueError("what an engine would load of it is another image")


def _digest_member(archive: tarfile.TarFile, name: str) -> str:
    stream = archive.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is not a file")
    return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"  # type: ignore[arg-type]


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    return stream.read() if stream else b""


def _index(media_type: str, manifest: bytes, digest: str) -> bytes:
    name = {"org.opencontainers.image.ref.name": local_name(digest)}
    row = {
        "mediaType": media_type,
        "digest": _sha256(manifest),
        "size": len(manifest),
        "annotations": name,
    }
    return msgspec.json.encode({"schemaVersion": 2, "manifests": [row]})


def _docker_index(config: str, layers: list[str], digest: str) -> bytes:
    """Return manifest.json, which engines without containerd's image store look for."""
    paths = [_path(layer) for layer in layers]
    row = {"Config": _path(config), "RepoTags": [local_name(digest)], "Layers": paths}
    return msgspec.json.encode([row])


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    plain = tarfile.TarInfo(member.name)
    plain.size = member.size
    return plain
