"""Locking how the project's own packages are built: their files, and the tools of their build."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from envgen.errors import LockError, Problem
from envgen.lock.model import BUILD_FILE, LockedOwn
from envgen.lock.packages import LockedPackage
from envgen.lock.staleness import Read, sha256_as_committed
from envgen.lockers import LockRequest
from envgen.rendered import RenderedFile
from envgen.spec.own_project import OwnProject, parse_own_project, project_file

_BUILD_FILES: Final = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "hatch_build.py")


class OwnLock(NamedTuple):
    """An image's own packages, and the file that pins the tools of their build."""

    packages: tuple[LockedOwn, ...]
    files: tuple[RenderedFile, ...]


def lock_own(
    request: LockRequest,
    folders: Iterable[str],
    *,
    root: Path,
    read: Read,
    upgrade: bool,
    ca_certificates: Path | None,
) -> OwnLock:
    """Pin the build of an image's own packages.

    Args:
        request: What the image asks for.
        folders: Of the packages, relative to the spec.
        root: The spec's folder.
        read: Reads a file of it.
        upgrade: Take the newest tools instead of keeping pins.
        ca_certificates: Certificates that the index may have.

    Raises:
        LockError: The tools cannot be had as wheels, or the files of a package cannot be told.
        NetworkError: The index did not answer.
        SpecError: A pyproject.toml has changed meanwhile.

    """
    contents = {folder: read(project_file(folder)) or b"" for folder in folders}
    projects = [
        parse_own_project(folder, content, request.python) for folder, content in contents.items()
    ]
    if not projects:
        return OwnLock((), ())
    packages = tuple(
        LockedOwn(
            name=project.name,
            folder=project.folder,
            files=tuple(list_files(project, root, request.image)),
            sha256=sha256_as_committed(contents[project.folder]),
        )
        for project in projects
    )
    tools = dict.fromkeys(text for project in projects for text in project.build_requires)
    path = f"{request.folder}/{BUILD_FILE}"
    current = None if upgrade else read(path)
    return OwnLock(packages, (_lock_tools(request, tuple(tools), path, current, ca_certificates),))


def _lock_tools(
    request: LockRequest,
    tools: tuple[str, ...],
    path: str,
    current: bytes | None,
    ca_certificates: Path | None,
) -> RenderedFile:
    from envgen.lockers import pip_program  # noqa: PLC0415 - few images have own packages

    asked = msgspec.structs.replace(
        request, requirements=tools, constraints=(), indexes=(), allow_source=()
    )
    try:
        made = pip_program.lock(asked, current=current, ca_certificates=ca_certificates)
    except LockError as error:
        problems = (
            msgspec.structs.replace(
                problem, what=f"the tools that build its own packages: {problem.what}"
            )
            for problem in error.problems
        )
        raise LockError(*problems) from error
    return RenderedFile(path=path, content=made.native.content, guarded=False)


def list_files(project: OwnProject, root: Path, image: str) -> Iterator[str]:
    """Yield what the build of a package gets to see, relative to the spec.

    All of its folder. Of the spec's own folder only what makes up the package: there lie `.git`,
    data sets and secrets as well.

    Raises:
        LockError: It cannot be told which files these are.

    """
    if project.folder != ".":
        yield project.folder
        return
    sources = [
        name for name in ("src", project.module, f"{project.module}.py") if (root / name).exists()
    ]
    if not sources:
        raise LockError.single(
            "it cannot be told which files of the project's folder make up the package",
            key=f"images.{image}.install",
            why=f"there is no src/, {project.module}/ or {project.module}.py",
            fix="move the package into src/, or into a folder of its own with its pyproject.toml",
        )
    yield from (name for name in _BUILD_FILES if (root / name).is_file())
    beside = {
        path.relative_to(root).as_posix()
        for pattern in (*project.readme, *([] if project.readme else ["LICEN[CS]E*"]))
        for path in root.glob(pattern)
    }
    yield from sorted(beside)
    yield sources[0]


def require_none_from_index(
    image: str, own: Iterable[LockedOwn], packages: Iterable[LockedPackage]
) -> None:
    """Refuse a lock that has a package of an own one's name from an index.

    Raises:
        LockError: With every such package.

    """
    names = {package.name: package for package in own}
    problems = [
        Problem(
            what=f"{package.name} came from an index, and is the project's own",
            key=f"images.{image}.install",
            why=f"another package asks for it; {names[package.name].folder} would replace it",
            fix="give the own one another name, or take it out of what is installed",
        )
        for package in packages
        if package.name in names
    ]
    if problems:
        raise LockError(*problems)
