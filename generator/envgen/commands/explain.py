"""`envgen explain`: every decision of the plan with its reason. Reads, writes nothing."""

import argparse

import msgspec

from envgen import project
from envgen.console import Console
from envgen.plan.model import ImagePlan


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
