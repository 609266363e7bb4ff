"""conda-lock as a program: what solves for it, `conda-lock lock`, and what its failures mean."""

import functools
import json
import logging
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envgen import process
from envgen.constraints import TranslationError
from envgen.constraints.conda import from_pep440
from envgen.errors import LockError, ToolError
from envgen.export.conda_lock import CondaPackage, read_conda_lock
from envgen.lock.packages import LockedPackage
from envgen.lock.pool import Pool
from envgen.lockers import LockRequest, LockResult
from envgen.lockers.conda_failures import explain_failure, explain_records, refuse_unreadable
from envgen.lockers.conda_lock import ENVIRONMENT, NATIVE, VIRTUAL, match_specs
from envgen.lockers.conda_lock import virtual_packages as list_virtual_packages
from envgen.lockers.conda_lock_file import add_pip_rows, drop_pip_rows
from envgen.lockers.conda_names import conda_name, pypi_name
from envgen.lockers.conda_packages import CondaRow, Records, describe, find_problems
from envgen.lockers.pinned_files import require_same_files
from envgen.lockers.tool_environment import ensure_tool, locked_version, requirements_file
from envgen.platforms import SUBDIRS
from envgen.rendered import RenderedFile

if TYPE_CHECKING:
    from envgen.lockers.conda_pip import PipLock

_log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 1800
_SOLVERS: Final = ("micromamba", "mamba", "conda")
_SCRIPTS: Final = Path(__file__).parent


class _Solver(msgspec.Struct, frozen=True, kw_only=True):
    """What conda-lock solves with; `program` is empty for envgen's own over py-rattler."""

    name: str
    version: str
    program: str = ""


def probe_version() -> str:
    """Return conda-lock's version and its solver's, as `4.0.3+py-rattler-0.28.0`."""
    solver = _find_solver()
    return f"{locked_version('conda-lock')}+{solver.name}-{solver.version}"


@functools.cache
def _own_solver() -> _Solver:
    pinned = re.search(
        r"^py-rattler==(\S+)", requirements_file("conda-lock").read_text("utf-8"), re.MULTILINE
    )
    if pinned is None:
        raise ToolError.single("conda-lock.txt does not pin py-rattler")
    return _Solver(name="py-rattler", version=pinned[1])


@functools.cache
def _find_solver() -> _Solver:
    """Return the user's own conda where there is one, else envgen's."""
    for name in _SOLVERS:
        program = shutil.which(name)
        if program is None:
            continue
        done = process.run([program, "--version"], timeout_s=60)
        found = re.search(r"\d+\.\d\S*", done.stdout)
        if done.returncode == 0 and found:
            return _Solver(name=name, version=found[0], program=program)
        _log.info("%s does not tell its version", program)
    return _own_solver()


def lock(
    request: LockRequest,
    inputs: Iterable[RenderedFile],
    *,
    current: bytes | None,
    ca_certificates: Path | None,
) -> LockResult:
    """Run conda-lock in a folder of its own, check its answer, and add what uv pins.

    Raises:
        LockError: The packages cannot be had together, or what came back does not hold together.
        NetworkError: A channel or the index did not answer.
        ToolError: conda-lock is missing or failed for a reason of its own.

    """
    programs = ensure_tool("conda-lock", index=request.index, ca_certificates=ca_certificates)
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        runner = _Runner(request, Path(scratch), programs, ca_certificates)
        for file in inputs:
            (runner.folder / Path(file.path).name).write_bytes(file.content)
        before = runner.start_from(current) if current is not None else ()
        records = runner.solve(before)
        if problems := [*find_problems(records, request)]:
            raise LockError(*problems)
        rest = _lock_rest(request, records, before, runner.folder / "pip", ca_certificates)
        text = (runner.folder / NATIVE).read_text(encoding="utf-8")
    after = {**_list_archives(records.packages), **_list_wheels(rest.packages)}
    require_same_files(request.image, NATIVE, _list_files(before), after)
    native = add_pip_rows(drop_pip_rows(text), rest.packages, request.platforms)
    return LockResult(
        native=RenderedFile(
            path=f"{request.folder}/{NATIVE}", content=native.encode(), guarded=False
        ),
        packages=(*describe(records, request), *rest.packages),
        offline=rest.offline,
    )


def _lock_rest(
    request: LockRequest,
    records: Records,
    before: Iterable[CondaPackage],
    folder: Path,
    ca_certificates: Path | None,
) -> "PipLock":
    """Return what uv pins beside conda's packages."""
    from envgen.lockers.conda_pip import lock_rest  # noqa: PLC0415 - loads while conda-lock runs

    installed = {
        platform: {
            row.pypi: row.version
            for row in records.packages
            if row.platform == SUBDIRS[platform] and row.pypi
        }
        for platform in request.platforms
    }
    kept = {
        platform: {
            package.name: package.version
            for package in before
            if package.manager == "pip" and package.platform == SUBDIRS[platform]
        }
        for platform in request.platforms
    }
    return lock_rest(request, installed, kept, folder=folder, ca_certificates=ca_certificates)


def _list_archives(rows: Iterable[CondaRow]) -> dict[tuple[str, str], frozenset[str]]:
    """Return the hashes of conda's files, by name and file name: a version has several builds."""
    return {(row.name, row.url.rpartition("/")[2]): frozenset({row.sha256}) for row in rows}


