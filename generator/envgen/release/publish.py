"""Publishing images: what was pushed gets its papers, and a row in published.toml."""

import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from envgen import output
from envgen.image.canonical import REVISION_LABEL, SPEC_LABEL
from envgen.image.fetch import fetch_image
from envgen.image.push import attach, open_writer
from envgen.image.record import canonical_form, describe_built
from envgen.lock.network import find_ca_certificates
from envgen.project import Project
from envgen.registry.pushed import PushedImage, read_pushed
from envgen.registry.reference import ImageReference
from envgen.registry.transport import Transport
from envgen.release.papers import list_papers
from envgen.release.published import (
    EMPTY,
    PUBLISHED_FILE,
    PublishedImage,
    read_published,
    write_published,
)
from envgen.release.repository import Release, annotate, make_row, open_reader
from envgen.rendered import RenderedFile


def publish(
    opened: Project, release: Release, built: str, *, in_engine: bool
) -> tuple[PublishedImage, dict[str, Any]]:
    """Attach its papers to a pushed image; return its row and what a record tells of it.

    Args:
        opened: The project that it was built from.
        release: The image.
        built: The ID that its builder told.
        in_engine: Whether the engine has it, too, and its layers need not be fetched.

    Raises:
        NetworkError: The registry did not deliver or take something.
        ToolError: The engine cannot write the image.

    """
    certificates = find_ca_certificates(opened.loaded)
    reference = release.reference
    with Transport(ca_certificates=certificates, sleep=time.sleep) as transport:
        pushed = read_pushed(open_reader(transport, reference))
    # Somebody else may have pushed under the tag meanwhile.
    in_engine = in_engine and [each.config_digest for each in pushed.platforms] == [built]
    canonical = dict(_find_canonical(pushed, reference, certificates, in_engine=in_engine))
    row = make_row(release, pushed.digest, canonical)
    papers = list_papers(
        opened,
        release.plan,
        pushed.digest,
        name=f"{reference.registry}/{reference.repository}",
        revision=_labels(pushed).get(REVISION_LABEL, ""),
        canonical=row.canonical,
        annotations=annotate(row),
    )
    with open_writer(reference, ca_certificates=certificates) as writer:
        for paper in papers:
            attach(writer, pushed.descriptor, paper)
    return row, {**tell(release, row), **_describe(pushed)}


def _find_canonical(
    pushed: PushedImage,
    reference: ImageReference,
    ca_certificates: Path | None,
    *,
    in_engine: bool,
) -> Iterator[tuple[str, str]]:
    """Yield each platform with the digest of its canonical image."""
    for image in pushed.platforms:
        platform = "/".join(image.platform.split("/")[:2])  # as specs have it, without variant
        if in_engine:
            yield platform, describe_built(str(reference))["canonical"]["digest"]
            return
        with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
            stored = fetch_image(
                reference.pinned(image.digest),
                Path(scratch),
                platform=image.platform,
                mirrors={},
                ca_certificates=ca_certificates,
            )
            yield platform, canonical_form(stored).digest


def retag(release: Release, row: PublishedImage, ca_certificates: Path | None) -> None:
    """Give a published image the user's tags in its repository.

    Raises:
        NetworkError: The registry did not deliver or take something.

    """
    if not release.other_tags:
        return
    with open_writer(release.reference, ca_certificates=ca_certificates) as writer:
        body, media_type = writer.read_manifest(row.digest)
        for tag in release.other_tags:
            writer.write_manifest(tag, body, media_type)


def describe_published(
    release: Release, row: PublishedImage, ca_certificates: Path | None
) -> dict[str, Any]:
    """Return what a record tells of a published image beside that, which its registry knows.

    Raises:
        NetworkError: The registry did not deliver.

    """
    with Transport(ca_certificates=ca_certificates, sleep=time.sleep) as transport:
        pushed = read_pushed(open_reader(transport, release.reference), row.digest)
    return _describe(pushed)


def tell(release: Release, row: PublishedImage) -> dict[str, Any]:
    """Return what a record tells of a published image without asking anybody."""
    return {
        "image": release.plan.name,
        "repository": row.repository,
        "tags": [str(release.reference), *release.tags],
        "digest": row.digest,
        "canonical": {"digest": row.canonical[row.platforms[0]], "platforms": row.canonical},
        "inputs": row.inputs,
        "lock": row.lock,
    }


def _describe(pushed: PushedImage) -> dict[str, Any]:
    labels = _labels(pushed)
    ids = [each.config_digest for each in pushed.platforms]
    return {
        "id": ids[0] if len(ids) == 1 else pushed.digest,
        "size": sum(each.size for each in pushed.platforms),
        "spec": labels.get(SPEC_LABEL, ""),
        "revision": labels.get(REVISION_LABEL, ""),
    }


def _labels(pushed: PushedImage) -> Mapping[str, str]:
    return (pushed.platforms[0].config.get("config") or {}).get("Labels") or {}


def record_published(
    root: Path, rows: Mapping[str, PublishedImage], *, images: Collection[str]
) -> bool:
    """Write what was published into the project's file; tell whether that changed it.

    Args:
        root: The spec's folder.
        rows: What was published, by the image's name.
        images: All of the spec; rows of others are dropped.

    Raises:
        LockError: The file that is there cannot be read.
        StorageError: It cannot be written.

    """
    with output.hold(root):
        content = output.read(root, PUBLISHED_FILE)
        known = EMPTY if content is None else read_published(content)
        merged = {name: row for name, row in {**known.images, **rows}.items() if name in images}
        made = write_published(msgspec.structs.replace(known, images=merged))
        if made == content:
            return False
        output.write([RenderedFile(path=PUBLISHED_FILE, content=made, guarded=False)], root)
    return True
