"""`envgen bake`: the builds of all images as a bake file, on standard output."""

import argparse
import json
from typing import Final

from envgen import project
from envgen.build.bake import BakeTarget, render_bake
from envgen.commands.options import add_images
from envgen.commands.render import check_project
from envgen.console import Console
from envgen.release.repository import plan_releases

EXAMPLES: Final = """\
  python -m envgen bake > docker-bake.json
  ENVGEN_REVISION=$(git rev-parse HEAD) docker buildx bake --push"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    opened = project.open_project(arguments.directory, arguments.images)
    check_project(opened)
    plan = project.plan_project(opened)
    releases = plan_releases(opened, plan)
    name = opened.loaded.spec.project.name.lower()
    targets = [
        BakeTarget(
            plan=image,
            tags=(
                str(releases[image.name].reference)
                if image.name in releases
                else f"{name}-{image.name}",
            ),
            platforms=image.platforms,
        )
        for image in plan.images
    ]
    text = render_bake(
        targets,
        spec_sha256=opened.loaded.sha256,
        ca_certificates=opened.loaded.spec.network.ca_certificates or "",
    )
    console.result(text, json.loads(text))
    return 0