def _list_files(before: Iterable[CondaPackage]) -> dict[tuple[str, str], frozenset[str]]:
    files: dict[tuple[str, str], frozenset[str]] = {}
    for package in before:
        key = (package.name, package.version if package.manager == "pip" else package.filename)
        files[key] = files.get(key, frozenset()) | {package.sha256}
    return files


def _list_wheels(packages: Iterable[LockedPackage]) -> dict[tuple[str, str], frozenset[str]]:
    return {
        (package.name, package.version): frozenset(
            artifact.sha256 for artifact in (*package.wheels, *package.downloads.values())
        )
        for package in packages
    }


class _Runner:
    """conda-lock, and the scripts that its environment runs, in one folder."""

    def __init__(
        self, request: LockRequest, folder: Path, programs: Path, ca_certificates: Path | None
    ) -> None:
        self.request = request
        self.folder = folder
        self.programs = programs
        # Beyond what conda is asked through conda-lock; envgen's own solver takes them.
        self.special = bool(request.upgrade or request.constraints or request.exclude_newer)
        self.solver = _own_solver() if self.special else _find_solver()
        self.env = {"PYTHONNOUSERSITE": "1"}
        if ca_certificates:
            names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CONDA_SSL_VERIFY")
            self.env |= dict.fromkeys(names, str(ca_certificates))

    def start_from(self, current: bytes) -> tuple[CondaPackage, ...]:
        """Take up a lock and return what it holds.

        Raises:
            LockError: It is not a conda-lock.yml.

        """
        text = current.decode(errors="replace")
        try:
            packages = read_conda_lock(text)
        except LockError as error:
            (problem,) = error.problems
            raise refuse_unreadable(self.request.image, problem.why or problem.what) from error
        (self.folder / NATIVE).write_text(drop_pip_rows(text), encoding="utf-8")
        return packages

    def solve(self, before: Iterable[CondaPackage]) -> Records:
        """Run `conda-lock lock`, and return what its lock holds and whether it holds together.

        It leaves a lock alone whose input has not changed, unless something is asked of the solver
        that its input does not hold. What checks its answer is loaded meanwhile.
        """
        command: list[str | Path] = [self.programs / "conda-lock", "lock"]
        command += ["--conda", self.solver.program or self._write_solver()]
        command += ["--file", ENVIRONMENT, "--lockfile", NATIVE]
        command += ["--virtual-package-spec", VIRTUAL, "--log-level", "WARNING"]
        if not self.special:
            command.append("--check-input-hash")
        env = self.env | self._wishes(before)
        ready = self.folder / "ready"
        reading = Pool(1).submit(self._read_records, ready)
        done = process.run(command, cwd=self.folder, env=env, timeout_s=_TIMEOUT_S)
        if done.returncode:
            raise explain_failure(self.request.image, done.stderr)
        ready.touch()
        return reading.result()

    def _read_records(self, ready: Path) -> Records:
        question = {
            "lock": str(self.folder / NATIVE),
            "ready": str(ready),
            "platforms": {
                SUBDIRS[platform]: {
                    "specs": match_specs(self.request),
                    "channels": self.request.channels,
                    "virtual": list_virtual_packages(self.request, platform),
                }
                for platform in self.request.platforms
            },
        }
        done = process.run(
            [self.programs / "python", "-I", _SCRIPTS / "conda_records.py"],
            env=self.env,
            input_text=json.dumps(question),
            timeout_s=_TIMEOUT_S,
        )
        if done.returncode:
            raise explain_records(self.request.image, done.stderr)
        return msgspec.json.decode(done.stdout, type=Records)

    def _write_solver(self) -> Path:
        """Write the executable that conda-lock takes for conda."""
        program = self.folder / "conda"
        words = (self.programs / "python", "-I", _SCRIPTS / "conda_executable.py")
        command = " ".join(shlex.quote(str(word)) for word in words)
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        program.chmod(0o700)
        return program

    def _wishes(self, before: Iterable[CondaPackage]) -> dict[str, str]:
        """Return what envgen's own solver is told: what to keep, and what other images have."""
        moved = {canonicalize_name(name) for name in self.request.upgrade}
        kept = [
            {"platform": package.platform, "name": package.name, "url": package.url}
            for package in before
            if package.manager == "conda" and not _names(package) & moved
        ]
        wishes = {
            "keep": kept,
            "constraints": [
                _to_match_spec(self.request.image, text) for text in self.request.constraints
            ],
            "exclude_newer": self.request.exclude_newer,
        }
        file = self.folder / "wishes.json"
        file.write_text(json.dumps(wishes), encoding="utf-8")
        return {"CONDA_LOCK_WISHES": str(file)}


def _names(package: CondaPackage) -> set[str]:
    """Return what a conda package is called: on its channel, and on PyPI."""
    return {package.name, pypi_name(package.name, needs_python="python" in package.dependencies)}


def _to_match_spec(image: str, constraint: str) -> str:
    """Return what another image holds a package to in conda's words.

    Raises:
        LockError: conda has no words for it.

    """
    requirement = Requirement(constraint)
    try:
        return f"{conda_name(requirement.name)} {from_pep440(str(requirement.specifier))}".strip()
    except TranslationError as error:
        raise LockError.single(
            f"conda cannot be held to {constraint!r}", key=f"images.{image}", why=str(error)
        ) from error
