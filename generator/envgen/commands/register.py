"""`envgen register`: write which environment made a model beside the model."""

import argparse
from pathlib import Path
from typing import Final

from envgen import project
from envgen.console import Console
from envgen.errors import UsageError

EXAMPLES: Final = """\
  python -m envgen register train mlflow:sentiment/3 --record digests.json
  python -m envgen register train card:README.md --selftest fingerprint.json"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image that made the model")
    parser.add_argument(
        "target",
        metavar="MODEL",
        help="mlflow:MODEL/VERSION, mlflow:MODEL@ALIAS, wandb:ENTITY/PROJECT/MODEL:VERSION, "
        "sagemaker:ARN or card:README.md",
    )
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="what `envgen build --record` wrote"
    )
    parser.add_argument(
        "--selftest", type=Path, metavar="FILE", help="what `envgen selftest record` wrote"
    )
    parser.add_argument("--json", action="store_true", help="write JSON for machines")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from envgen.identity.model import describe_image  # noqa: PLC0415 - reads the CUDA tables
    from envgen.identity.targets import examples, find_target  # noqa: PLC0415

    opened = project.open_project(arguments.directory, [arguments.image])
    project.require_locked(opened)
    target = find_target(arguments.target)
    if target is None:
        raise UsageError.single(f"{arguments.target!r} names no model", fix=f"as {examples()}")
    identity = describe_image(
        opened, arguments.image, record=arguments.record, selftest=arguments.selftest
    )
    tags = identity.to_tags()
    target.write(tags)
    lines = [f"{arguments.target} has", *(f"  {name}: {value}" for name, value in tags.items())]
    if not identity.digest:
        console.note("no digest of a registry is known: push the image, then name its --record")
    console.result("\n".join(lines), tags)
    return 0
