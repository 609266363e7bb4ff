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

from packaging.utils import canonicalize_name

from envgen import process
from envgen.errors import LockError, NetworkError
from envgen.lock.packages import LockedPackage
from envgen.lock.pylock import read_pylock
from envgen.lockers import LockRequest, LockResult
from envgen.lockers.pinned_files import require_same_files
from envgen.lockers.pip import NATIVE, render_inputs
from envgen.lockers.pip_requirements import (
    Pin,
    list_files,
    merge_platforms,
    read_current,
    read_pins,
    render_pins,
)
from envgen.lockers.uv_program import explain_failure, find_uv, uv_environment
from envgen.platforms import MACHINES
from envgen.rendered import RenderedFile

_log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 900
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
        text = render_pins(pins, index=request.index)
        packages = compiler.find_files(text)
    require_same_files(request.image, NATIVE, list_files(before), list_files(pins))
    _require_agreement(request.image, pins, packages)
    return LockResult(
        native=RenderedFile(
            path=f"{request.folder}/{NATIVE}", content=text.encode(), guarded=False
        ),
        packages=packages,
        offline=compiler.offline,
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
        self.env = uv_environment(request.index, ca_certificates)
        self.offline = False
        (requirements,) = render_inputs(request)
        (folder / "requirements.in").write_bytes(requirements.content)
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
                    "requirements.in",
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

    def find_files(self, pinned: str) -> tuple[LockedPackage, ...]:
        """Return the packages of a requirements.txt with the files that the index has for them."""
        (self.folder / NATIVE).write_text(pinned, encoding="utf-8")
        command = self._command(NATIVE, "--no-deps", "--universal", "--output-file=pylock.toml")
        # What `pin` has asked the index for is in uv's cache.
        if self._run([*command, "--offline"]).returncode:
            self._compile(command)
        pylock = (self.folder / "pylock.toml").read_text(encoding="utf-8")
        return read_pylock(pylock, self.request)

    def _command(self, *arguments: str) -> list[str]:
        command = [find_uv(), "pip", "compile", *arguments, "--quiet", "--no-header"]
        command += ["--no-annotate", f"--python-version={self.request.python}"]
        if self.request.exclude_newer:
            command.append(f"--exclude-newer={self.request.exclude_newer}")
        return [*command, f"--python={sys.executable}"]

    def _compile(self, command: list[str]) -> None:
        """Run uv, and once more from its cache where the network is gone."""
        done = self._run(command)
        if done.returncode == 0:
            return
        error = explain_failure(self.request.image, done.stderr)
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
