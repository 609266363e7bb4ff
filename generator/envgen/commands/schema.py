"""`envgen schema`: what may stand in a spec, for editors and for people."""

import argparse

from envgen.console import Console


def run(arguments: argparse.Namespace, console: Console) -> int:
    from envgen.spec.schema import make_reference, make_schema_text  # noqa: PLC0415 - rarely asked

    console.result(make_schema_text() if arguments.format == "json" else make_reference())
    return 0
