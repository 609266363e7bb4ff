"""What installed packages add to envgen: their entry points, read when a name is not envgen's own.

docs/plugins.md tells what a plugin may do. Reading the metadata of installed packages costs tens of
milliseconds, so nobody asks for a group before a name is unknown.
"""

import functools
import importlib.metadata
import importlib.util
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final, Literal

from envgen.errors import ToolError

Group = Literal["envgen.presets", "envgen.lockers", "envgen.frameworks", "envgen.targets"]

_FIX: Final = "report it to the plugin's authors, or uninstall it"


@functools.cache
def list_plugins(group: Group) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name.

    Raises:
        ToolError: Two packages offer one name: which of them wins would be chance.

    """
    found: dict[str, EntryPoint] = {}
    for entry in sorted(importlib.metadata.entry_points(group=group), key=_sort_key):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise ToolError.single(
                f"two plugins are called {entry.name!r}",
                why=f"{_name_owner(other)} and {_name_owner(entry)} both have it in {group}",
                fix="uninstall one of them",
            )
    return found


def load_plugin(group: Group, name: str) -> Any:  # noqa: ANN401 - what it is, its group says
    """Return the object that the entry point of a plugin names.

    Raises:
        ToolError: It cannot be imported.

    """
    entry = _find(group, name)
    try:
        return entry.load()
    except Exception as error:
        raise ToolError.single(
            f"the plugin {name!r} of {group} does not load",
            why=f"{_name_owner(entry)}: {type(error).__name__}: {error}",
            fix=_FIX,
        ) from error


def find_package_folder(group: Group, name: str) -> Path:
    """Return the folder of the package that the entry point of a plugin names.

    Of a dotted name the parents are imported; the package itself is not.

    Raises:
        ToolError: There is no such package.

    """
    entry = _find(group, name)
    found = _find_spec(entry)
    locations = found.submodule_search_locations if found else None
    if not locations:
        raise ToolError.single(
            f"the plugin {name!r} of {group} names {entry.value!r}, which is no package",
            why=f"{_name_owner(entry)} offers it",
            fix=_FIX,
        )
    return Path(next(iter(locations)))


def read_module(group: Group, name: str) -> str:
    """Return the source of the module that the entry point of a plugin names, unimported.

    Raises:
        ToolError: There is no such module, or it is not a Python file.

    """
    entry = _find(group, name)
    found = _find_spec(entry)
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        raise ToolError.single(
            f"the plugin {name!r} of {group} names {entry.value!r}, which is no Python file",
            why=f"{_name_owner(entry)} offers it",
            fix=_FIX,
        )
    return Path(found.origin).read_text(encoding="utf-8")


def _find(group: Group, name: str) -> EntryPoint:
    """Return the entry point of a plugin.

    Raises:
        ToolError: It is not installed.

    """
    found = list_plugins(group).get(name)
    if found is None:
        raise ToolError.single(
            f"the plugin {name!r} is not installed",
            why=f"no package beside envgen has it in the group {group}",
            fix="install the package that brings it, into the environment of envgen",
        )
    return found


def _find_spec(entry: EntryPoint) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(entry.value)
    except (ImportError, ValueError):
        return None


def _sort_key(entry: EntryPoint) -> tuple[str, str]:
    return entry.name, entry.value


def _name_owner(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
