"""The project's own packages: found, and replaced in what is locked by what they depend on.

An image's own packages are built in its build and are on no index. So no locker hears of them: it
gets their dependencies, and each locker can do with them what uv does with its workspaces.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envgen.errors import Problem, SpecError
from envgen.spec.forms import (
    check_index_name,
    check_index_url,
    check_package_folder,
    check_requirement,
)
from envgen.spec.model import Image, Index, Spec
from envgen.spec.own_project import OwnProject, parse_own_project, project_file
from envgen.spec.uv_sources import (
    PLACE,
    Source,
    UvTables,
    choose_sources,
    list_environments,
    point_to_git,
)

_ARCHIVES: Final = (".whl", ".tar.gz", ".zip")


def expand_own(spec: Spec, root: Path, *, file: str, sources: bool) -> Spec:
    """Return a spec in which images ask for what their own packages depend on.

    The `install` of an image then lists all its own packages, those that others need among them.

    Args:
        spec: As it was written.
        root: Its folder.
        file: Its name, for messages.
        sources: Whether `[tool.uv.sources]` holds for the spec's own requirements, too: where the
            spec is in that very file.

    Raises:
        SpecError: With everything because of which a package cannot be built or found.

    """
    projects = _Projects(spec, root, file)
    named = {folder.rstrip("/") for image in spec.images.values() for folder in image.install}
    known = {found.name: found for folder in sorted(named) if (found := projects.open(folder))}
    images = {
        name: _Expansion(projects, spec, name, known).expand(sources=sources)
        for name in spec.images
    }
    if projects.problems:
        raise SpecError(*dict.fromkeys(projects.problems))
    return msgspec.structs.replace(
        spec,
        project=msgspec.structs.replace(spec.project, dependencies=()),
        images=images,
        network=msgspec.structs.replace(spec.network, indexes=projects.indexes),
    )


class _Projects:
    """The packages of a spec's folders, each read once, and what is wrong with them."""

    def __init__(self, spec: Spec, root: Path, file: str) -> None:
        self.python = spec.project.python
        self.root = root
        self.file = file
        self.tables = UvTables(root)
        self.problems: list[Problem] = []
        self.indexes: dict[str, Index] = dict(spec.network.indexes)
        self._opened: dict[str, OwnProject | None] = {}

    def open(self, folder: str) -> OwnProject | None:
        """Return the package in a folder; None after reporting why it is none."""
        if folder not in self._opened:
            self._opened[folder] = self._open(folder)
        return self._opened[folder]

    def find_opened(self, folder: str | None) -> OwnProject | None:
        return self._opened.get(folder or "")

    def _open(self, folder: str) -> OwnProject | None:
        file = project_file(folder)
        fault = check_package_folder(folder)
        if fault:
            self.report("", fault.what, fault.why, fault.fix, file=file)
            return None
        try:
            return parse_own_project(folder, (self.root / file).read_bytes(), self.python)
        except OSError as error:
            self.report("", "cannot be read", error.strerror or "", file=file)
        except SpecError as error:
            self.problems += error.problems
        return None

    def find_member(self, name: str, folder: str) -> OwnProject | None:
        """Return a member of the workspace that a folder is in; report one that is not there."""
        wanted = canonicalize_name(name)
        for member in self.tables.list_members(folder):
            if self._read_name(member) == wanted:
                return self.open(member)
        self.report(
            f"tool.uv.sources.{name}",
            f"there is no member {name!r} in the workspace",
            fix="[tool.uv.workspace] members names their folders",
            file=project_file(folder),
        )
        return None

    def _read_name(self, folder: str) -> str:
        """Return a package's name, without asking more of a member that may not be wanted."""
        text = (self.root / project_file(folder)).read_text(encoding="utf-8", errors="replace")
        found = re.search(r"""^\s*name\s*=\s*["']([^"']+)""", text, re.MULTILINE)
        return canonicalize_name(found[1]) if found else ""

    def add_to_index(self, package: str, name: str, place: str) -> None:
        """Let a package come from an index, which `[[tool.uv.index]]` or the spec declares."""
        index = self.indexes.get(name)
        if index is None:
            url = self.tables.find_index_url(name, place)
            fault = check_index_name(name) or (check_index_url(url) if url is not None else None)
            if fault or url is None:
                self.report(
                    f"tool.uv.sources.{package}",
                    fault.what if fault else f"there is no index {name!r}",
                    fix=fault.fix if fault else "declare it as [[tool.uv.index]]",
                    file=project_file(place),
                )
                return
            index = Index(url=url)
        packages = dict.fromkeys((*index.packages, package))
        self.indexes[name] = msgspec.structs.replace(index, packages=tuple(packages))

    def report(self, key: str, what: str, why: str = "", fix: str = "", *, file: str = "") -> None:
        problem = Problem(what=what, file=file or self.file, key=key, why=why, fix=fix)
        self.problems.append(problem)


