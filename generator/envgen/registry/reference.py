"""Image references: the names by which registries know images.

The grammar and the short forms are those of the `distribution/reference` library, which Docker,
Podman and BuildKit share, so that a name means here what it means in a Dockerfile.
"""

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

DOCKER_HUB: Final = "docker.io"
_LEGACY_DOCKER_HUB: Final = "index.docker.io"

DIGEST: Final = r"(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})"
"""The digests that clients accept, as a regular expression."""

_HOST_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}")
_DIGEST = re.compile(DIGEST)
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
_REPOSITORY_MAX_LENGTH = 255


class ImageReference(msgspec.Struct, frozen=True, kw_only=True):
    """An image by its full name.

    Attributes:
        registry: Host and port, `docker.io` for Docker Hub.
        repository: The path on that registry, `library/python`.
        tag: Empty only where there is a digest.
        digest: `sha256:…`; empty where the reference is not pinned.

    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    def on(self, mirror: str) -> "ImageReference":
        """Return the same image on a mirror: a host, or a URL with a path that goes first."""
        host, prefix = split_location(mirror)
        repository = f"{prefix}/{self.repository}" if prefix else self.repository
        return msgspec.structs.replace(self, registry=host, repository=repository)

    def pinned(self, digest: str) -> "ImageReference":
        """Return this reference with a digest in the place of the one it has, if any.

        Raises:
            ValueError: `digest` is not one.

        """
        _check_digest(digest)
        return msgspec.structs.replace(self, digest=digest)


def parse_reference(text: str) -> ImageReference:
    """Return the full reference for a name as people write it.

    Raises:
        ValueError: It is not an image reference; the message tells the reason.

    """
    if not text:
        raise ValueError("the image reference is empty")
    if "://" in text:
        raise ValueError("an image reference has no scheme such as https://")
    if _IMAGE_ID.fullmatch(text):
        raise ValueError("this is the ID of a local image, which no registry knows")
    name, at, digest = text.partition("@")
    if at:
        _check_digest(digest)
    registry, rest = _split_registry(name)
    repository, colon, tag = rest.partition(":")
    _check_registry(registry)
    _check_repository(repository)
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(
            f"{tag!r} is not a tag: letters, digits, '_', '.' and '-', at most 128 of them, "
            "and neither '.' nor '-' first"
        )
    if not colon and not at:
        tag = "latest"
    return ImageReference(registry=registry, repository=repository, tag=tag, digest=digest)


def split_location(location: str) -> tuple[str, str]:
    """Return host and path of a registry that is given as a host or as a URL.

    A user name and a password in it are dropped: credentials have their own place.
    """
    parts = urlsplit(location if "://" in location else f"//{location}")
    return parts.netloc.rpartition("@")[2], parts.path.strip("/")


def _split_registry(name: str) -> tuple[str, str]:
    """Return registry and the rest; what names a registry is Docker's rule, odd as it is."""
    first, slash, rest = name.partition("/")
    if not slash:
        return DOCKER_HUB, f"library/{name}"
    names_host = first == "localhost" or any(c in ".:" for c in first) or first != first.lower()
    if not names_host:
        return DOCKER_HUB, name
    registry = DOCKER_HUB if first == _LEGACY_DOCKER_HUB else first
    if registry == DOCKER_HUB and "/" not in rest:
        rest = f"library/{rest}"
    return registry, rest


def _check_registry(registry: str) -> None:
    if not _HOST.fullmatch(registry):
        raise ValueError(f"{registry!r} is not the host of a registry")


def _check_repository(repository: str) -> None:
    if repository != repository.lower():
        raise ValueError(f"{repository!r} has capitals; the name of a repository is lower case")
    if not _REPOSITORY.fullmatch(repository):
        raise ValueError(
            f"{repository!r} is not the name of a repository: letters and digits, "
            "with '.', '_', '__' or '-' between them, and '/' between the parts"
        )
    if len(repository) > _REPOSITORY_MAX_LENGTH:
        raise ValueError(f"the name of a repository has at most {_REPOSITORY_MAX_LENGTH} letters")


def _check_digest(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest: 'sha256:' and 64 hexadecimal digits")
