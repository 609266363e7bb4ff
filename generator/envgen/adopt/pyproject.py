"""pyproject.toml: PEP 621 stays where it is and gets a `[tool.envgen]`; poetry's is translated."""

from collections.abc import Mapping
from typing import Any

from envgen.adopt.found import Gathering, parse_toml, strings, table
from envgen.adopt.poetry import read_poetry_table
from envgen.adopt.requirements import read_requirement_lines
from envgen.errors import UsageError


def read_pyproject(gathering: Gathering) -> None:
    """Gather a pyproject.toml, and the uv.lock beside it.

    Raises:
        SpecError: It is not TOML.
        UsageError: It has a `[tool.envgen]`, or names no dependencies.

    """
    document = parse_toml(gathering)
    tool, project = table(document, "tool"), table(document, "project")
    if "envgen" in tool:
        raise UsageError.single(
            "there is a spec already", file=gathering.path.name, why="it has a [tool.envgen]"
        )
    poetry = table(tool, "poetry")
    if names_dependencies(project):
        _read_project(gathering, document, project)
        _keep_lock(gathering, ("uv.lock", "uv"), ("poetry.lock", "poetry"))
    elif poetry:
        gathering.name = str(project.get("name", ""))
        gathering.python = str(project.get("requires-python", ""))
        read_poetry_table(gathering, poetry)
        _keep_lock(gathering, ("poetry.lock", "poetry"))
    else:
        raise UsageError.single(
            "names no dependencies",
            file=gathering.path.name,
            why="it has neither a [project] with a name nor a [tool.poetry]",
            fix="name another file with --from",
        )


def _keep_lock(gathering: Gathering, *locks: tuple[str, str]) -> None:
    """Keep the first lock that is beside the file."""
    for name, locker in locks:
        path = gathering.path.with_name(name)
        if path.is_file():
            gathering.keep_lock(path, locker)
            return


def names_dependencies(project: Mapping[str, Any]) -> bool:
    """Return whether `[project]` is what the dependencies are taken from (PEP 621)."""
    dynamic = "dependencies" in set(strings(project.get("dynamic")))
    return "name" in project and (dynamic or "dependencies" in project or "version" in project)


def _read_project(
    gathering: Gathering, document: Mapping[str, Any], project: Mapping[str, Any]
) -> None:
    gathering.table = True
    gathering.name = str(project["name"])
    gathering.python = str(project.get("requires-python", ""))
    tool = table(document, "tool")
    if "dependencies" in set(strings(project.get("dynamic"))):
        _read_dynamic(gathering, tool)
    given = list(strings(project.get("dependencies")))
    for text in given:
        gathering.require(text)
    gathering.own_dependencies = [" ".join(text.split()) for text in given] != list(
        gathering.requirements
    )
    for key, named in (
        ("extras", table(project, "optional-dependencies")),
        ("groups", table(document, "dependency-groups")),
    ):
        gathering.leave_group(
            key,
            named,
            why="which of them an image needs, only its owner knows",
            fix=f'name them in the image, as {key} = ["{next(iter(named), "")}"]',
        )
    constraints = strings(table(tool, "uv").get("constraint-dependencies"))
    gathering.leave_group(
        "[tool.uv] constraints",
        constraints,
        why="a spec has no constraints",
        fix="add those whose version matters to `dependencies`",
    )


def _read_dynamic(gathering: Gathering, tool: Mapping[str, Any]) -> None:
    """Gather the requirements files that setuptools reads for the project."""
    dynamic = table(table(table(tool, "setuptools"), "dynamic"), "dependencies")
    named = dynamic.get("file", [])
    files = [named] if isinstance(named, str) else list(strings(named))
    if not files:
        gathering.leave(
            "project.dependencies",
            why="the build backend computes them, and would have to be run",
            fix="write them into `dependencies` of [tool.envgen.project]",
        )
    for name in files:
        read_requirement_lines(gathering, f"-r {name}", gathering.path.name)