class _Expansion:
    """One image: its own packages in the order of their finding, and what is left to lock."""

    def __init__(
        self, projects: _Projects, spec: Spec, name: str, known: Mapping[str, OwnProject]
    ) -> None:
        self.projects = projects
        self.name = name
        self.image = spec.images[name]
        self.shared = spec.project.dependencies
        self.known = known
        self.environments = list_environments(spec, self.image)
        self.folders: dict[str, None] = {}
        self.extras: set[tuple[str, str]] = set()

    def expand(self, *, sources: bool) -> Image:
        found: dict[str, None] = {}
        for folder in self.image.install:
            project = self.projects.open(folder.rstrip("/"))
            found |= dict.fromkeys(self.add(project, ()) if project else ())
        own = (*self.shared, *self.image.dependencies)
        found |= dict.fromkeys(self.resolve(own, "." if sources else None))
        return msgspec.structs.replace(
            self.image, dependencies=tuple(found), install=tuple(self.folders)
        )

    def add(self, project: OwnProject, extras: Iterable[str]) -> Iterator[str]:
        """Yield what an own package needs from elsewhere, and note what it needs of the project."""
        if project.folder not in self.folders:
            self.folders[project.folder] = None
            yield from self.resolve(project.requires, project.folder)
        for extra in map(canonicalize_name, extras):
            if (project.folder, extra) in self.extras:
                continue
            self.extras.add((project.folder, extra))
            if extra in project.extras:
                yield from self.resolve(project.extras[extra], project.folder)
            else:
                self.projects.report(
                    "project.optional-dependencies",
                    f"has no extra {extra!r}",
                    "another package asks for it",
                    file=project.file,
                )

    def resolve(self, texts: Iterable[str], folder: str | None) -> Iterator[str]:
        """Yield requirements, and in place of the project's own packages what these need.

        Args:
            texts: PEP 508 requirements.
            folder: Of the pyproject.toml that they stand in; None for an envgen.toml.

        """
        for text in texts:
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            source = None if requirement.url else self.find_source(name, folder)
            asking = self.projects.find_opened(folder)
            if asking and asking.name == name:
                yield from self.enter(asking, requirement)
            elif source is not None:
                yield from self.follow(requirement, source)
            elif name in self.known and not requirement.url:
                yield from self.enter(self.known[name], requirement)
            else:
                yield text

    def find_source(self, package: str, folder: str | None) -> Source | None:
        found = self.projects.tables.find_sources(package, folder) if folder else ()
        chosen = choose_sources(found, self.image, self.environments)
        if len(chosen) > 1:
            self.projects.report(
                f"tool.uv.sources.{package}",
                f"gives image {self.name} {len(chosen)} sources",
                "an image has one",
                file=project_file(chosen[0][PLACE]),
            )
        return chosen[0] if chosen else None

    def follow(self, requirement: Requirement, source: Source) -> Iterator[str]:
        """Yield what a requirement with a source comes to."""
        place = source[PLACE]
        match source:
            case {"workspace": True}:
                member = self.projects.find_member(requirement.name, place)
                yield from self.enter(member, requirement)
            case {"path": str(path)}:
                yield from self.enter(self.find_path(path, requirement, place), requirement)
            case {"git": str()}:
                text = point_to_git(requirement, source)
                if fault := check_requirement(text):
                    self.refuse(requirement, place, fault.what, fault.why, fault.fix)
                yield text
            case {"index": str(index)}:
                self.projects.add_to_index(requirement.name, index, place)
                yield str(requirement)
            case _:
                fix = "known are index, git, path and workspace"
                what = "is a source that envgen does not know"
                self.refuse(requirement, place, what, fix=fix)

    def enter(self, project: OwnProject | None, requirement: Requirement) -> Iterator[str]:
        marker = requirement.marker
        if project and (marker is None or any(map(marker.evaluate, self.environments))):
            yield from self.add(project, requirement.extras)

    def find_path(self, path: str, requirement: Requirement, place: str) -> OwnProject | None:
        folder = posixpath.normpath(posixpath.join(place, path))
        if folder.startswith(("..", "/")):
            what = f"{path!r} is outside of the spec's folder"
            self.refuse(requirement, place, what, "a build does not see it")
        elif folder.endswith(_ARCHIVES):
            why = "only folders with sources are built into an image"
            fix = "name the folder of its sources, or publish it to an index"
            self.refuse(requirement, place, f"{path!r} is an archive", why, fix)
        else:
            return self.projects.open(folder)
        return None

    def refuse(
        self, requirement: Requirement, place: str, what: str, why: str = "", fix: str = ""
    ) -> None:
        key = f"tool.uv.sources.{requirement.name}"
        self.projects.report(key, what, why, fix, file=project_file(place))
