"""`[tool.uv.sources]`: where uv takes a package from, for a folder of the project and an image."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envgen.platforms import MACHINES
from envgen.spec.model import Image, Spec
from envgen.spec.own_project import project_file, read_uv_table

PLACE: Final = "from"
"""The key under which a source carries the folder of the pyproject.toml that it stands in."""

Source = Mapping[str, Any]
UvTable = Mapping[str, Any]


class UvTables:
    """The `[tool.uv]` tables of the folders below a spec's own, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tables: dict[str, UvTable] = {}

    def list(self, folder: str) -> Iterator[tuple[str, UvTable]]:
        """Yield the folder's own table, and that of the workspace which it is in."""
        yield folder, self._read(folder)
        found = self.find_workspace(folder)
        if found and found[0] != folder:
            yield found

    def find_workspace(self, folder: str) -> tuple[str, UvTable] | None:
        """Return the nearest folder from there upwards that is a workspace's, with its table."""
        above = [parent.as_posix() for parent in Path(folder).parents]
        for place in dict.fromkeys((folder, *above)):
            table = self._read(place)
            if isinstance(table.get("workspace"), dict):
                return place, table
        return None

    def list_members(self, folder: str) -> Iterator[str]:
        """Yield the folders of the workspace's members, its own first."""
        found = self.find_workspace(folder)
        if found is None:
            return
        place, table = found
        yield place
        left_out = set(self._glob(place, table["workspace"].get("exclude", ())))
        for path in self._glob(place, table["workspace"].get("members", ())):
            if path not in left_out and (path / "pyproject.toml").is_file():
                yield path.relative_to(self._root).as_posix()

    def _glob(self, place: str, patterns: Iterable[str]) -> Iterator[Path]:
        for pattern in patterns:
            yield from sorted((self._root / place).glob(str(pattern)))

    def find_sources(self, package: str, folder: str) -> tuple[Source, ...]:
        """Return the entries for a package: the folder's own, else those of its workspace."""
        for place, table in self.list(folder):
            sources = table.get("sources", {})
            for name, value in sources.items() if isinstance(sources, dict) else ():
                if canonicalize_name(name) == package:
                    entries = value if isinstance(value, list) else [value]
                    return tuple({**entry, PLACE: place} for entry in entries)
        return ()

    def find_index_url(self, name: str, folder: str) -> str | None:
        """Return the address of an index of `[[tool.uv.index]]`; None where there is none."""
        for _, table in self.list(folder):
            for entry in table.get("index", ()):
                if entry.get("name") == name:
                    return str(entry.get("url", ""))
        return None

    def _read(self, folder: str) -> UvTable:
        if folder not in self._tables:
            path = self._root / project_file(folder)
            content = path.read_bytes() if path.is_file() else b""
            self._tables[folder] = read_uv_table(folder, content)
        return self._tables[folder]


def list_environments(spec: Spec, image: Image) -> tuple[dict[str, str], ...]:
    """Return what markers are compared with (PEP 508), for each platform of an image."""
    python = spec.project.python
    shared = {
        "extra": "",
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    return tuple(
        {**shared, "platform_machine": MACHINES[platform]}
        for platform in (image.platforms or spec.defaults.platforms)
    )


def choose_sources(
    sources: Iterable[Source], image: Image, environments: Iterable[dict[str, str]]
) -> tuple[Source, ...]:
    """Return the sources that hold for an image: by their marker, extra or group."""
    environments = tuple(environments)
    return tuple(source for source in sources if _holds(source, image, environments))


def _holds(source: Source, image: Image, environments: tuple[dict[str, str], ...]) -> bool:
    for key, chosen in (("extra", image.extras), ("group", image.groups)):
        if key in source and canonicalize_name(str(source[key])) not in {
            canonicalize_name(name) for name in chosen
        }:
            return False
    try:
        marker = Marker(str(source["marker"])) if "marker" in source else None
    except InvalidMarker:
        return False
    return marker is None or any(marker.evaluate(found) for found in environments)


def point_to_git(requirement: Requirement, source: Source) -> str:
    """Return a requirement with a git source as a direct reference (PEP 508)."""
    ref = next((str(source[key]) for key in ("rev", "tag", "branch") if key in source), "")
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    text = f"{requirement.name}{extras} @ git+{source['git']}"
    text += f"@{ref}" if ref else ""
    text += f"#subdirectory={source['subdirectory']}" if "subdirectory" in source else ""
    return text + (f" ; {requirement.marker}" if requirement.marker else "")
