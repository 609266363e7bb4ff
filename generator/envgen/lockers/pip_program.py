"""pip's lock: `uv pip compile` once per platform, merged into one requirements.txt.

Each platform is resolved by itself and not all of them with `--universal`: a universal resolution
is one for every Python from the image's on, so each line of it carries a marker, and what another
system needs can fail it. Here a pin has a marker only where the platforms differ.
"""

import logging
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from packaging.utils import canonicalize_name

from envgen import process
from envgen.errors import LockError, NetworkError
from envgen.lock.packages import LockedPackage
from envgen.lock.pylock import read_pylock
from envgen.lockers import LockRequest, LockResult, uv
from envgen.lockers.indexes import exempt_packages
from envgen.lockers.pinned_files import require_same_files
from envgen.lockers.pip import NATIVE, render_index_options
from envgen.lockers.pip_requirements import (
    Pin,
    list_files,
    merge_platforms,
    read_current,
    read_pins,
    render_pins,
)
from envgen.lockers.uv_program import explain_failure, uv_command, uv_environment
from envgen.platforms import MACHINES
from envgen.rendered import RenderedFile

_log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 900
_PROJECT: Final = "pyproject.toml"
_TARGET: Final = "manylinux_2_40"
"""The newest that uv knows; what a base cannot install is found when wheels are chosen."""

_BROKEN_OFF: Final = re.compile(r"\s[#-]|\$\{")
"""Where pip ends a requirement or expands a variable (Requirements File Format). PEP 508 allows
these in the texts of markers."""


def lock(
    request: LockRequest, *, current: bytes | None, ca_certificates: Path | None
) -> LockResult:
    """Compile the requirements in a folder of their own and return what was pinned.

    Raises:
        LockError: The requirements cannot be met, or an artifact has no hash.
        NetworkError: The index did not answer.
        ToolError: uv is missing or failed for a reason of its own.

    """
    _check_expressible(request)
    before = read_current(request.image, NATIVE, current) if current is not None else ()
    with tempfile.TemporaryDirectory(prefix="envgen-") as scratch:
        compiler = _Compiler(request, Path(scratch), ca_certificates)
        pins = compiler.pin(_kept(before, request.upgrade))
        text = render_pins(pins, options=render_index_options(request))
        packages = compiler.find_files(pins, text)
    require_same_files(request.image, NATIVE, list_files(before), list_files(pins))
    _require_agreement(request.image, pins, packages)
    return LockResult(
        native=RenderedFile(
            path=f"{request.folder}/{NATIVE}", content=text.encode(), guarded=False
        ),
        packages=packages,
        offline=compiler.offline,
        hashed=compiler.hashed,
    )


def _check_expressible(request: LockRequest) -> None:
    for requirement in request.requirements:
        if _BROKEN_OFF.search(requirement):
            raise LockError.single(
                f"a requirements file cannot hold {requirement!r}",
                key=f"images.{request.image}",
                why="pip takes a space before '#' or '-' for the end, and ${…} for a variable",
                fix="write the marker another way, or lock the image with uv",
            )


def _kept(pins: Iterable[Pin], upgrade: Iterable[str]) -> tuple[Pin, ...]:
    moved = {canonicalize_name(name) for name in upgrade}
    return tuple(pin for pin in pins if pin.name not in moved)


