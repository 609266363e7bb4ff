"""`envgen lock`: pin packages and base images anew and say what changed."""

import argparse
from collections.abc import Iterable
from typing import Final

import msgspec

from envgen import output, project
from envgen.commands.options import add_accept_presets, add_images, choose_fetch
from envgen.commands.render import name_edited
from envgen.console import Console
from envgen.errors import Problem, UsageError
from envgen.leftovers import find_leftovers
from envgen.lock.changes import describe_changes
from envgen.project import Project

EXAMPLES: Final = """\
  python -m envgen lock
  python -m envgen lock --upgrade
  python -m envgen lock serve --upgrade torch numpy
  python -m envgen lock --security    # moves only what has a known vulnerability"""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    parser.add_argument(
        "--upgrade",
        nargs="*",
        metavar="PACKAGE",
        help="take the newest versions of these packages; without any, of all and the newest "
        "digests of base images",
    )
    parser.add_argument(
        "--security",
        action="store_true",
        help="upgrade the packages for which `audit` knows a release without the vulnerability",
    )
    parser.add_argument("--force", action="store_true", help="overwrite edited files")
    add_accept_presets(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    fetch = choose_fetch(arguments, console)
    with project.hold_project(arguments.directory, arguments.images, fetch=fetch) as opened:
        chosen, packages = _choose(opened, arguments)
        with console.progress() as report:
            current = project.lock_project(
                chosen,
                chosen.images,
                upgrade=arguments.upgrade == [],
                packages=packages,
                report=report,
            )
        differences = output.compare(current.files, current.root)
        if not arguments.force:
            output.refuse_edited(differences)
        left = find_leftovers(current, (file.path for file in current.files), rendered=False)
        output.write([found.file for found in differences], current.root, remove=left.unused)
    name_edited(left)
    lines = describe_changes(current.changes) or ["nothing changed"]
    console.result("\n".join(lines), {"changes": msgspec.to_builtins(current.changes)})
    return 0


def _choose(opened: Project, arguments: argparse.Namespace) -> tuple[Project, tuple[str, ...]]:
    """Return the project with the images to lock, and the packages to move in them.

    With `--security` they are those that a release would mend.

    Raises:
        UsageError: A package is in no lock, or was named beside `--security`.
        NetworkError: The database of vulnerabilities did not answer.

    """
    if not arguments.security:
        return opened, _name_packages(opened, arguments.upgrade or ())
    from envgen.audit.project import audit_project, fixable  # noqa: PLC0415 - rarely asked for

    if arguments.upgrade is not None:
        raise UsageError.single(
            "--security chooses the packages itself", fix="leave --upgrade out, or --security"
        )
    found = fixable(audit_project(opened))
    chosen = msgspec.structs.replace(opened, images=tuple(found))
    return chosen, tuple(sorted({name for names in found.values() for name in names}))


def _name_packages(opened: Project, given: Iterable[str]) -> tuple[str, ...]:
    """Return the normalised names of packages to upgrade.

    Raises:
        UsageError: None of the images has one of them in its lock.

    """
    given = tuple(given)
    if not given:
        return ()
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - rarely asked for

    from envgen.lock.stored import read_packages  # noqa: PLC0415 - imports packaging
    from envgen.spec.suggest import suggest  # noqa: PLC0415

    known = {
        str(package.name)
        for name in opened.images
        if name in opened.lock.images
        for package in read_packages(name, opened.lock.images[name], opened.read)
    }
    unknown = [name for name in given if canonicalize_name(name) not in known]
    if unknown:
        raise UsageError(
            *(
                Problem(
                    what=f"no image in question has a package {name!r} locked",
                    fix=f"to upgrade that image: `envgen lock {name} --upgrade`"
                    if name in opened.loaded.spec.images
                    else _near(suggest(name, known)),
                )
                for name in unknown
            )
        )
    return tuple(canonicalize_name(name) for name in given)


def _near(hint: str) -> str:
    """Return a hint, but not the list of all packages that it is without a near one."""
    return hint if hint.startswith("did") else ""
