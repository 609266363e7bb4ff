"""Pipfile: its packages, its Python and its sources."""

import re
from collections.abc import Mapping
from typing import Any, Final

from envgen.adopt.found import Gathering, parse_toml, strings, table, tables

_MARKERS: Final = (
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "implementation_name",
    "implementation_version",
    "sys_platform",
)
_DEFAULT_HOST: Final = re.compile(r"https://pypi\.[a-z]+/simple/?")
"""The source of every new Pipfile, which is what a spec without an index means."""


def read_pipfile(gathering: Gathering) -> None:
    """Gather a Pipfile.

    Raises:
        SpecError: It is not TOML.

    """
    document = parse_toml(gathering)
    for name, entry in table(document, "packages").items():
        _take_package(gathering, name, entry)
    requires = table(document, "requires")
    gathering.python = str(
        requires.get("python_version") or requires.get("python_full_version", "")
    )
    for section in document:
        if section not in {"packages", "requires", "source", "scripts"}:
            gathering.leave_for_development(f"[{section}]", table(document, section))
    gathering.leave_group(
        "[scripts]",
        table(document, "scripts"),
        why="an image runs one command",
        fix="write it into the image's `command`, word by word",
    )
    urls = [str(source.get("url", "")) for source in tables(document.get("source"))]
    for url in urls:
        if not _DEFAULT_HOST.fullmatch(url):
            (gathering.use_index if len(urls) == 1 else gathering.leave_index)(url)


def _take_package(gathering: Gathering, name: str, entry: object) -> None:
    keys: Mapping[str, Any] = entry if isinstance(entry, dict) else {"version": entry}
    elsewhere = [key for key in ("git", "path", "file", "hg", "svn") if key in keys]
    if elsewhere:
        gathering.leave_elsewhere(f"{name} from {elsewhere[0]} {keys[elsewhere[0]]}")
        return
    version = str(keys.get("version", "*"))
    extras = ",".join(strings(keys.get("extras")))
    markers = [f"({keys['markers']})"] if "markers" in keys else []
    markers += [f"{key} {keys[key]}" for key in _MARKERS if key in keys]
    gathering.require(
        f"{name}{f'[{extras}]' if extras else ''}{'' if version == '*' else version}"
        + (f" ; {' and '.join(markers)}" if markers else "")
    )
    if "index" in keys:
        gathering.leave(
            f"index {keys['index']} of {name}",
            why="a spec has one index for everything; the package is taken from there",
        )
