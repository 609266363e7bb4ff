"""Images of registries, with all their layers."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envgen.image.region import Region
from envgen.image.store import StoredImage, assemble
from envgen.registry.client import ask_in_turn, decode, read_blob, read_manifest, unusable
from envgen.registry.manifest import Manifest
from envgen.registry.reader import Reader
from envgen.registry.reference import ImageReference


def fetch_image(
    reference: ImageReference,
    scratch: Path,
    *,
    platform: str,
    mirrors: Mapping[str, str],
    ca_certificates: Path | None,
) -> StoredImage:
    """Return an image of a registry; every blob is held to its digest.

    Args:
        reference: The image.
        scratch: A folder for its layers, which the image needs as long as it is used.
        platform: As `linux/amd64`.
        mirrors: A host or a URL for a registry's name, which is asked before the registry itself.
        ca_certificates: A PEM file to trust instead of SSL_CERT_FILE or the system's certificates.

    Raises:
        NetworkError: It was not delivered, or not as its digests say.

    """

    def read(reader: Reader) -> StoredImage:
        manifest = decode(reader, read_manifest(reader, platform).body, Manifest)
        config = decode(reader, read_blob(reader, manifest.config.digest), dict[str, Any])
        blobs = [
            download_blob(reader, layer.digest, scratch / f"blob-{number}")
            for number, layer in enumerate(manifest.layers)
        ]
        try:
            return assemble(config, blobs, scratch)
        except (ValueError, KeyError) as error:
            raise unusable(reader, f"it is no image: {error}") from error

    return ask_in_turn(reference, mirrors, ca_certificates, time.sleep, read)


def download_blob(reader: Reader, digest: str, target: Path) -> Region:
    """Return a blob of any size as a file that is held to its digest.

    Raises:
        NetworkError: It was not delivered, or is another.

    """
    algorithm, _, expected = digest.partition(":")
    found = hashlib.new(algorithm)
    with target.open("wb") as stream:

        def write(chunk: bytes) -> None:
            found.update(chunk)
            stream.write(chunk)

        reader.download(digest, write)
    if found.hexdigest() != expected:
        raise unusable(reader, f"a layer is not {digest}, but sha256:{found.hexdigest()}")
    return Region(path=target, start=0, size=target.stat().st_size)
