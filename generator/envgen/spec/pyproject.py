"""What a pyproject.toml contributes to the spec in its `[tool.envgen]`."""

from collections.abc import Mapping
from typing import Any

from packaging.dependency_groups import resolve_dependency_groups
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from envgen.errors import Problem, SpecError
from envgen.spec.forms import check_requirement
from envgen.spec.suggest import suggest
from envgen.tables import bases

_FILE = "pyproject.toml"


def adopt_pyproject(document: dict[str, Any]) -> dict[str, Any]:
    """Return `[tool.envgen]` with name, Python and requirements filled in from the other tables.

    Args:
        document: The whole pyproject.toml.

    Raises:
        SpecError: `[project]` is missing, a group or extra does not exist, or one of their
            requirements is not valid.

    """
    table = document["tool"]["envgen"]
    project = document.get("project")
    if not isinstance(project, dict) or not isinstance(project.get("name"), str):
        raise SpecError.single(
            "there is no [project] with a name",
            file=_FILE,
            why="[tool.envgen] takes name, Python and dependencies from there",
            fix="add it, or write an envgen.toml",
        )
    problems: list[Problem] = []
    adopted = {
        "name": project["name"],
        "python": _choose_python(project, problems),
        "dependencies": _checked(project.get("dependencies", []), "project.dependencies", problems),
        **table.get("project", {}),
    }
    images = {
        name: _with_groups(image, document, f"tool.envgen.images.{name}", problems)
        for name, image in table.get("images", {}).items()
    }
    if problems:
        raise SpecError(*problems)
    return {**table, "project": adopted, "images": images}


def _choose_python(project: Mapping[str, Any], problems: list[Problem]) -> str:
    """Return the newest Python that has a known base image and that `requires-python` admits."""
    known = sorted({base.python for base in bases() if base.python}, key=Version, reverse=True)
    text = project.get("requires-python", "")
    try:
        admitted = SpecifierSet(text)
    except InvalidSpecifier as error:
        problems.append(Problem(what=str(error), file=_FILE, key="project.requires-python"))
        return known[0]
    # Patch levels up to a large one, so that ">=3.12.3" and "<3.13.1" both find their minor.
    for minor in known:
        if any(admitted.contains(f"{minor}.{patch}") for patch in (0, 50)):
            return minor
    problems.append(
        Problem(
            what=f"{text!r} admits none of the Pythons that have a known base image",
            file=_FILE,
            key="project.requires-python",
            fix="known are " + ", ".join(known),
        )
    )
    return known[0]


def _with_groups(image: Any, document: dict[str, Any], key: str, problems: list[Problem]) -> Any:  # noqa: ANN401
    if not isinstance(image, dict):
        return image
    found: list[str] = []
    groups = document.get("dependency-groups", {})
    extras = document.get("project", {}).get("optional-dependencies", {})
    for n, name in enumerate(_names(image, "groups")):
        if name not in groups:
            problems.append(_unknown("group", name, f"{key}.groups[{n}]", groups))
            continue
        try:
            members = list(resolve_dependency_groups(groups, name))
        except (ValueError, TypeError, LookupError) as error:
            problems.append(Problem(what=str(error), file=_FILE, key=f"dependency-groups.{name}"))
            continue
        found += _checked(members, f"dependency-groups.{name}", problems)
    for n, name in enumerate(_names(image, "extras")):
        if name not in extras:
            problems.append(_unknown("extra", name, f"{key}.extras[{n}]", extras))
            continue
        found += _checked(extras[name], f"project.optional-dependencies.{name}", problems)
    own = image.get("dependencies", [])
    return {**image, "dependencies": [*found, *own]} if isinstance(own, list) else image


def _names(image: Mapping[str, Any], key: str) -> list[str]:
    names = image.get(key, [])
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _unknown(kind: str, name: str, key: str, known: Mapping[str, Any]) -> Problem:
    return Problem(
        what=f"there is no {kind} {name!r}", file=_FILE, key=key, fix=suggest(name, known)
    )


def _checked(requirements: Any, key: str, problems: list[Problem]) -> list[str]:  # noqa: ANN401
    """Return the valid ones of a list of requirements and report the others under their own key."""
    if not isinstance(requirements, list):
        problems.append(Problem(what="is not a list", file=_FILE, key=key))
        return []
    good = []
    for n, text in enumerate(requirements):
        fault = check_requirement(text) if isinstance(text, str) else None
        if fault:
            problems.append(
                Problem(
                    what=fault.what, file=_FILE, key=f"{key}[{n}]", why=fault.why, fix=fault.fix
                )
            )
        elif isinstance(text, str):
            good.append(text)
    return good
