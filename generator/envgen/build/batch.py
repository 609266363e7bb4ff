"""The images that one `envgen build` builds, several at a time, and publishes."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from envgen.build.bake import BakeTarget
from envgen.build.buildx import bake_images
from envgen.build.docker import build_image
from envgen.build.options import BuildOptions, choose_platforms
from envgen.image.record import describe_built
from envgen.lock.network import find_ca_certificates
from envgen.lock.pool import Pool
from envgen.plan.model import ImagePlan, Plan
from envgen.project import Project, read_project_published
from envgen.release.publish import describe_published, publish, retag, tell
from envgen.release.published import PublishedImage
from envgen.release.repository import Release, find_published, plan_releases


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What is built, and how.

    Attributes:
        opened: The project, whose files are on disk.
        plan: The images.
        options: What the builder is asked.
        tags: The names that the user gave; there is one image then.
        jobs: How many builds run at a time.
        no_cache: Build every stage again.
        force: Build what is published already.
        records: Tell all of every image, for a record.
        quiet: Keep the builder's progress from the terminal.
        note: Tells the user what is going on.

    """

    opened: Project
    plan: Plan
    options: BuildOptions
    tags: tuple[str, ...]
    jobs: int
    no_cache: bool
    force: bool
    records: bool
    quiet: bool
    note: Callable[[str], None]


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an image: for the record and, where it was published, published.toml."""

    entry: dict[str, Any]
    row: PublishedImage | None = None


def run_batch(batch: Batch) -> list[Built]:
    """Build what is not published yet, publish it, and return what became of every image.

    Raises:
        EnvgenError: A build failed, or a registry did not deliver or take something. What was
            pushed until then stays, and is found again.

    """
    releases = _plan_releases(batch)
    found = {} if batch.force else _find_published(batch, releases)
    missing = [image for image in batch.plan.images if image.name not in found]
    baked = _bake(batch, missing, releases) if batch.options.builder and missing else {}
    with Pool(batch.jobs) as pool:
        working = [
            pool.submit(_reuse, batch, releases[image.name], found[image.name])
            if image.name in found
            else pool.submit(_make, batch, image, releases.get(image.name), baked.get(image.name))
            for image in batch.plan.images
        ]
        return [future.result() for future in working]


def _plan_releases(batch: Batch) -> dict[str, Release]:
    if not batch.options.push:
        return {}
    platforms = batch.options.platforms
    return plan_releases(batch.opened, batch.plan, platforms=platforms, tags=batch.tags)


def _find_published(batch: Batch, releases: Mapping[str, Release]) -> dict[str, PublishedImage]:
    if not releases:
        return {}
    known = read_project_published(batch.opened)
    return find_published(releases.values(), known, find_ca_certificates(batch.opened.loaded))


def _reuse(batch: Batch, release: Release, row: PublishedImage) -> Built:
    """Return what there is to tell of an image that is published already."""
    batch.note(f"{release.plan.name} is published: {release.reference}")
    certificates = find_ca_certificates(batch.opened.loaded)
    retag(release, row, certificates)
    entry = tell(release, row)
    if batch.records:
        entry |= describe_published(release, row, certificates)
    return Built(entry=entry, row=row)


def _bake(batch: Batch, images: list[ImagePlan], releases: Mapping[str, Release]) -> dict[str, str]:
    """Build images with the builder that was asked for, and return their IDs by name."""
    batch.note(f"building {', '.join(image.name for image in images)} on {batch.options.builder}")
    targets = []
    for image in images:
        release = releases.get(image.name)
        platforms = choose_platforms(_options(batch, release), image)
        tags = _name(batch, image, release)
        targets.append(BakeTarget(plan=image, tags=tags, platforms=platforms))
    return bake_images(
        batch.opened.loaded,
        tuple(targets),
        options=batch.options,
        no_cache=batch.no_cache,
        quiet=batch.quiet,
    )


def _make(batch: Batch, image: ImagePlan, release: Release | None, baked: str | None) -> Built:
    """Build an image, unless that is done, publish it where the spec says, and tell of it."""
    tags = _name(batch, image, release)
    options = _options(batch, release)
    identity = baked or _build(batch, image, tags, options)
    if release:
        batch.note(f"publishing {release.reference}")
        in_engine = not options.pushes_itself
        row, entry = publish(batch.opened, release, identity, in_engine=in_engine)
        return Built(entry=entry, row=row)
    entry = {"image": image.name, "tags": list(tags), "id": identity}
    if batch.records and not options.pushes_itself:
        batch.note(f"reading {image.name} for its canonical digest")
        entry |= describe_built(tags[0])
    return Built(entry=entry)


def _build(batch: Batch, image: ImagePlan, tags: tuple[str, ...], options: BuildOptions) -> str:
    batch.note(f"building {image.name} as {', '.join(tags)}")
    return build_image(
        batch.opened.loaded,
        image,
        tags,
        no_cache=batch.no_cache,
        quiet=batch.quiet,
        options=options,
    )


def _options(batch: Batch, release: Release | None) -> BuildOptions:
    """Return the options of one build: what is published is built for all its platforms."""
    if release is None:
        return batch.options
    return msgspec.structs.replace(batch.options, platforms=release.platforms)


def _name(batch: Batch, image: ImagePlan, release: Release | None) -> tuple[str, ...]:
    if release:
        return (str(release.reference), *batch.tags)
    return batch.tags or (f"{batch.opened.loaded.spec.project.name.lower()}-{image.name}",)
