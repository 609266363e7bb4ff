"""What a pyproject.toml contributes to the spec in its `[tool.envgen]`."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from envgen.errors import Problem, SpecError
from envgen.spec.forms import check_requirement
from envgen.spec.suggest import suggest
from envgen.tables import bases

_FILE: Final = "pyproject.toml"
_PATCH_LEVELS: Final = 100
"""More than any CPython has had, so that ">=3.12.3" and "==3.12.4" both find their minor."""


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """A spec's document put together from a pyproject.toml.

    Attributes:
        document: As an envgen.toml has it.
        own: The keys of `project` that `[tool.envgen.project]` gives itself.
        problems: What is wrong in the tables that the document no longer shows.

    """

    document: dict[str, Any]
    own: frozenset[str]
    problems: tuple[Problem, ...]

    def locate(self, key: str) -> str:
        """Return the key path in the pyproject.toml for a key path of the document."""
        table, _, rest = key.partition(".")
        adopted = table == "project" and re.split(r"[.\[]", rest)[0] not in {*self.own, ""}
        return key if adopted else f"tool.envgen.{key}"


def adopt_pyproject(document: dict[str, Any]) -> Adopted:
    """Return `[tool.envgen]` with name, Python and requirements filled in from the other tables.

    Args:
        document: The whole pyproject.toml, which has a `[tool.envgen]`.

    Raises:
        SpecError: `[project]` is missing, or a table is something else.

    """
    tables = _Tables(document)
    table = tables.table("tool.envgen")
    own = tables.table("tool.envgen.project")
    adopted = {**tables.project(own), **own}
    images = {
        name: tables.with_groups(image, f"tool.envgen.images.{name}")
        for name, image in tables.table("tool.envgen.images").items()
    }
    merged = {**table, "project": adopted}
    return Adopted(
        document={**merged, "images": images} if "images" in table else merged,
        own=frozenset(own),
        problems=tuple(tables.problems),
    )


class _Tables:
    """Reads the tables of a pyproject.toml and gathers what is wrong in them."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def table(self, path: str) -> dict[str, Any]:
        """Return the table at a key path, an empty one where there is none."""
        found = self.document
        for part in path.split("."):
            found = found.get(part, {})
            if not isinstance(found, dict):
                raise SpecError.single(
                    "is not a table", file=_FILE, key=path, fix=f"write it as [{path}]"
                )
        return found

    def project(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `[project]` says, less what the spec says itself."""
        project = self.table("project")
        if "name" not in {**project, **own}:
            raise SpecError.single(
                "there is no [project] with a name",
                file=_FILE,
                why="[tool.envgen] takes name, Python and dependencies from there",
                fix="add it, or write an envgen.toml",
            )
        found: dict[str, Any] = {
            key: project[key] for key in ("name", "dependencies") if key in project
        }
        if "dependencies" not in own and "dependencies" in _strings(project, "dynamic"):
            self.report(
                "project.dynamic",
                "says that the build backend computes the dependencies",
                why="they would have to be built to be known",
                fix="write them into project.dependencies or tool.envgen.project.dependencies",
            )
        if "python" not in own:
            found["python"] = self.choose_python(project.get("requires-python", ""))
        return found

    def choose_python(self, text: Any) -> str:  # noqa: ANN401 - TOML is untyped
        """Return the newest Python with a known base image that `requires-python` admits."""
        known = sorted({base.python for base in bases() if base.python}, key=Version, reverse=True)
        key = "project.requires-python"
        admitted = _parse_range(text)
        if admitted is None:
            self.report(key, f"{text!r} is not a range of versions", fix='as ">=3.11"')
            return known[0]
        for minor in known:
            if any(admitted.contains(f"{minor}.{patch}") for patch in range(_PATCH_LEVELS)):
                return minor
        self.report(
            key,
            f"{text!r} admits none of the Pythons that have a known base image",
            fix=f"known are {', '.join(known)}; tool.envgen.project.python may name another",
        )
        return known[0]

    def with_groups(self, image: Any, key: str) -> Any:  # noqa: ANN401
        """Return an image's table with the requirements of its groups and extras."""
        if not isinstance(image, dict):
            return image
        found: list[str] = []
        groups = self.table("dependency-groups")
        extras = self.table("project.optional-dependencies")
        for n, name in enumerate(_strings(image, "groups")):
            found += self.expand_group(groups, name, f"{key}.groups[{n}]", ())
        for n, name in enumerate(_strings(image, "extras")):
            known = self.find("extra", name, extras, f"{key}.extras[{n}]")
            path = f"project.optional-dependencies.{known}"
            found += self.requirements(extras[known], path) if known else ()
        own = image.get("dependencies", [])
        # The image's own come first, so that messages count them as the file does.
        return {**image, "dependencies": [*own, *found]} if isinstance(own, list) else image

    def expand_group(
        self, groups: Mapping[str, Any], name: str, key: str, above: tuple[str, ...]
    ) -> list[str]:
        """Return the requirements of a group and of those that it includes (PEP 735).

        Args:
            groups: All groups.
            name: The group, as the place at `key` spells it.
            key: Where it is asked for.
            above: The groups that led there.

        """
        known = self.find("group", name, groups, key)
        if not known:
            return []
        if known in above:
            self.report(key, f"the group includes itself: {' -> '.join((*above, known))}")
            return []
        path = f"dependency-groups.{known}"
        if not isinstance(groups[known], list):
            return self.requirements(groups[known], path)
        found: list[str] = []
        for n, entry in enumerate(groups[known]):
            here = f"{path}[{n}]"
            match entry:
                case {"include-group": str(included), **rest} if not rest:
                    found += self.expand_group(groups, included, here, (*above, known))
                case _:
                    found += self.requirement(entry, here)
        return found

    def find(self, kind: str, name: str, known: Mapping[str, Any], key: str) -> str:
        """Return the name of a group or extra as the file spells it; report one that is not."""
        wanted = canonicalize_name(name)
        for spelled in known:
            if canonicalize_name(spelled) == wanted:
                return spelled
        self.report(key, f"there is no {kind} {name!r}", fix=suggest(name, known))
        return ""

    def requirements(self, entries: Any, key: str) -> list[str]:  # noqa: ANN401
        """Return the valid ones of a list of requirements and report the others."""
        if not isinstance(entries, list):
            self.report(key, "is not a list")
            return []
        return [
            text
            for n, entry in enumerate(entries)
            for text in self.requirement(entry, f"{key}[{n}]")
        ]

    def requirement(self, entry: Any, key: str) -> list[str]:  # noqa: ANN401
        """Return a requirement in a list of its own, an empty one after reporting what it is."""
        if not isinstance(entry, str):
            self.report(key, "is not a requirement", fix="write a string, as 'numpy>=2'")
            return []
        fault = check_requirement(entry)
        if fault:
            self.report(key, fault.what, why=fault.why, fix=fault.fix)
            return []
        if self.names_itself(entry):
            self.report(
                key,
                f"{entry!r} is this project itself",
                why="the index would be asked for a package of that name, and anyone may own it",
                fix="name the extras and groups in the image's `extras` and `groups`",
            )
            return []
        return [entry]

    def names_itself(self, requirement: str) -> bool:
        project = self.table("project").get("name")
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        return isinstance(project, str) and canonicalize_name(name) == canonicalize_name(project)

    def report(self, key: str, what: str, *, why: str = "", fix: str = "") -> None:
        problem = Problem(what=what, file=_FILE, key=key, why=why, fix=fix)
        if problem not in self.problems:
            self.problems.append(problem)


def _parse_range(text: Any) -> SpecifierSet | None:  # noqa: ANN401
    try:
        return SpecifierSet(text) if isinstance(text, str) else None
    except InvalidSpecifier:
        return None


def _strings(table: Mapping[str, Any], key: str) -> list[str]:
    found = table.get(key)
    return [entry for entry in found if isinstance(entry, str)] if isinstance(found, list) else []
