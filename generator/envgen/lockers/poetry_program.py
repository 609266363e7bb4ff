"""poetry as a program: which one runs, `poetry lock`, `poetry export`."""

import functools
import logging
import os
import re
import shutil
import tempfile
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
from envgen.lockers.pinned_files import require_same_files
from envgen.lockers.poetry import NATIVE, render_project, source_name
from envgen.lockers.poetry_failures import explain_failure, lacks_json_interface
from envgen.lockers.poetry_lock import drop_packages, read_pins
from envgen.lockers.tool_environment import ensure_tool, locked_version
from envgen.rendered import RenderedFile

_log = logging.getLogger(__name__)

ACCEPTED: Final = SpecifierSet(">=2.3,<3")
"""2.3 is the first that exports pylock.toml (poetry-plugin-export 1.10, exporter.py)."""

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
    needed = ["poetry", "poetry-plugin-export"]
    if _MIRROR in os.environ:
        needed.append("poetry-plugin-pypi-mirror")
    question = f"from importlib.metadata import version; print(*map(version, {needed}))"
    done = process.run([interpreter, "-I", "-c", question], timeout_s=30)
    version = done.stdout.partition(" ")[0]
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
    before = read_pins(request.image, current) if current is not None else {}
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        run = _Run(request, Path(scratch), ca_certificates)
        if current is not None:
            run.native.write_bytes(drop_packages(current, request.upgrade))
        packages = run.lock()
        if others := _unmet(request.constraints, packages):
            # poetry has no constraints. As requirements they move the pins, which are then kept.
            run.lock(also=others)
            packages = run.lock()
        native = run.native.read_bytes()
    require_same_files(request.image, NATIVE, before, read_pins(request.image, native))
    return LockResult(
        native=RenderedFile(path=f"{request.folder}/{NATIVE}", content=native, guarded=False),
        packages=packages,
    )


def _unmet(constraints: tuple[str, ...], packages: tuple[LockedPackage, ...]) -> tuple[str, ...]:
    """Return the constraints that packages of a lock break."""
    versions = {package.name: package.version for package in packages}
    wanted = ((text, Requirement(text)) for text in constraints)
    return tuple(
        text
        for text, requirement in wanted
        if (version := versions.get(canonicalize_name(requirement.name)))
        and not requirement.specifier.contains(version, prereleases=True)
    )


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
        self.native = folder / NATIVE
        self.program = (
            _choose_poetry().program
            or ensure_tool("poetry", index=request.index, ca_certificates=ca_certificates)
            / "poetry"
        )
        self.env = _environment(request, folder, ca_certificates)

    def lock(self, *, also: tuple[str, ...] = ()) -> tuple[LockedPackage, ...]:
        """Lock, keeping what the folder's poetry.lock pins, and return the packages."""
        project = render_project(self.request, also=also)
        (self.folder / "pyproject.toml").write_bytes(project)
        done = self._poetry("lock")
        if done.returncode and lacks_json_interface(done.stderr) and self._use_simple_index():
            done = self._poetry("lock")
        if done.returncode:
            raise explain_failure(self.request.image, done.stderr)
        done = self._poetry("export", "--format=pylock.toml")
        if done.returncode:
            raise explain_failure(self.request.image, done.stderr)
        return read_pylock(done.stdout, self.request)

    def _poetry(self, *arguments: str) -> process.Finished:
        words = [self.program, *arguments, "--no-interaction", "--no-ansi"]
        return process.run(words, cwd=self.folder, env=self.env, timeout_s=_TIMEOUT_S)

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
