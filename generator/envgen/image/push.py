"""Canonical images into registries: what is there already is not sent again."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from envgen.image.canonical import MANIFEST_TYPE, CanonicalImage, descriptor, sha256
from envgen.registry.pushed import referrers_tag
from envgen.registry.reader import base_url
from envgen.registry.reference import ImageReference
from envgen.registry.transport import Transport
from envgen.registry.writer import INDEX_TYPE, Writer

_EMPTY: Final = b"{}"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
"""The configuration of what has none (OCI image specification 1.1, "Guidance for an Empty
Descriptor")."""


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is attached to an image.

    Attributes:
        artifact_type: What it is, as a media type; that of its bytes, too.
        content: Its bytes.
        annotations: What those who look for it are told.

    """

    artifact_type: str
    content: bytes
    annotations: dict[str, str] = {}


@contextmanager
def open_writer(reference: ImageReference, *, ca_certificates: Path | None) -> Iterator[Writer]:
    """Yield what writes to the registry of an image, with the login that pulls have."""
    with Transport(ca_certificates=ca_certificates, sleep=time.sleep) as transport:
        yield Writer(transport, reference, url=base_url(reference.registry))


def push_image(
    writer: Writer, image: CanonicalImage, *, report: Callable[[str], None] = lambda _: None
) -> None:
    """Write a canonical image under the tag of the writer's reference, or its digest without one.

    Raises:
        NetworkError: The registry did not take it.

    """
    for number, layer in enumerate(image.layers, 1):
        report(f"layer {number} of {len(image.layers)}: {layer.size / 1e6:.1f} MB")
        writer.write_blob(layer.digest, layer.size, layer.layer.chunks)
    _write_bytes(writer, image.config)
    name = writer.reference.tag or image.digest
    writer.write_manifest(name, image.manifest, MANIFEST_TYPE)


def attach(writer: Writer, subject: Mapping[str, Any], attachment: Attachment) -> str:
    """Attach a document to what a descriptor names, and return the digest that it gets.

    The digest is that of the manifest that holds the document. It is found through the registry's
    list of referrers or, where the registry has none, through the index that clients keep in its
    place under a tag (OCI distribution specification 1.1, "Referrers Tag Schema").

    Raises:
        NetworkError: The registry did not take it.

    """
    _write_bytes(writer, attachment.content)
    _write_bytes(writer, _EMPTY)
    manifest = _make_manifest(subject, attachment)
    digest = sha256(manifest)
    headers = writer.write_manifest(digest, manifest, MANIFEST_TYPE)
    if headers.get("OCI-Subject") != subject["digest"]:
        _list_under_tag(writer, str(subject["digest"]), attachment, manifest)
    return digest


def _make_manifest(subject: Mapping[str, Any], attachment: Attachment) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": attachment.artifact_type,
        "config": _describe(_EMPTY, _EMPTY_TYPE),
        "layers": [_describe(attachment.content, attachment.artifact_type)],
        "subject": dict(subject),
        "annotations": attachment.annotations,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def describe_manifest(image: CanonicalImage) -> dict[str, Any]:
    """Return the descriptor of a canonical image, as a subject of what is attached."""
    return descriptor(MANIFEST_TYPE, image.digest, len(image.manifest))


def _list_under_tag(writer: Writer, subject: str, attachment: Attachment, manifest: bytes) -> None:
    tag = referrers_tag(subject)
    index = writer.read_index(tag)
    entry = {
        **_describe(manifest, MANIFEST_TYPE),
        "artifactType": attachment.artifact_type,
        "annotations": attachment.annotations,
    }
    others = [found for found in index["manifests"] if found["digest"] != entry["digest"]]
    index["manifests"] = sorted([*others, entry], key=lambda found: str(found["digest"]))
    writer.write_manifest(tag, json.dumps(index, sort_keys=True).encode(), INDEX_TYPE)


def _write_bytes(writer: Writer, content: bytes) -> None:
    writer.write_blob(sha256(content), len(content), lambda: (content,))


def _describe(content: bytes, media_type: str) -> dict[str, object]:
    return descriptor(media_type, sha256(content), len(content))