class _Compiler:
    """`uv pip compile` in one folder."""

    def __init__(self, request: LockRequest, folder: Path, ca_certificates: Path | None) -> None:
        self.request = request
        self.folder = folder
        self.env = uv_environment(request.index, ca_certificates, indexes=request.indexes)
        self.ca_certificates = ca_certificates
        self.offline = False
        self.hashed: tuple[str, ...] = ()
        # Not the requirements.in: that has no words for which index a package comes from.
        (folder / _PROJECT).write_bytes(uv.render_inputs(request)[0].content)
        (folder / "constraints.txt").write_text("\n".join(request.constraints) + "\n")

    def pin(self, kept: Iterable[Pin]) -> tuple[Pin, ...]:
        """Return the pins of all platforms; a platform keeps those of the one before it."""
        # Without hashes: uv would repeat them where a pin stays, and not ask the index.
        preferred = [pin.requirement for pin in kept]
        pins: dict[str, tuple[Pin, ...]] = {}
        for platform in self.request.platforms:
            machine = MACHINES[platform]
            output = self.folder / f"{machine}.txt"
            output.write_text("".join(f"{requirement}\n" for requirement in preferred))
            self._compile(
                self._command(
                    _PROJECT,
                    "--constraints=constraints.txt",
                    f"--python-platform={machine}-{_TARGET}",
                    "--generate-hashes",
                    f"--output-file={output.name}",
                )
            )
            pins[machine] = read_pins(output.read_text(encoding="utf-8"))
            chosen = {pin.name for pin in pins[machine]}
            preferred = [pin.requirement for pin in pins[machine]]
            preferred += [pin.requirement for pin in kept if pin.name not in chosen]
        return merge_platforms(pins)

    def find_files(self, pins: Iterable[Pin], pinned: str) -> tuple[LockedPackage, ...]:
        """Return the packages of a requirements.txt with the files that the index has for them."""
        if self.request.indexes:
            return self._find_files_on_indexes(pins)
        (self.folder / NATIVE).write_text(pinned, encoding="utf-8")
        command = self._command(NATIVE, "--no-deps", "--universal", "--output-file=pylock.toml")
        # What `pin` has asked the index for is in uv's cache.
        if self._run([*command, "--offline"]).returncode:
            self._compile(command)
        pylock = (self.folder / "pylock.toml").read_text(encoding="utf-8")
        return read_pylock(pylock, self.request)

    def _find_files_on_indexes(self, pins: Iterable[Pin]) -> tuple[LockedPackage, ...]:
        """Let uv lock the pins: a requirements file does not say which index has a package."""
        pinned = msgspec.structs.replace(
            self.request,
            requirements=tuple(pin.requirement for pin in pins),
            upgrade=(),
            constraints=(),
        )
        result = uv.lock(pinned, current=None, ca_certificates=self.ca_certificates)
        self.hashed = result.hashed
        self.offline |= result.offline
        return result.packages

    def _command(self, *arguments: str) -> list[str]:
        command = uv_command(self.env, "pip", "compile", *arguments, "--quiet", "--no-header")
        command += ["--no-annotate", f"--python-version={self.request.python}"]
        if self.request.exclude_newer:
            command.append(f"--exclude-newer={self.request.exclude_newer}")
            exempt = exempt_packages(self.request.indexes)
            command += [f"--exclude-newer-package={name}=false" for name in exempt]
        return [*command, f"--python={sys.executable}"]

    def _compile(self, command: list[str]) -> None:
        """Run uv, and once more from its cache where the network is gone."""
        done = self._run(command)
        if done.returncode == 0:
            return
        error = explain_failure(self.request.image, done.stderr, self.request.indexes)
        if isinstance(error, NetworkError) and self._run([*command, "--offline"]).returncode == 0:
            _log.warning("%s: the index did not answer; pinned from uv's cache", self.request.image)
            self.offline = True
            return
        raise error

    def _run(self, command: list[str]) -> process.Finished:
        return process.run(command, cwd=self.folder, env=self.env, timeout_s=_TIMEOUT_S)


def _require_agreement(image: str, pins: Iterable[Pin], packages: Iterable[LockedPackage]) -> None:
    """Refuse artifacts that requirements.txt does not have: pip would install something else."""
    known = list_files(pins)
    for package in packages:
        hashes = known.get((package.name, package.version), frozenset())
        chosen = (*package.wheels, *package.downloads.values())
        if unknown := [artifact for artifact in chosen if artifact.sha256 not in hashes]:
            raise LockError.single(
                f"the index gave different files for {package.name} {package.version} in a row",
                key=f"images.{image}",
                why=f"{unknown[0].filename} is not among those that were pinned",
                fix="lock again; if it stays, the index is not to be trusted",
            )
