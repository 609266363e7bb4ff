"""`envgen build`: render, then build each image with Docker."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from envgen import output, project
from envgen.build.batch import Batch, Built, run_batch
from envgen.build.options import add_builder_options, read_builder_options, require_platforms
from envgen.commands.options import add_images, add_lock_modes, choose_fetch
from envgen.commands.render import prepare, report_changes, write_project
from envgen.console import Console
from envgen.errors import Problem, UsageError
from envgen.image.record import write_record
from envgen.project import Project
from envgen.release.publish import record_published

EXAMPLES: Final = """\
  python -m envgen build serve
  python -m envgen build serve --tag registry.example/serve:1
  python -m envgen build --push --record digests.json    # into the spec's repositories
  python -m envgen build serve --tag registry.example/serve:1 --push \\
    --cache-from registry.example/cache --cache-to registry.example/cache"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    add_lock_modes(parser)
    parser.add_argument(
        "-t",
        "--tag",
        action="append",
        help="name the image (default: PROJECT-IMAGE); may be repeated",
    )
    parser.add_argument(
        "--force-build",
        action="store_true",
        help="with --push: build images whose inputs are in their repository already",
    )
    parser.add_argument("--no-cache", action="store_true", help="build every stage again")
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="DIR",
        help="build without a network, from what `envgen fetch --to DIR` has put there",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write the engine's IDs and the canonical digests, which every builder agrees on",
    )
    add_builder_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    options = read_builder_options(arguments)
    fetch = choose_fetch(arguments, console)
    with project.hold_project(arguments.directory, arguments.images, fetch=fetch) as opened:
        _check_options(arguments, opened)
        current = prepare(opened, arguments, console)
        write_project(current, force=arguments.force)
    report_changes(current, console)
    plan = project.plan_project(current)
    if arguments.bundle:
        from envgen.bundle.use import use_bundle  # noqa: PLC0415 - few builds have a bundle

        images = tuple(use_bundle(image, arguments.bundle) for image in plan.images)
        plan = msgspec.structs.replace(plan, images=images)
    for image in plan.images:
        require_platforms(options, image)
    batch = Batch(
        opened=current,
        plan=plan,
        options=options,
        tags=tuple(arguments.tag or ()),
        jobs=arguments.jobs,
        no_cache=arguments.no_cache,
        force=arguments.force_build,
        records=arguments.record is not None,
        # Several builds at once would write into each other's lines.
        quiet=console.as_json or console.quiet or len(plan.images) > 1,
        note=console.note,
    )
    built = run_batch(batch)
    rows = {each.entry["image"]: each.row for each in built if each.row}
    if rows and record_published(current.root, rows, images=current.loaded.spec.images):
        _render_again(current)
    if arguments.record:
        entries = [each.entry for each in built]
        output.write([write_record(arguments.record.name, entries)], arguments.record.parent)
    console.result("\n".join(map(_summarise, built)), [each.entry for each in built])
    return 0


def _check_options(arguments: argparse.Namespace, opened: Project) -> None:
    """Refuse options that do not go together, and names that do not say where an image goes.

    Raises:
        UsageError: There are some.

    """
    if arguments.bundle and arguments.builder:
        raise UsageError.single(
            "--bundle and --builder do not go together",
            why="the bundle's base images are in the engine, and another builder has none of them",
            fix="leave one of them out",
        )
    if arguments.tag and len(opened.images) > 1:
        raise UsageError.single(
            "--tag names one image, and there are several",
            fix="name the image: `envgen build IMAGE --tag …`",
        )
    images = opened.loaded.spec.images
    homeless = [name for name in opened.images if images[name].repository is None]
    if arguments.push and homeless and not arguments.tag:
        raise UsageError(
            *(
                Problem(
                    what="is pushed nowhere",
                    file=opened.loaded.file,
                    key=f"{opened.loaded.prefix}images.{name}.repository",
                    fix='name its repository, as "registry.example/team/serve", or push with --tag',
                )
                for name in homeless
            )
        )


def _render_again(built: Project) -> None:
    """Let manifests name the new digests, unless the project is another by now."""
    with project.hold_project(built.root, built.images) as opened:
        if (opened.loaded.sha256, opened.lock) == (built.loaded.sha256, built.lock):
            write_project(opened, force=False)


def _summarise(built: Built) -> str:
    name = built.entry["image"]
    if built.row:
        return f"{name}: {built.row.repository}@{built.row.digest}"
    return f"{name}: {built.entry['id']}"
