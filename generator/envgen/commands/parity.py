"""`envgen parity`: whether dev, test and prod are the same but for what the spec says."""

import argparse
from typing import Any, Final

import msgspec

from envgen import project
from envgen.commands.options import add_images
from envgen.console import Console
from envgen.errors import UsageError
from envgen.plan.model import ImagePlan
from envgen.plan.targets.model import NAMES

EXAMPLES: Final = """\
  python -m envgen parity                               # the rendered manifests
  python -m envgen parity --against prod=live.yaml      # of `kubectl get deployment -o yaml`
  docker inspect serve | python -m envgen parity --against dev=-
  python -m envgen parity serve --against dev=compose.override.yaml --against test=serve-1"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="[DEPLOYMENT=]WHAT",
        help="a Compose file, Kubernetes manifests, the JSON of `docker inspect`, a task "
        "definition, - for standard input, or the name of a container; may be repeated",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    # Reads YAML and the CUDA tables.
    from envgen.parity.check import check_given, check_image  # noqa: PLC0415
    from envgen.parity.compare import describe_difference, list_allowed  # noqa: PLC0415
    from envgen.parity.sources import read_given  # noqa: PLC0415

    opened = project.open_project(arguments.directory, arguments.images)
    project.require_locked(opened)
    images = [image for image in project.plan_project(opened).images if image.targets]
    if not images:
        raise UsageError.single(
            "no image has targets", fix='add some to it, as targets = ["kubernetes"]'
        )
    published = project.read_project_published(opened)
    differences = [
        difference
        for image in images
        for difference in check_image(image, published.images.get(image.name), opened.read)
    ]
    repositories = {image.name: image.targets.repository for image in images if image.targets}
    for given in arguments.against:
        deployment, name = _split(given)
        containers = read_given(name, arguments.directory, repositories)
        differences += check_given(images, deployment, containers)
    allowed = {image.name: list_allowed(image) for image in images}
    lines = [f"{name}: {line}, as the spec says" for name in allowed for line in allowed[name]]
    lines += map(describe_difference, differences)
    lines.append(_summarise(images, len(differences)))
    console.result("\n".join(lines), _to_json(differences, allowed))
    return 1 if differences else 0


def _split(given: str) -> tuple[str, str]:
    """Return the deployment, empty where none is named, and what it is."""
    name, equals, rest = given.partition("=")
    if equals and name in NAMES:
        return name, rest
    if equals and "/" not in name and "." not in name:
        raise UsageError.single(
            f"there is no deployment {name!r}", fix=f"one of {', '.join(NAMES)}"
        )
    return "", given


def _summarise(images: list[ImagePlan], count: int) -> str:
    names = ", ".join(image.name for image in images)
    if not count:
        return f"{names}: {', '.join(NAMES)} are what the spec declares"
    return f"{names}: {count} difference{'' if count == 1 else 's'} that the spec does not declare"


def _to_json(differences: list[Any], allowed: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    return {"differences": msgspec.to_builtins(differences), "allowed": allowed}
