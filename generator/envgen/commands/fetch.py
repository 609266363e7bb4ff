"""`envgen fetch`: put everything that builds need into a folder, for machines without a network."""

import argparse
from pathlib import Path
from typing import Final

from envgen import project
from envgen.commands.options import add_images
from envgen.console import Console
from envgen.errors import UsageError

EXAMPLES: Final = """\
  python -m envgen fetch --to bundle
  python -m envgen build --bundle bundle      # there, without a network"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="where to; a folder for each image"
    )
    parser.add_argument(
        "--platform", help="which one, of images for several (default: their first)"
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    # It fetches images, and what it needs for that takes a while to load.
    from envgen.bundle.fetch import fetch_bundle  # noqa: PLC0415

    opened = project.open_project(arguments.directory, arguments.images)
    project.require_locked(opened)
    lines = []
    for image in project.plan_project(opened).images:
        platform = arguments.platform or image.platforms[0]
        if platform not in image.platforms:
            raise UsageError.single(
                f"{image.name} is not for {platform}", fix=f"one of {', '.join(image.platforms)}"
            )
        folder = arguments.to / image.name
        with console.progress() as report:
            fetch_bundle(opened, image, folder, platform=platform, report=report)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        lines.append({"image": image.name, "folder": str(folder), "bytes": size})
    text = [f"{row['image']}: {row['folder']}, {int(row['bytes']) / 1e6:.1f} MB" for row in lines]
    console.result("\n".join(text), lines)
    return 0
