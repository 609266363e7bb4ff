"""What a registry has under a tag: digest, platforms, sizes, and what is attached."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from envgen.registry.client import Document, decode, read_blob, read_document
from envgen.registry.manifest import ACCEPT, INDEXES, Descriptor, Index, Manifest, Platform
from envgen.registry.reader import Reader
from envgen.registry.transport import Answer, Transport
from envgen.registry.writer import INDEX_TYPE

_ABSENT: Final = 404


class PushedPlatform(msgspec.Struct, frozen=True, kw_only=True):
    """The image of one platform.

    Attributes:
        platform: As `linux/amd64`.
        digest: Of its manifest.
        config: The JSON of its configuration.
        config_digest: What most engines show as the image's ID.
        size: Of its layers as they are stored, in bytes.

    """

    platform: str
    digest: str
    config: Mapping[str, Any]
    config_digest: str
    size: int


class PushedImage(msgspec.Struct, frozen=True, kw_only=True):
    """What a tag names.

    Attributes:
        document: The manifest, or the index where there are several platforms.
        platforms: The images in it, in the registry's order.

    """

    document: Document
    platforms: tuple[PushedPlatform, ...]

    @property
    def digest(self) -> str:
        return self.document.digest

    @property
    def descriptor(self) -> dict[str, Any]:
        """What an attachment names as its subject."""
        body, media_type = self.document.body, self.document.media_type
        return {"mediaType": media_type, "digest": self.digest, "size": len(body)}


def find_tag(transport: Transport, reader: Reader) -> str:
    """Return the digest of the reader's tag, empty where there is none. It moves no content.

    Raises:
        NetworkError: The registry does not say.

    """
    url = reader.url(f"manifests/{reader.reference.tag}")
    answer = reader.ask(lambda login: transport.head(url, headers={"Accept": ACCEPT, **login}))
    if answer.status == _ABSENT:
        return ""
    if answer.status != 200:
        raise reader.refused(answer)
    return answer.headers.get("Docker-Content-Digest") or read_document(reader, "").digest


def read_pushed(reader: Reader, digest: str = "") -> PushedImage:
    """Return what a digest names, or the reader's tag without one.

    Raises:
        NetworkError: It was not delivered, or is no image.

    """
    document = read_document(reader, digest)
    return PushedImage(document=document, platforms=tuple(_read_platforms(reader, document)))


def _read_platforms(reader: Reader, document: Document) -> Iterator[PushedPlatform]:
    if document.media_type not in INDEXES:
        yield _read_platform(reader, document)
        return
    for _, digest in decode(reader, document.body, Index).images():
        yield _read_platform(reader, read_document(reader, digest))


def _read_platform(reader: Reader, document: Document) -> PushedPlatform:
    manifest = decode(reader, document.body, Manifest)
    config = read_blob(reader, manifest.config.digest)
    return PushedPlatform(
        platform=str(decode(reader, config, Platform)),
        digest=document.digest,
        config=decode(reader, config, dict[str, Any]),
        config_digest=manifest.config.digest,
        size=sum(layer.size for layer in manifest.layers),
    )


class _Referrer(Descriptor, frozen=True, kw_only=True, rename="camel"):
    artifact_type: str = ""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Referrers(msgspec.Struct, frozen=True):
    manifests: tuple[_Referrer, ...] = ()


def find_annotations(
    transport: Transport, reader: Reader, digest: str, artifact_type: str
) -> list[dict[str, str]]:
    """Return the annotations of everything of one type that is attached to a digest.

    Registries without a list of referrers have it under a tag (OCI distribution specification
    1.1, "Referrers Tag Schema").

    Raises:
        NetworkError: The registry does not say.

    """
    for path in (f"referrers/{digest}", f"manifests/{referrers_tag(digest)}"):
        answer = _get(transport, reader, path)
        if answer.status == 200:
            found = decode(reader, answer.body, _Referrers).manifests
            return [each.annotations for each in found if each.artifact_type == artifact_type]
        if answer.status != _ABSENT:
            raise reader.refused(answer)
    return []


def referrers_tag(digest: str) -> str:
    """Return the tag that lists what is attached to a digest, where the registry does not."""
    return digest.replace(":", "-")


def _get(transport: Transport, reader: Reader, path: str) -> Answer:
    url = reader.url(path)
    return reader.ask(lambda login: transport.get(url, headers={"Accept": INDEX_TYPE, **login}))
