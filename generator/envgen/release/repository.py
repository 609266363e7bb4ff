"""Releases: images on their way to a repository, under a tag that their inputs give.

So the registry itself knows what has been built, from whatever machine. An image counts as
published once its provenance is attached, which names the inputs in full and the canonical
digests; a push that broke off before is done again.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from envgen.build.inputs import hash_inputs, read_inputs
from envgen.lock.pool import Pool
from envgen.plan.model import ImagePlan, Plan
from envgen.project import Project
from envgen.registry.pushed import find_annotations, find_tag
from envgen.registry.reader import Reader, base_url
from envgen.registry.reference import ImageReference, parse_reference
from envgen.registry.transport import Transport
from envgen.release.provenance import STATEMENT_TYPE
from envgen.release.published import Published, PublishedImage

_INPUTS: Final = "org.envgen.inputs"
_CANONICAL: Final = "org.envgen.canonical"
"""Of the provenance: `linux/amd64=sha256:…`, with a comma between platforms."""

_ASKED_AT_ONCE: Final = 16
_KEY_LENGTH: Final = 16


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """An image and where it is published.

    Attributes:
        plan: The image.
        repository: As the spec names it, without tag.
        inputs: `sha256:` and the hash of all that decides on its content.
        platforms: What it is built for.
        tags: Further names that the user gave.

    """

    plan: ImagePlan
    repository: str
    inputs: str
    platforms: tuple[str, ...]
    tags: tuple[str, ...] = ()

    @property
    def reference(self) -> ImageReference:
        """What it is pushed as."""
        key = self.inputs.removeprefix("sha256:")[:_KEY_LENGTH]
        return parse_reference(f"{self.repository}:env-{key}")

    @property
    def other_tags(self) -> tuple[str, ...] | None:
        """The user's tags in the repository itself; None where one is elsewhere."""
        home = (self.reference.registry, self.reference.repository)
        named = [parse_reference(tag) for tag in self.tags]
        if any((name.registry, name.repository) != home for name in named):
            return None
        return tuple(name.tag for name in named)


def plan_releases(
    opened: Project, plan: Plan, *, platforms: tuple[str, ...] = (), tags: tuple[str, ...] = ()
) -> dict[str, Release]:
    """Return the images of a plan that the spec has a repository for, by name.

    Args:
        opened: The project, whose files are on disk.
        plan: The images.
        platforms: What they are built for; empty for all that each one is locked for.
        tags: Further names that the user gave.

    Raises:
        StorageError: A file that enters a build cannot be read.

    """
    releases = {}
    for image in plan.images:
        repository = opened.loaded.spec.images[image.name].repository
        if repository is None:
            continue
        chosen = platforms or image.platforms
        files = read_inputs(opened.root, image)
        releases[image.name] = Release(
            plan=image,
            repository=repository,
            inputs=hash_inputs(image, files, epoch=plan.epoch, platforms=chosen),
            platforms=chosen,
            tags=tags,
        )
    return releases


def find_published(
    releases: Iterable[Release], known: Published, ca_certificates: Path | None
) -> dict[str, PublishedImage]:
    """Return what is in its registry already, by the image's name. It moves no content.

    Args:
        releases: What is to be published.
        known: What was published before. It saves a question where it is still true.
        ca_certificates: A PEM file to trust instead of the system's certificates.

    Raises:
        NetworkError: A registry does not say.

    """
    with (
        Transport(ca_certificates=ca_certificates, sleep=time.sleep) as transport,
        Pool(_ASKED_AT_ONCE) as pool,
    ):
        asked = {
            release.plan.name: pool.submit(
                _find, transport, release, known.images.get(release.plan.name)
            )
            for release in releases
            if release.other_tags is not None
        }
        found = {name: future.result() for name, future in asked.items()}
    return {name: row for name, row in found.items() if row is not None}


def _find(
    transport: Transport, release: Release, row: PublishedImage | None
) -> PublishedImage | None:
    reader = open_reader(transport, release.reference)
    digest = find_tag(transport, reader)
    if not digest:
        return None
    if row and (row.repository, row.digest, row.inputs) == (
        release.repository,
        digest,
        release.inputs,
    ):
        return row
    for annotations in find_annotations(transport, reader, digest, STATEMENT_TYPE):
        if annotations.get(_INPUTS) == release.inputs:
            return make_row(release, digest, _read_canonical(annotations))
    return None


def make_row(release: Release, digest: str, canonical: Mapping[str, str]) -> PublishedImage:
    """Return what published.toml has of a release.

    Args:
        release: The image.
        digest: That it has in its repository.
        canonical: The canonical digest of each platform's image.

    """
    return PublishedImage(
        repository=release.repository,
        digest=digest,
        canonical=dict(sorted(canonical.items())),
        platforms=tuple(sorted(canonical)),
        lock=f"sha256:{release.plan.lock_sha256}",
        inputs=release.inputs,
    )


def annotate(row: PublishedImage) -> dict[str, str]:
    """Return what the provenance of a published image tells those who list what is attached."""
    canonical = ",".join(f"{name}={digest}" for name, digest in sorted(row.canonical.items()))
    return {_INPUTS: row.inputs, _CANONICAL: canonical}


def _read_canonical(annotations: Mapping[str, str]) -> dict[str, str]:
    pairs = annotations.get(_CANONICAL, "").split(",")
    return {platform: digest for platform, _, digest in (pair.partition("=") for pair in pairs)}


def open_reader(transport: Transport, reference: ImageReference) -> Reader:
    """Return what reads a reference at its registry, and at no mirror."""
    return Reader(transport, reference, url=base_url(reference.registry))
