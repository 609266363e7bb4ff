"""`envgen lock`: pin packages and base images anew and say what changed."""

import argparse

import msgspec

from envgen import output, project
from envgen.console import Console


def run(arguments: argparse.Namespace, console: Console) -> int:
    opened = project.open_project(arguments.directory, arguments.images)
    with output.hold(opened.root):
        with console.progress() as report:
            current = project.lock_project(
                opened, opened.images, upgrade=arguments.upgrade, report=report
            )
        differences = output.compare(current.files, current.root)
        if not arguments.force:
            output.refuse_edited(differences)
        output.write([difference.file for difference in differences], current.root)
    lines = [str(change) for change in current.changes] or ["nothing changed"]
    console.result("\n".join(lines), {"changes": msgspec.to_builtins(current.changes)})
    return 0
