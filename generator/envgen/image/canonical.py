"""The canonical form of an image, whose digest is the environment's name.

Builders describe the same files and the same configuration in different bytes: with their own
history, time, labels, compression and order. The canonical form keeps what a container runs on.

- Layers: their entries sorted by path, with rebuilt headers (`envgen.image.tar`), uncompressed.
  Times are kept in whole seconds: the Dockerfile sets those of our own files, and those of a base
  image belong to the base. Layers without an entry are left out.
- Configuration: platform, the layers, and the keys of `_RUN_KEYS`, sorted; a constant time and
  no history.
- Labels that tell where a build came from and not what it is are left out: the same environment
  keeps its name from one commit to the next. The provenance tells them.
- Manifest: OCI image specification 1.1, without annotations; sorted and compact JSON.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from envgen.image.layer import Layer
from envgen.image.store import StoredImage

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"

_RUN_KEYS: Final = (
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)
"""What changes how a container runs (OCI image specification; Healthcheck is Docker's)."""

SPEC_LABEL: Final = "org.envgen.spec"
REVISION_LABEL: Final = "org.opencontainers.image.revision"
_ORIGIN_LABELS: Final = frozenset({SPEC_LABEL, REVISION_LABEL, "io.buildah.version"})

_CREATED: Final = "1980-01-01T00:00:00Z"
"""The standard lets it be left out; `docker image inspect --format` fails where it is."""


class CanonicalLayer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer with what its canonical archive measures.

    Attributes:
        layer: Its files.
        digest: Of the canonical archive; also its diffID, since it is not compressed.
        size: Of the canonical archive in bytes.

    """

    layer: Layer
    digest: str
    size: int


class CanonicalImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image in its canonical form.

    Attributes:
        digest: Of the manifest: the name of the environment.
        manifest: The bytes of the manifest.
        config: The bytes of the configuration.
        layers: From the base upwards.

    """

    digest: str
    manifest: bytes
    config: bytes
    layers: tuple[CanonicalLayer, ...]

    @property
    def config_digest(self) -> str:
        """What an engine shows as the image's ID."""
        return sha256(self.config)


def canonicalise(image: StoredImage) -> CanonicalImage:
    """Return the canonical form of an image. It reads every layer once.

    Raises:
        ValueError: A layer is damaged.

    """
    layers = tuple(_measure(layer) for layer in image.layers if layer.entries)
    config = _write_json(canonical_config(image.config, [layer.digest for layer in layers]))
    manifest = _write_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, sha256(config), len(config)),
            "layers": [descriptor(LAYER_TYPE, layer.digest, layer.size) for layer in layers],
        }
    )
    return CanonicalImage(digest=sha256(manifest), manifest=manifest, config=config, layers=layers)


def _measure(layer: Layer) -> CanonicalLayer:
    digest, size = layer.measure()
    return CanonicalLayer(layer=layer, digest=digest, size=size)


def canonical_config(config: Mapping[str, Any], diff_ids: Iterable[str]) -> dict[str, Any]:
    """Return the configuration of an image as far as a container runs on it."""
    platform = {key: config[key] for key in ("architecture", "os", "variant") if config.get(key)}
    return {
        **platform,
        "created": _CREATED,
        "config": run_config(config),
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }


def run_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an image's configuration changes how a container runs."""
    given = config.get("config") or {}
    kept = {key: given[key] for key in _RUN_KEYS if given.get(key)}
    if "Env" in kept:
        kept["Env"] = sorted(kept["Env"])
    if "Labels" in kept:
        kept["Labels"] = {k: v for k, v in kept["Labels"].items() if k not in _ORIGIN_LABELS}
    return kept


def descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def sha256(content: bytes) -> str:
    """Return `sha256:` and the hash of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _write_json(document: Mapping[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()
