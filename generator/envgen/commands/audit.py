"""`envgen audit`: known vulnerabilities of what is locked, and the age of the locks."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from envgen import project
from envgen.commands.options import add_images
from envgen.console import Console
from envgen.errors import PolicyError

if TYPE_CHECKING:
    from envgen.audit.image import ImageAudit

EXAMPLES: Final = """\
  python -m envgen audit
  python -m envgen audit serve --json"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    from envgen.audit.policy import find_violations  # noqa: PLC0415 - imports urllib3
    from envgen.audit.project import audit_project  # noqa: PLC0415

    opened = project.open_project(arguments.directory, arguments.images)
    with console.progress():
        audits = audit_project(opened)
    lines = [line for audit in audits for line in describe(audit)]
    console.result("\n".join(lines), msgspec.to_builtins(audits))
    loaded = opened.loaded
    violations = [
        problem
        for audit in audits
        for problem in find_violations(
            audit, loaded.spec.policy, file=loaded.file, prefix=loaded.prefix
        )
    ]
    if violations and console.as_json:
        return PolicyError.exit_code
    if violations:
        raise PolicyError(*violations)
    return 0


def describe(audit: "ImageAudit") -> Iterator[str]:
    """Yield the lines that tell of an image's audit."""
    age = "not committed yet" if audit.age_days is None else f"locked {audit.age_days} days ago"
    yield (
        f"{audit.image}: {len(audit.vulnerable)} vulnerable, {audit.clean} without known "
        f"vulnerabilities, {len(audit.not_audited)} not audited; {age}"
    )
    for package in audit.vulnerable:
        for advisory in package.advisories:
            fix = f"fixed in {advisory.fixed}" if advisory.fixed else "no fix"
            yield (
                f"  {package.name} {package.version}: {advisory.id} ({advisory.severity}, {fix}) "
                f"{advisory.summary}".rstrip()
            )
    for reason in sorted(set(audit.not_audited.values())):
        names = sorted(name for name, why in audit.not_audited.items() if why == reason)
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" * (len(names) > 5))
        yield f"  not audited: {shown}: {reason}"
    yield "  not audited: the packages of the base image's distribution; scan the image for those"
