"""The documents that a registry keeps of an image, as far as envgen reads them.

https://github.com/opencontainers/image-spec and, for the older media types,
https://distribution.github.io/distribution/spec/manifest-v2-2/.
"""

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from envgen.registry.reference import DIGEST

_OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
_OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES: Final = frozenset({_OCI_INDEX, _DOCKER_INDEX})
MANIFESTS: Final = frozenset({_OCI_MANIFEST, _DOCKER_MANIFEST})
ACCEPT: Final = f"{_OCI_INDEX}, {_DOCKER_INDEX}, {_OCI_MANIFEST}, {_DOCKER_MANIFEST}"

_NO_PLATFORM: Final = "unknown/unknown"
"""What BuildKit writes for the attestations that it puts beside the images of an index."""


class Platform(msgspec.Struct, frozen=True):
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class Descriptor(msgspec.Struct, frozen=True):
    digest: Annotated[str, msgspec.Meta(pattern=rf"^{DIGEST}\Z")]
    platform: Platform | None = None
    size: int = 0


class Index(msgspec.Struct, frozen=True):
    manifests: tuple[Descriptor, ...]

    def images(self) -> Iterator[tuple[str, str]]:
        """Yield the platform and the digest of every image."""
        for descriptor in self.manifests:
            platform = str(descriptor.platform or _NO_PLATFORM)
            if platform != _NO_PLATFORM:
                yield platform, descriptor.digest


class Manifest(msgspec.Struct, frozen=True):
    config: Descriptor
    layers: tuple[Descriptor, ...] = ()
