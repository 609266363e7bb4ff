"""poetry as a program: which one runs, `poetry lock`, and where the files of its lock are."""

import functools
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from envgen import process
from envgen.errors import LockError, ToolError
from envgen.lock.packages import LockedPackage
from envgen.lock.pylock import read_pylock
from envgen.lockers import LockRequest, LockResult
from envgen.lockers.index_files import IndexFiles, Places
from envgen.lockers.pinned_files import require_same_files
from envgen.lockers.poetry import NATIVE, render_project, source_name
from envgen.lockers.poetry_failures import explain_failure, lacks_json_interface
from envgen.lockers.poetry_lock import (
    Entry,
    drop_packages,
    list_pins,
    list_requirements,
    read_entries,
    render_as_pylock,
    use_index,
)
from envgen.lockers.poetry_versions import choose_versions
from envgen.lockers.tool_environment import ensure_tool, locked_version
from envgen.lockers.uv_program import uv_environment
from envgen.rendered import RenderedFile

_log = logging.getLogger(__name__)

ACCEPTED: Final = SpecifierSet(">=2,<3")
"""2.0 is the first whose lock says for each package its groups and markers (its format is 2.1)."""

_MIRROR: Final = "POETRY_PYPI_MIRROR_URL"
_TIMEOUT_S: Final = 900


class _Poetry(msgspec.Struct, frozen=True, kw_only=True):
    """A poetry that runs here; `program` is empty for the one of envgen's own environment."""

    version: str
    program: str = ""


def probe_version() -> str:
    """Return the version of the poetry that `lock` runs. Does not start poetry."""
    return _choose_poetry().version


@functools.cache
def _choose_poetry() -> _Poetry:
    """Return the user's poetry where it has what is needed, else envgen's own.

    poetry takes more than a second to tell its version, its interpreter a few hundredths.
    """
    own = _Poetry(version=locked_version("poetry"))
    program = shutil.which("poetry")
    interpreter = _read_interpreter(Path(program)) if program else None
    if program is None or interpreter is None:
        return own
    needed = ["poetry", *(["poetry-plugin-pypi-mirror"] if _MIRROR in os.environ else ())]
    question = f"from importlib.metadata import version; print(*map(version, {needed}))"
    done = process.run([interpreter, "-I", "-c", question], timeout_s=30)
    version = next(iter(done.stdout.split()), "")
    if done.returncode == 0 and re.fullmatch(r"[0-9.]+", version) and version in ACCEPTED:
        return _Poetry(version=version, program=program)
    _log.info("%s is not a poetry %s with %s", program, ACCEPTED, " and ".join(needed))
    return own


def _read_interpreter(program: Path) -> str | None:
    """Return the Python of a script's first line; None where it does not name one."""
    try:
        with program.open("rb") as script:
            first = script.readline(200).decode(errors="replace")
    except OSError:
        return None
    found = re.fullmatch(r"#!(/\S*python[0-9.]*)\n", first)
    return found[1] if found else None


def lock(
    request: LockRequest, *, current: bytes | None, ca_certificates: Path | None
) -> LockResult:
    """Run `poetry lock` in a folder of its own and return what it pinned.

    Raises:
        LockError: The requirements cannot be met, or poetry cannot express them.
        NetworkError: The index did not answer.
        ToolError: poetry cannot be had, or failed for a reason of its own.

    """
    _check_expressible(request)
    before = list_pins(read_entries(request.image, current)) if current is not None else {}
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        run = _Run(request, Path(scratch), ca_certificates)
        if current is not None:
            run.start_from(drop_packages(current, request.upgrade))
        locked = run.lock()
        if others := _unmet(request.constraints, locked):
            # poetry has no constraints. As requirements they move the pins, which are then kept.
            run.lock(also=others)
            locked = run.lock()
        require_same_files(request.image, NATIVE, before, list_pins(locked))
        return LockResult(
            native=RenderedFile(
                path=f"{request.folder}/{NATIVE}", content=run.native.read_bytes(), guarded=False
            ),
            packages=run.find_files(locked),
        )


def _unmet(constraints: tuple[str, ...], locked: Iterable[Entry]) -> tuple[str, ...]:
    """Return the constraints that packages of a lock break."""
    versions = {entry["name"]: entry["version"] for entry in locked}
    wanted = ((text, Requirement(text)) for text in constraints)
    return tuple(
        text
        for text, requirement in wanted
        if (version := versions.get(canonicalize_name(requirement.name)))
        and not requirement.specifier.contains(version, prereleases=True)
    )


def _list_nowhere(packages: Iterable[LockedPackage]) -> list[str]:
    """Return the names of files that have no address."""
    files = (
        file for package in packages for file in (*package.wheels, *package.downloads.values())
    )
    return [file.filename for file in files if not file.url]


