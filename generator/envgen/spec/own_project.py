"""The pyproject.toml of one of the project's own packages: its needs and its build. Pure."""

import tomllib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from envgen.errors import Problem, SpecError
from envgen.spec.forms import check_requirement

PYPROJECT: Final = "pyproject.toml"
_PATCH_LEVELS: Final = 100
"""More than any CPython has had."""


class OwnProject(msgspec.Struct, frozen=True, kw_only=True):
    """A package whose sources are in the project.

    Attributes:
        folder: Relative to the spec, with forward slashes; `.` for the spec's own.
        name: Normalised.
        module: The name that its module has unless it says otherwise.
        requires: What it depends on, as PEP 508 requirements.
        extras: What its extras add, by normalised name.
        build_requires: What its build system needs.
        readme: Files that the build reads beside the sources: readme and licences.
        uv: Its `[tool.uv]`.

    """

    folder: str
    name: str
    module: str
    requires: tuple[str, ...]
    extras: Mapping[str, tuple[str, ...]]
    build_requires: tuple[str, ...]
    readme: tuple[str, ...]
    uv: Mapping[str, Any]

    @property
    def file(self) -> str:
        """The path of its pyproject.toml."""
        return project_file(self.folder)


def project_file(folder: str) -> str:
    """Return the path of a folder's pyproject.toml."""
    return PYPROJECT if folder == "." else f"{folder}/{PYPROJECT}"


def parse_own_project(folder: str, content: bytes, python: str) -> OwnProject:
    """Return what a pyproject.toml says of the package in its folder.

    Args:
        folder: Relative to the spec.
        content: The file's bytes.
        python: Major and minor version of the images.

    Raises:
        SpecError: With everything because of which it cannot be built for an image.

    """
    return _Reader(folder, _parse(folder, content)).read(python)


def read_uv_table(folder: str, content: bytes) -> Mapping[str, Any]:
    """Return the `[tool.uv]` of a pyproject.toml, which need not be a package's."""
    return _table(_table(_parse(folder, content), "tool"), "uv")


def _parse(folder: str, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SpecError.single(
            "is not valid TOML", file=project_file(folder), why=str(error)
        ) from error


class _Reader:
    def __init__(self, folder: str, document: Mapping[str, Any]) -> None:
        self.folder = folder
        self.document = document
        self.problems: list[Problem] = []

    def read(self, python: str) -> OwnProject:
        project = _table(self.document, "project")
        build = _table(self.document, "build-system")
        name = project.get("name")
        if not isinstance(name, str):
            self.report("project.name", "is missing", "only a package with a name can be installed")
        if not build.get("requires"):
            self.report(
                "build-system.requires",
                "is missing",
                "nothing says how the package is built",
                'as requires = ["hatchling"] with build-backend = "hatchling.build"',
            )
        self.check_dynamic(project)
        self.check_python(project.get("requires-python", ""), python)
        extras = _table(project, "optional-dependencies")
        found = OwnProject(
            folder=self.folder,
            name=canonicalize_name(str(name)),
            module=str(name).replace("-", "_").replace(".", "_").lower(),
            requires=self.requirements(project.get("dependencies", []), "project.dependencies"),
            extras={
                canonicalize_name(extra): self.requirements(
                    texts, f"project.optional-dependencies.{extra}"
                )
                for extra, texts in extras.items()
            },
            build_requires=self.requirements(build.get("requires", []), "build-system.requires"),
            readme=tuple(_files_beside(project)),
            uv=_table(_table(self.document, "tool"), "uv"),
        )
        if self.problems:
            raise SpecError(*self.problems)
        return found

    def check_dynamic(self, project: Mapping[str, Any]) -> None:
        dynamic = project.get("dynamic", [])
        for key in ("dependencies", "optional-dependencies"):
            if key in (dynamic if isinstance(dynamic, list) else ()):
                self.report(
                    f"project.{key}",
                    "are computed by the build backend",
                    "they would have to be built to be known, and are locked before",
                    f"write them into project.{key}",
                )

    def check_python(self, text: Any, python: str) -> None:  # noqa: ANN401 - TOML is untyped
        try:
            admitted = SpecifierSet(text if isinstance(text, str) else "")
        except InvalidSpecifier:
            self.report("project.requires-python", f"{text!r} is not a range of versions")
            return
        if not any(admitted.contains(f"{python}.{patch}") for patch in range(_PATCH_LEVELS)):
            self.report(
                "project.requires-python",
                f"{text!r} does not admit Python {python}",
                "all images have the Python of project.python",
            )

    def requirements(self, texts: Any, key: str) -> tuple[str, ...]:  # noqa: ANN401
        if not isinstance(texts, list):
            self.report(key, "is not a list")
            return ()
        for n, text in enumerate(texts):
            fault = check_requirement(text) if isinstance(text, str) else None
            if fault:
                self.report(f"{key}[{n}]", fault.what, fault.why, fault.fix)
            elif not isinstance(text, str):
                self.report(f"{key}[{n}]", "is not a requirement")
        return tuple(text for text in texts if isinstance(text, str))

    def report(self, key: str, what: str, why: str = "", fix: str = "") -> None:
        file = project_file(self.folder)
        self.problems.append(Problem(what=what, file=file, key=key, why=why, fix=fix))


def _files_beside(project: Mapping[str, Any]) -> list[str]:
    readme, license_ = project.get("readme"), project.get("license")
    named = [entry.get("file") if isinstance(entry, dict) else entry for entry in (readme,)]
    named += [license_.get("file")] if isinstance(license_, dict) else []
    patterns = project.get("license-files", [])
    named += patterns if isinstance(patterns, list) else []
    return [name for name in named if isinstance(name, str)]


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key, {})
    return found if isinstance(found, dict) else {}
