"""Which dependency files there are, how to tell them apart, and which one to start from."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from envgen.adopt.code import Code
from envgen.adopt.cog import read_cog
from envgen.adopt.conda import read_conda_lock_file, read_environment
from envgen.adopt.dockerfile import DOCKERFILE, read_dockerfile
from envgen.adopt.found import Found, Gathering, read_text
from envgen.adopt.imports import known_modules
from envgen.adopt.pipfile import read_pipfile
from envgen.adopt.poetry import read_poetry_lock
from envgen.adopt.pyproject import read_pyproject
from envgen.adopt.requirements import read_requirements
from envgen.adopt.setup_cfg import read_setup_cfg
from envgen.adopt.uv_lock import read_uv_lock
from envgen.errors import UsageError

ORDER: Final = (
    "pyproject.toml",
    "Pipfile",
    "environment.yml",
    "environment.yaml",
    "cog.yaml",
    "requirements.in",
    "requirements.txt",
    "setup.cfg",
    "uv.lock",
    "poetry.lock",
    "conda-lock.yml",
)
"""The files that are looked for, best first.

What a person wrote comes before what a tool wrote of it, because a spec is what is wanted, not what
came of it. A cog.yaml names its requirements.txt; the other way round nothing names the cog.yaml.
"""

Read = Callable[[Gathering], None]

_BY_NAME: Final[dict[str, Read]] = {
    "pyproject.toml": read_pyproject,
    "setup.cfg": read_setup_cfg,
    "uv.lock": read_uv_lock,
    "poetry.lock": read_poetry_lock,
    "cog.yaml": read_cog,
}
_BY_PATTERN: Final[tuple[tuple[str, Read], ...]] = (
    (r"Pipfile(?:\..*)?", read_pipfile),
    (r".*conda-lock.*\.ya?ml", read_conda_lock_file),
    (r".*cog.*\.ya?ml", read_cog),
    (r".*\.ya?ml", read_environment),
    (r".*\.(?:txt|in|pip)", read_requirements),
)


def read_source(path: Path, locker: str = "") -> Found:
    """Return what a dependency file says.

    Args:
        path: The file.
        locker: What shall lock the image; empty for what suits the file.

    Raises:
        LockError: It is a lock that cannot be read.
        SpecError: It is not what its name says.
        StorageError: It cannot be read.
        UsageError: It is not one that envgen knows, or there is a spec already.

    """
    reader = _find_reader(path)
    gathering = Gathering(path, locker)
    reader(gathering)
    if not gathering.python:
        _read_python_version(gathering)
    return gathering.finish()


def _find_reader(path: Path) -> Read:
    if path.name in _BY_NAME:
        return _BY_NAME[path.name]
    for pattern, reader in _BY_PATTERN:
        if re.fullmatch(pattern, path.name) and path.name != "Pipfile.lock":
            return reader
    raise UsageError.single(
        f"{path.name} is not a dependency file that envgen reads",
        fix="known are " + ", ".join(ORDER),
    )


def read_traces(folder: Path, code: Code, locker: str = "") -> Found:
    """Return what a Dockerfile and the code say, for a folder without a dependency file.

    Args:
        folder: The folder.
        code: What its Python files say.
        locker: What shall lock the image; empty for uv.

    """
    path = folder / DOCKERFILE
    gathering = Gathering(path, locker)
    if path.is_file():
        read_dockerfile(gathering)
    else:
        gathering.sources.clear()
    if not gathering.requirements and code.imports:
        _read_imports(gathering, code)
    if not gathering.python:
        _read_python_version(gathering)
    return gathering.finish()


def _read_imports(gathering: Gathering, code: Code) -> None:
    """Require what the code imports, where the package of a module is known."""
    gathering.sources["the imports of the code"] = None
    known = known_modules()
    for module, where in sorted(code.imports.items()):
        if module in known:
            gathering.require(known[module], where)
        else:
            gathering.leave(
                f"import {module}",
                where=where,
                why="which package brings it is not known, and one of that name may be anybody's",
                fix="add the package to `dependencies`",
            )


def _read_python_version(gathering: Gathering) -> None:
    """Take the Python of a .python-version, which pyenv and uv read."""
    path = gathering.path.with_name(".python-version")
    if path.is_file():
        found = re.match(r"\s*(3\.[0-9]+)", read_text(path))
        if found:
            gathering.python = found[1]
            gathering.sources[path.name] = None


def find_sources(folder: Path) -> tuple[Path, ...]:
    """Return the dependency files of a folder, the one to start from first.

    Files that only configure tools, as a pyproject.toml can, are none.
    """
    paths = (folder / name for name in ORDER)
    return tuple(path for path in paths if path.is_file() and _says_something(path))


@functools.cache
def _says_something(path: Path) -> bool:
    text = read_text(path)
    if path.name == "pyproject.toml":
        return (
            re.search(r"^\s*\[(?:project|tool\.poetry|tool\.envgen)\b", text, re.MULTILINE)
            is not None
        )
    return path.name != "setup.cfg" or "install_requires" in text
