"""Reads what an image name means today, from its registry or a mirror, without a Docker daemon."""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from envgen.errors import EnvgenError, NetworkError, Problem
from envgen.registry.manifest import ACCEPT, INDEXES, MANIFESTS, Index, Manifest, Platform
from envgen.registry.reference import DIGEST, ImageReference

if TYPE_CHECKING:
    from envgen.registry.reader import Reader

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Sleep = Callable[[float], None]


class FetchedImage(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry says of an image.

    Attributes:
        digest: Of the index where there is one, so that it stands for every platform.
        media_type: Of the manifest or index that the digest names.
        platforms: As `linux/amd64` or `linux/arm64/v8`, in the registry's order.

    """

    digest: str
    media_type: str
    platforms: tuple[str, ...]

    @property
    def is_index(self) -> bool:
        """Whether the digest names an index, and not one platform's image."""
        return self.media_type in INDEXES


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest or an index, with the digest that it was held to."""

    digest: str
    media_type: str
    body: bytes


def fetch_digest(
    reference: ImageReference,
    *,
    mirrors: Mapping[str, str],
    ca_certificates: Path | None,
    sleep: _Sleep = time.sleep,
) -> FetchedImage:
    """Return digest and platforms of an image.

    Args:
        reference: The image; where it has a digest, that is what is read.
        mirrors: A host or a URL for a registry's name, which is asked before the registry itself.
        ca_certificates: A PEM file to trust instead of SSL_CERT_FILE or the system's certificates.
        sleep: Waits for the seconds given, between one try and the next.

    Raises:
        NetworkError: Neither mirror nor registry delivered; it has a problem for each of them.

    """
    return ask_in_turn(reference, mirrors, ca_certificates, sleep, _describe)


def fetch_config(
    reference: ImageReference,
    *,
    platform: str,
    mirrors: Mapping[str, str],
    ca_certificates: Path | None,
    sleep: _Sleep = time.sleep,
) -> dict[str, object]:
    """Return the configuration of an image for one platform.

    It is the JSON object of the OCI image specification, whose `config` has `Env` and `Labels`.
    `linux/arm64` stands for its variants, too. The other arguments are those of `fetch_digest`.

    Raises:
        NetworkError: Neither mirror nor registry delivered, or the image is not for that platform.

    """

    def read(reader: "Reader") -> dict[str, object]:
        return _read_config(reader, platform)

    return ask_in_turn(reference, mirrors, ca_certificates, sleep, read)


def ask_in_turn(
    reference: ImageReference,
    mirrors: Mapping[str, str],
    ca_certificates: Path | None,
    sleep: _Sleep,
    read: Callable[["Reader"], _T],
) -> _T:
    """Return what `read` has from the image's mirror, or else from its registry.

    Raises:
        NetworkError: Neither delivered; it has a problem for each of them.

    """
    # urllib3 costs more to import than most commands take.
    from envgen.registry.reader import Reader, base_url  # noqa: PLC0415
    from envgen.registry.transport import Transport  # noqa: PLC0415

    places = [(reference, base_url(reference.registry))]
    if mirror := mirrors.get(reference.registry):
        places.insert(0, (reference.on(mirror), base_url(mirror)))
    problems: list[Problem] = []
    with Transport(ca_certificates=ca_certificates, sleep=sleep) as transport:
        for named, url in places:
            try:
                return read(Reader(transport, named, url=url))
            except NetworkError as error:
                _log.info("%s", error)
                problems.extend(error.problems)
    raise NetworkError(*problems)


def _describe(reader: "Reader") -> FetchedImage:
    document = read_document(reader, reader.reference.digest)
    if document.media_type in INDEXES:
        images = decode(reader, document.body, Index).images()
        platforms = tuple(dict.fromkeys(platform for platform, _ in images))
    else:
        config = read_blob(reader, decode(reader, document.body, Manifest).config.digest)
        platforms = (str(decode(reader, config, Platform)),)
    return FetchedImage(digest=document.digest, media_type=document.media_type, platforms=platforms)


def read_manifest(reader: "Reader", platform: str) -> Document:
    """Return the manifest of an image for one platform.

    Raises:
        NetworkError: It was not delivered, or there is none for the platform.

    """
    document = read_document(reader, reader.reference.digest)
    if document.media_type in INDEXES:
        images = dict(decode(reader, document.body, Index).images())
        document = read_document(reader, _choose(reader, images, platform))
    return document


def _read_config(reader: "Reader", platform: str) -> dict[str, object]:
    document = read_manifest(reader, platform)
    blob = read_blob(reader, decode(reader, document.body, Manifest).config.digest)
    found = str(decode(reader, blob, Platform))
    _choose(reader, {found: document.digest}, platform)
    return decode(reader, blob, dict[str, object])


def _choose(reader: "Reader", images: Mapping[str, str], platform: str) -> str:
    for found, digest in images.items():
        if f"{found}/".startswith(f"{platform}/"):
            return digest
    raise NetworkError.single(
        f"{reader.reference} is not there for {platform}",
        why=f"it is for {', '.join(images) or 'no platform'}",
        fix="choose another image, or leave the platform out",
    )


def read_document(reader: "Reader", digest: str) -> Document:
    """Return the manifest or index of a digest; of the reference's tag where it is empty.

    Raises:
        NetworkError: It was not delivered, or is no image.

    """
    answer = reader.read("manifests", digest or reader.reference.tag, accept=ACCEPT)
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in INDEXES | MANIFESTS:
        raise unusable(reader, f"its type is {media_type or 'not given'}, which is no image's")
    digest = digest or answer.headers.get("Docker-Content-Digest") or _sha256(answer.body)
    _verify(reader, answer.body, digest)
    return Document(digest=digest, media_type=media_type, body=answer.body)


def read_blob(reader: "Reader", digest: str) -> bytes:
    """Return a small blob, held to its digest.

    Raises:
        NetworkError: It was not delivered, or is another.

    """
    body = reader.read("blobs", digest, accept="*/*").body
    _verify(reader, body, digest)
    return body


def _sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _verify(reader: "Reader", body: bytes, digest: str) -> None:
    algorithm, _, expected = digest.partition(":")
    if not re.fullmatch(DIGEST, digest) or hashlib.new(algorithm, body).hexdigest() != expected:
        raise unusable(reader, "its content does not match its digest")


def decode(reader: "Reader", body: bytes, form: type[_T]) -> _T:
    """Return a document that a registry delivered.

    Raises:
        NetworkError: It is not what it should be.

    """
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise unusable(reader, "it is not the JSON of a container image") from error


def unusable(reader: "Reader", why: str) -> EnvgenError:
    """Return the error for what a registry delivered and should not have."""
    from envgen.registry.failures import garbage  # noqa: PLC0415 - it knows urllib3

    return garbage(reader.reference, why)
