"""What a build made, for machines: the engine's ID, and the canonical digest."""

import json
from collections.abc import Mapping
from typing import Any

from envgen.errors import StorageError
from envgen.image.canonical import REVISION_LABEL, SPEC_LABEL, CanonicalImage, canonicalise
from envgen.image.open import open_built
from envgen.image.store import StoredImage
from envgen.rendered import RenderedFile


def describe_built(tag: str) -> dict[str, Any]:
    """Return what a record tells of an image that the engine has.

    A tag, because an engine with containerd's image store does not find an image by the ID that its
    own build tells, which is the configuration's.

    Raises:
        StorageError: What the engine wrote is damaged.
        ToolError: There is no engine, or it has no such image.

    """
    with open_built(tag) as image:
        return {"canonical": describe(canonical_form(image)), **_describe_origin(image.config)}


def canonical_form(image: StoredImage) -> CanonicalImage:
    """Return the canonical form of an image.

    Raises:
        StorageError: The image changed or ended while it was read.

    """
    try:
        return canonicalise(image)
    except ValueError as error:
        raise StorageError.single("the image cannot be read", why=str(error)) from error


def describe(image: CanonicalImage) -> dict[str, Any]:
    """Return digests and sizes of a canonical image."""
    return {
        "digest": image.digest,
        "config": image.config_digest,
        "layers": [{"digest": layer.digest, "size": layer.size} for layer in image.layers],
    }


def _describe_origin(config: Mapping[str, Any]) -> dict[str, str]:
    labels = config.get("config", {}).get("Labels") or {}
    named = {"lock": "org.envgen.lock", "spec": SPEC_LABEL, "revision": REVISION_LABEL}
    return {key: labels[label] for key, label in named.items() if label in labels}


def write_record(name: str, built: list[dict[str, Any]]) -> RenderedFile:
    """Return the file that holds what builds made."""
    content = json.dumps({"format": 1, "images": built}, indent=2) + "\n"
    return RenderedFile(path=name, content=content.encode(), guarded=False)
