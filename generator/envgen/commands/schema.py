"""`envgen schema`: what may stand in a spec, for editors and for people."""

import argparse
from typing import Final

from envgen.console import Console

EXAMPLES: Final = """\
  python -m envgen schema > envgen.schema.json"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=["json", "markdown"], default="json", help="default: json"
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    from envgen.spec.schema import make_reference, make_schema_text  # noqa: PLC0415 - rarely asked

    console.result(make_schema_text() if arguments.format == "json" else make_reference())
    return 0