def _check_expressible(request: LockRequest) -> None:
    """Refuse what poetry has no words for."""
    if request.exclude_newer:
        raise LockError.single(
            "poetry cannot leave out what was uploaded after a moment",
            key="network.exclude-newer",
            why=f"image {request.image} is locked by poetry, which only counts whole days from now",
            fix=f'lock it with another tool: images.{request.image}.locker = "uv"',
        )
    for requirement in request.requirements:
        if "===" in requirement:
            raise LockError.single(
                f"poetry cannot read {requirement!r}",
                key=f"images.{request.image}",
                why="it has no arbitrary equality (===)",
                fix="write ==, or lock the image with uv or pip",
            )


class _Run:
    """poetry in one folder, out of reach of this machine's configuration."""

    def __init__(self, request: LockRequest, folder: Path, ca_certificates: Path | None) -> None:
        self.request = request
        self.folder = folder
        self.ca_certificates = ca_certificates
        self.native = folder / NATIVE
        self.program = (
            _choose_poetry().program
            or ensure_tool("poetry", index=request.index, ca_certificates=ca_certificates)
            / "poetry"
        )
        self.env = _environment(request, folder, ca_certificates)

    def start_from(self, current: bytes) -> None:
        """Take up a lock, whose pins are kept where they fit."""
        index = self.request.index
        name = source_name(index) if index else ""
        self.native.write_bytes(use_index(current, name, index))

    def lock(self, *, also: tuple[str, ...] = ()) -> tuple[Entry, ...]:
        """Lock, keeping what the folder's poetry.lock pins, and return what it has then."""
        project = render_project(self.request, also=also)
        (self.folder / "pyproject.toml").write_bytes(project)
        done = self._poetry_lock()
        if done.returncode and lacks_json_interface(done.stderr) and self._use_simple_index():
            done = self._poetry_lock()
        if done.returncode:
            raise explain_failure(self.request.image, done.stderr)
        return read_entries(self.request.image, self.native.read_bytes())

    def _poetry_lock(self) -> process.Finished:
        words = [self.program, "lock", "--no-interaction", "--no-ansi"]
        return process.run(words, cwd=self.folder, env=self.env, timeout_s=_TIMEOUT_S)

    def find_files(self, locked: Iterable[Entry]) -> tuple[LockedPackage, ...]:
        """Return the packages that the image installs, with the addresses of their files.

        Raises:
            LockError: The index does not have a file that poetry has put into the lock.

        """
        locked = choose_versions(locked, self.request)
        index = self.request.index or os.environ.get(_MIRROR, "")
        env = uv_environment(index, self.ca_certificates)
        files = IndexFiles(self.request, list_requirements(locked), self.folder / "files", env)
        packages = self._read(locked, files.recall())
        if _list_nowhere(packages):
            packages = self._read(locked, files.find())
        if nowhere := _list_nowhere(packages):
            raise LockError.single(
                f"{NATIVE} has a file that the index does not have: {nowhere[0]}",
                key=f"images.{self.request.image}",
                why="the lock was tampered with, or the index has removed the file",
                fix="find out which; `python -m envgen lock --upgrade` pins anew",
            )
        return packages

    def _read(self, locked: Iterable[Entry], places: Places) -> tuple[LockedPackage, ...]:
        return read_pylock(render_as_pylock(locked, places), self.request)

    def _use_simple_index(self) -> bool:
        """Let poetry use PyPI's simple index, as every other locker does; whether that is new.

        poetry's client for PyPI reads an interface of PyPI's own, which mirrors and proxies often
        lack. The plugin that is in envgen's environment reads the standard one, and the lock is
        the same. What PyPI's address is, that poetry knows.
        """
        if self.request.index or _MIRROR in os.environ or _choose_poetry().program:
            return False
        question = (
            "from poetry.repositories.pypi_repository import PyPiRepository as PyPI;"
            "print(PyPI().url)"
        )
        python = Path(self.program).with_name("python")
        done = process.run([python, "-c", question], env=self.env, timeout_s=60)
        if done.returncode:
            raise ToolError.single("poetry does not say where PyPI is", why=done.stderr.strip())
        _log.info("PyPI's JSON interface did not answer poetry; using its simple index")
        self.env[_MIRROR] = done.stdout.strip()
        return True


def _environment(
    request: LockRequest, folder: Path, ca_certificates: Path | None
) -> dict[str, str]:
    """Return poetry's settings: those of the request, and no file of this machine's user."""
    env = {
        "POETRY_CONFIG_DIR": str(folder / "no-config"),
        "POETRY_KEYRING_ENABLED": "false",
        # Locking needs no environment, but poetry makes one unless it is told otherwise,
        "POETRY_VIRTUALENVS_CREATE": "false",
        # and asks an active one for its Python, unless it takes it for conda's base.
        "CONDA_DEFAULT_ENV": "base",
    }
    if request.index:
        source = source_name(request.index).upper().replace("-", "_")
        for part in ("USERNAME", "PASSWORD"):
            if f"ENVGEN_INDEX_{part}" in os.environ:
                env[f"POETRY_HTTP_BASIC_{source}_{part}"] = os.environ[f"ENVGEN_INDEX_{part}"]
    if ca_certificates:
        env["REQUESTS_CA_BUNDLE"] = str(ca_certificates)
    return env
