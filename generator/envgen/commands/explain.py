"""`envgen explain`: every decision of the plan with its reason. Reads, writes nothing."""

import argparse
from typing import Final

import msgspec

from envgen import project
from envgen.commands.options import add_images
from envgen.console import Console
from envgen.plan.model import ImagePlan

EXAMPLES: Final = """\
  python -m envgen explain serve"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    opened = project.open_project(arguments.directory, arguments.images)
    project.require_locked(opened)
    plan = project.plan_project(opened)
    text = "\n\n".join(_describe(image) for image in plan.images)
    console.result(
        text,
        {image.name: msgspec.to_builtins(image.decisions) for image in plan.images},
    )
    return 0


def _describe(image: ImagePlan) -> str:
    width = max(len(decision.about) for decision in image.decisions)
    lines = [image.name]
    for decision in image.decisions:
        lines.append(f"  {decision.about:<{width}}  {decision.choice}")
        lines.append(f"  {'':<{width}}  because {decision.reason}")
    return "\n".join(lines)
