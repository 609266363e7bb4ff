"""Poetry's tables of a pyproject.toml, and poetry.lock."""

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.specifiers import SpecifierSet

from envgen.adopt.found import Gathering, parse_toml, strings, table, tables
from envgen.constraints import TranslationError
from envgen.constraints.poetry import translate_constraint

_LEFT_KEYS = {
    "source": "a spec has one index for everything; the package is taken from there",
    "allow-prereleases": "pre-releases are taken only where a requirement names one",
    "develop": "",
}


def read_poetry_table(gathering: Gathering, poetry: Mapping[str, Any]) -> None:
    """Gather `[tool.poetry]`: what the project needs to run; groups and extras are listed."""
    gathering.name = gathering.name or str(poetry.get("name", ""))
    for name, entry in table(poetry, "dependencies").items():
        for one in entry if isinstance(entry, list) else [entry]:
            if name == "python":
                _take_python(gathering, one)
            else:
                _take_dependency(gathering, name, one)
    groups = {name: table(group, "dependencies") for name, group in table(poetry, "group").items()}
    if "dev-dependencies" in poetry:
        groups["dev"] = {**groups.get("dev", {}), **table(poetry, "dev-dependencies")}
    for name, group in groups.items():
        gathering.leave_for_development(f"group {name}", group)
    gathering.leave_extras(table(poetry, "extras"))
    _take_sources(gathering, poetry.get("source"))


def _take_python(gathering: Gathering, constraint: object) -> None:
    try:
        gathering.python = gathering.python or translate_constraint(str(constraint))
    except TranslationError as error:
        gathering.leave(f"python = {constraint!r}", why=str(error))


def _take_dependency(gathering: Gathering, name: str, entry: object) -> None:
    keys = entry if isinstance(entry, dict) else {"version": entry}
    written = f"{name} = {entry!r}" if isinstance(entry, str) else name
    elsewhere = [key for key in ("git", "path", "url", "file") if key in keys]
    if elsewhere:
        gathering.leave_elsewhere(f"{name} from {elsewhere[0]} {keys[elsewhere[0]]}")
        return
    if keys.get("optional"):
        gathering.leave(
            written,
            why="it is optional: it belongs to an extra",
            fix="add it to `dependencies` if the image needs it",
        )
        return
    try:
        requirement = _requirement(name, keys)
    except TranslationError as error:
        gathering.leave(written, why=str(error), fix="write it as PEP 508, as 'numpy>=2,<3'")
        return
    gathering.require(requirement)
    for key, why in _LEFT_KEYS.items():
        if key in keys and why:
            gathering.leave(f"{key} of {name}", why=why)


def _requirement(name: str, keys: Mapping[str, Any]) -> str:
    extras = ",".join(strings(keys.get("extras")))
    version = translate_constraint(str(keys.get("version", "*")))
    markers = [f"({keys['markers']})"] if keys.get("markers") else []
    if keys.get("python"):
        markers += _python_markers(translate_constraint(str(keys["python"])))
    if keys.get("platform"):
        markers.append(f"sys_platform == '{keys['platform']}'")
    marker = f" ; {' and '.join(markers)}" if markers else ""
    return f"{name}{f'[{extras}]' if extras else ''}{version}{marker}"


def _python_markers(specifier: str) -> Iterator[str]:
    for clause in SpecifierSet(specifier):
        yield f"python_full_version {clause.operator} '{clause.version}'"


def _take_sources(gathering: Gathering, sources: object) -> None:
    for source in tables(sources):
        if "url" not in source:
            continue
        if source.get("priority", "primary") in {"primary", "default"} or source.get("default"):
            gathering.use_index(str(source["url"]))
        else:
            gathering.leave_index(str(source["url"]))


def read_poetry_lock(gathering: Gathering) -> None:
    """Gather poetry.lock: its versions, exactly.

    Poetry itself keeps the lock, and only what nothing else in it needs is required. Another locker
    gets all of its pins.
    """
    document = parse_toml(gathering)
    kept = gathering.keep_lock(gathering.path, "poetry")
    gathering.python = str(table(document, "metadata").get("python-versions", ""))
    packages = list(tables(document.get("package")))
    needed = {_normalise(name) for entry in packages for name in table(entry, "dependencies")}
    others: list[str] = []
    for entry in packages:
        groups = entry.get("groups") or [entry.get("category", "main")]
        name = f"{entry.get('name')}=={entry.get('version')}"
        kind = table(entry, "source").get("type", "")
        if "main" not in groups:
            others.append(name)
        elif kind in {"git", "directory", "file", "url"}:
            url = table(entry, "source").get("url")
            gathering.leave_elsewhere(f"{entry.get('name')} from {url}")
        else:
            marker = entry.get("markers", "")
            marker = marker.get("main", "") if isinstance(marker, dict) else marker
            text = f"{name} ; {marker}" if marker else name
            inner = _normalise(str(entry.get("name"))) in needed
            if not (kept and inner):
                gathering.require(text, pin=inner)
        if kind == "legacy":
            gathering.use_index(str(table(entry, "source").get("url")))
    gathering.leave_for_development("other groups", others)
    if packages and not any("groups" in entry or "category" in entry for entry in packages):
        gathering.leave(
            "which packages are for development only",
            why="this version of poetry.lock does not say it, so all of them were carried over",
            fix="take out what the image does not need, or start from the pyproject.toml",
        )


def _normalise(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
