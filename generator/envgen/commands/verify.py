"""`envgen verify`: whether an image is what the spec and the lock give."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from envgen import process, project
from envgen.build.docker import build_image
from envgen.commands.render import check_project
from envgen.console import Console
from envgen.errors import MismatchError, Problem, UsageError
from envgen.image.canonical import CanonicalImage
from envgen.image.mismatch import shorten
from envgen.image.open import open_built, open_named
from envgen.image.record import canonical_form, describe
from envgen.image.store import StoredImage
from envgen.lock.network import find_ca_certificates, find_mirrors
from envgen.plan.model import ImagePlan
from envgen.project import Project

EXAMPLES: Final = """\
  python -m envgen verify registry.example/serve@sha256:…    # build it again and compare
  python -m envgen verify --sources serve.tar                # hold every file to the lock"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reference",
        metavar="REF",
        help="an image of a registry or of the engine, or what `docker save` wrote",
    )
    parser.add_argument(
        "image", nargs="?", metavar="IMAGE", help="default: what the image's label says"
    )
    parser.add_argument(
        "--sources",
        action="store_true",
        help="build nothing: hold labels, configuration and every file to spec and lock",
    )
    parser.add_argument(
        "--cached", action="store_true", help="let the rebuild take stages from the cache"
    )
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def run(arguments: argparse.Namespace, console: Console) -> int:
    opened = project.open_project(arguments.directory, [arguments.image] if arguments.image else [])
    project.require_lock(opened)
    console.note(f"reading {arguments.reference}")
    with _open(arguments.reference, opened) as stored:
        name = arguments.image or _name_of(stored, opened)
        opened = project.open_project(arguments.directory, [name])
        check_project(opened)
        (plan,) = project.plan_project(opened).images
        if arguments.sources:
            return _check_sources(arguments.reference, stored, opened, plan, console)
        return _rebuild(stored, opened, plan, arguments, console)


def _rebuild(
    stored: StoredImage,
    opened: Project,
    plan: ImagePlan,
    arguments: argparse.Namespace,
    console: Console,
) -> int:
    image = canonical_form(stored)
    tag = f"envgen-verify:{uuid4().hex}"
    console.note(f"building {plan.name} again")
    try:
        build_image(
            opened.loaded,
            plan,
            (tag,),
            no_cache=not arguments.cached,
            quiet=console.as_json or console.quiet,
        )
        with open_built(tag) as built:
            rebuilt = canonical_form(built)
            _require_equal(arguments.reference, image, rebuilt)
    finally:
        process.run(["docker", "image", "rm", tag])
    console.summary(f"{plan.name}: {image.digest} again", {"image": plan.name, **describe(image)})
    return 0


def _require_equal(reference: str, image: CanonicalImage, rebuilt: CanonicalImage) -> None:
    from envgen.image.difference import compare_images  # noqa: PLC0415 - most images are equal

    found = [str(difference) for difference in compare_images(image, rebuilt)]
    if found:
        raise MismatchError(
            Problem(
                what=f"{reference} is {image.digest}, and rebuilding gives {rebuilt.digest}",
                why=shorten(found, "difference"),
                fix="build it from the commit that the image was made from; bytecode of CPython "
                "3.12 and later may differ by itself",
            )
        )


def _check_sources(
    reference: str, stored: StoredImage, opened: Project, plan: ImagePlan, console: Console
) -> int:
    from envgen.sources.check import check_sources  # noqa: PLC0415 - for this option alone

    report = check_sources(stored, opened, plan)
    if report.problems:
        raise MismatchError(
            Problem(
                what=f"{reference} holds what spec and lock do not give",
                why=shorten(list(report.problems), "problem"),
                fix="build it again, and find out where the image comes from",
            )
        )
    lines = [f"{count:>7}  {origin}" for origin, count in report.counts.items()]
    for note in report.notes:
        console.note(f"note: {note}")
    data = {"image": plan.name, "origins": report.counts, "notes": list(report.notes)}
    console.summary("\n".join([f"{plan.name}: every file is accounted for", *lines]), data)
    return 0


@contextmanager
def _open(reference: str, opened: Project) -> Iterator[StoredImage]:
    platforms = project.plan_project(opened).images[0].platforms
    with open_named(
        reference,
        platform=platforms[0],
        mirrors=find_mirrors(opened.loaded),
        ca_certificates=find_ca_certificates(opened.loaded),
    ) as stored:
        yield stored


def _name_of(stored: StoredImage, opened: Project) -> str:
    """Return the image of the spec that an image says it is.

    Raises:
        UsageError: It does not say, or the spec has no such image.

    """
    labels = (stored.config.get("config") or {}).get("Labels") or {}
    name = labels.get("org.envgen.image", "")
    if name in opened.loaded.spec.images:
        return str(name)
    raise UsageError.single(
        f"it is not clear which image of {opened.loaded.file} this should be",
        why=f"its label org.envgen.image says {name!r}" if name else "it has no label of envgen",
        fix="name it: `envgen verify REF IMAGE`",
    )
