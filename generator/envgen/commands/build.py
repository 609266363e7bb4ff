"""`envgen build`: render, then build each image with Docker."""

import argparse
from typing import Final

from envgen import project
from envgen.build import build_image
from envgen.commands.options import add_images, add_lock_modes
from envgen.commands.render import prepare, report_changes, write_project
from envgen.console import Console
from envgen.errors import UsageError

EXAMPLES: Final = """\
  python -m envgen build serve
  python -m envgen build serve --tag registry.example/serve:1"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    add_lock_modes(parser)
    parser.add_argument(
        "-t",
        "--tag",
        action="append",
        help="name the image (default: PROJECT-IMAGE); may be repeated",
    )
    parser.add_argument("--no-cache", action="store_true", help="build every stage again")


def run(arguments: argparse.Namespace, console: Console) -> int:
    with project.hold_project(arguments.directory, arguments.images) as opened:
        if arguments.tag and len(opened.images) > 1:
            raise UsageError.single(
                "--tag names one image, and there are several",
                fix="name the image: `envgen build IMAGE --tag …`",
            )
        current = prepare(opened, arguments, console)
        write_project(current, force=arguments.force)
    report_changes(current, console)
    name = current.loaded.spec.project.name.lower()
    built = []
    for image in project.plan_project(current).images:
        tags = tuple(arguments.tag or (f"{name}-{image.name}",))
        console.note(f"building {image.name} as {', '.join(tags)}")
        quiet = console.as_json or console.quiet
        identity = build_image(
            current.loaded, image, tags, no_cache=arguments.no_cache, quiet=quiet
        )
        built.append({"image": image.name, "tags": list(tags), "id": identity})
    lines = [f"{entry['image']}: {entry['id']}" for entry in built]
    console.result("\n".join(lines), built)
    return 0
