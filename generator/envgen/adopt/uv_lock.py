"""uv.lock without its pyproject.toml: what its project asked for; its pins are kept."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from envgen.adopt.found import Gathering, parse_toml, strings, table, tables
from envgen.errors import UsageError


def read_uv_lock(gathering: Gathering) -> None:
    """Gather a uv.lock.

    Raises:
        SpecError: It is not TOML.
        UsageError: It is the lock of several projects, or of none.

    """
    document = parse_toml(gathering)
    roots = [entry for entry in tables(document.get("package")) if _is_project(entry)]
    if len(roots) != 1:
        raise UsageError.single(
            f"is the lock of {len(roots)} projects",
            file=gathering.path.name,
            why="a spec is one project's",
            fix="start from the pyproject.toml of one of them",
        )
    (root,) = roots
    gathering.name = str(root.get("name", ""))
    gathering.python = str(document.get("requires-python", ""))
    metadata = table(root, "metadata")
    extras = dict[str, None]()
    for entry in tables(metadata.get("requires-dist")):
        extra = re.search(r"\bextra == '([^']+)'", str(entry.get("marker", "")))
        if extra:
            extras[extra[1]] = None
        else:
            gathering.require(_requirement(entry))
    gathering.leave_extras(extras)
    gathering.leave_for_development("groups", table(metadata, "requires-dev"))
    gathering.keep_lock(gathering.path, "uv")


def _is_project(entry: Mapping[str, Any]) -> bool:
    return any(table(entry, "source").get(kind) for kind in ("virtual", "editable"))


def _requirement(entry: Mapping[str, Any]) -> str:
    place = next(_places(entry), "")
    if place:
        return f"{entry.get('name')} @ {place}"
    extras = ",".join(strings(entry.get("extras")))
    marker = f" ; {entry['marker']}" if "marker" in entry else ""
    bracket = f"[{extras}]" if extras else ""
    return f"{entry.get('name')}{bracket}{entry.get('specifier', '')}{marker}"


def _places(entry: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("git", "url", "path", "directory", "editable"):
        if kind in entry:
            yield str(entry[kind])
