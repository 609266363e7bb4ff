"""`envgen explain`: every decision of the plan with its reason, as text, Markdown or a page."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from envgen import output, project
from envgen.commands.options import add_images
from envgen.console import Console
from envgen.errors import EditedError
from envgen.plan.model import ImagePlan
from envgen.rendered import RenderedFile

EXAMPLES: Final = """\
  python -m envgen explain serve
  python -m envgen explain --html report.html
  python -m envgen explain --format markdown >> "$GITHUB_STEP_SUMMARY\""""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    styles = parser.add_mutually_exclusive_group()
    styles.add_argument(
        "--format", choices=["text", "markdown"], default="text", help="default: text"
    )
    styles.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with sizes, hosts and changes"
    )
    parser.add_argument(
        "--since", default="HEAD", metavar="REV", help="what changed since (default: HEAD)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that is no report")


def run(arguments: argparse.Namespace, console: Console) -> int:
    opened = project.open_project(arguments.directory, arguments.images)
    project.require_locked(opened)
    if arguments.html or arguments.format == "markdown":
        return _report(opened, arguments, console)
    plan = project.plan_project(opened)
    text = "\n\n".join(_describe(image) for image in plan.images)
    console.result(
        text,
        {image.name: msgspec.to_builtins(image.decisions) for image in plan.images},
    )
    return 0


def _report(opened: project.Project, arguments: argparse.Namespace, console: Console) -> int:
    # A report reads the CUDA tables and asks git; the text needs neither.
    from envgen.report.collect import collect  # noqa: PLC0415

    report = collect(opened, arguments.since)
    if arguments.html is None:
        from envgen.report.markdown import write_markdown  # noqa: PLC0415

        console.result(write_markdown(report), msgspec.to_builtins(report))
        return 0
    from envgen.report.page import MARK, write_page  # noqa: PLC0415

    target: Path = arguments.html
    found = output.read(target.parent, target.name)
    if found is not None and MARK.encode() not in found and not arguments.force:
        raise EditedError.single(
            "is no report of envgen's",
            file=str(target),
            fix="name another file, or overwrite it with --force",
        )
    content = write_page(report).encode()
    output.write([RenderedFile(path=target.name, content=content)], target.parent)
    console.summary(f"{arguments.html} written", {"written": str(arguments.html)})
    return 0


def _describe(image: ImagePlan) -> str:
    width = max(len(decision.about) for decision in image.decisions)
    lines = [image.name]
    for decision in image.decisions:
        lines.append(f"  {decision.about:<{width}}  {decision.choice}")
        lines.append(f"  {'':<{width}}  because {decision.reason}")
    return "\n".join(lines)
