"""The requirements that conda does not satisfy, resolved by uv against what conda has pinned.

Each Python package of conda's is shown to uv as a wheel of that very version, without dependencies
and without files, on an index that comes before the real one. uv takes a package from the first
index that has it. So conda's version is the only one that there is: a requirement it does not meet
is a conflict that uv explains, and nothing that conda installs is installed a second time.
"""

import io
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import tomli_w
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envgen import process
from envgen.errors import LockError, NetworkError
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lock.pylock import read_pylock
from envgen.lockers import LockRequest
from envgen.lockers.conda_lock import REQUIREMENTS
from envgen.lockers.uv_program import explain_failure, uv_command, uv_environment
from envgen.platforms import MACHINES

_TIMEOUT_S: Final = 900
_TARGET: Final = "manylinux_2_40"
"""The newest that uv knows; what a base cannot install is found when wheels are chosen."""

Versions = Mapping[str, str]
"""Versions by name on PyPI."""


class PipLock(msgspec.Struct, frozen=True, kw_only=True):
    """What uv pinned.

    Attributes:
        packages: Sorted by name.
        offline: Whether the index did not answer, and uv's cache did.

    """

    packages: tuple[LockedPackage, ...]
    offline: bool = False


def lock_rest(
    request: LockRequest,
    installed: Mapping[str, Versions],
    kept: Mapping[str, Versions],
    *,
    folder: Path,
    ca_certificates: Path | None,
) -> PipLock:
    """Return what uv pins beside conda's packages.

    Args:
        request: What is locked.
        installed: What conda installs, by platform.
        kept: The pins so far, by platform, which stay where they fit.
        folder: An empty one.
        ca_certificates: Certificates that the index may have.

    Raises:
        LockError: The requirements cannot be met beside conda's packages.
        NetworkError: The index did not answer.
        ToolError: uv failed for a reason of its own.

    """
    if not request.requirements:
        return PipLock(packages=())
    _refuse_extras(request, installed)
    resolver = _Resolver(request, folder, ca_certificates)
    found = {
        platform: resolver.resolve(platform, installed[platform], kept.get(platform, {}))
        for platform in request.platforms
    }
    return PipLock(packages=merge_platforms(found), offline=resolver.offline)


def _refuse_extras(request: LockRequest, installed: Mapping[str, Versions]) -> None:
    """Refuse extras of what conda installs: conda does not know them, so they would be left out."""
    by_conda = {name for versions in installed.values() for name in versions}
    for text in request.requirements:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if requirement.extras and name in by_conda:
            raise LockError.single(
                f"conda installs {name}, and has no extras as in {text!r}",
                key=f"images.{request.image}",
                why="what the extra needs would be missing from the image",
                fix=f"write {name!r}, and what the extra needs beside it",
            )


class _Resolver:
    """`uv pip compile` in one folder, platform by platform."""

    def __init__(self, request: LockRequest, folder: Path, ca_certificates: Path | None) -> None:
        self.request = request
        self.folder = folder
        self.offline = False
        self.env = uv_environment(request.index, ca_certificates)
        # Of uv.toml files it reads the one that it is given, and no other.
        self.env["UV_NO_CONFIG"] = "0"
        folder.mkdir(parents=True)
        (folder / REQUIREMENTS).write_text("\n".join(request.requirements) + "\n")
        (folder / "constraints.txt").write_text("\n".join(request.constraints) + "\n")

    def resolve(
        self, platform: str, installed: Versions, kept: Versions
    ) -> tuple[LockedPackage, ...]:
        machine = MACHINES[platform]
        shown = {name: text for name, text in installed.items() if _is_version(text)}
        index = self.folder / machine
        index.mkdir()
        for name, version in shown.items():
            (index / _wheel_name(name, version)).write_bytes(render_stand_in(name, version))
        settings = self.folder / f"{machine}.toml"
        settings.write_text(self._render_settings(index, shown), encoding="utf-8")
        output = self.folder / f"pylock.{machine}.toml"
        moved = {canonicalize_name(name) for name in self.request.upgrade}
        output.write_text(
            _render_pins({name: text for name, text in kept.items() if name not in moved})
        )
        command = uv_command(self.env, "pip", "compile", REQUIREMENTS)
        command.append(f"--output-file={output.name}")
        command += [
            "--format=pylock.toml",
            "--quiet",
            "--no-header",
            "--constraints=constraints.txt",
        ]
        command += [f"--config-file={settings}", f"--python-version={self.request.python}"]
        command += [f"--python-platform={machine}-{_TARGET}", f"--python={sys.executable}"]
        command += [f"--no-emit-package={name}" for name in shown]
        self._run([*command, *_exclude_newer(self.request, shown)])
        alone = msgspec.structs.replace(self.request, platforms=(platform,))
        return read_pylock(output.read_text(encoding="utf-8"), alone)

    def _render_settings(self, index: Path, shown: Versions) -> str:
        indexes: list[dict[str, str | bool]] = []
        if shown:
            indexes.append({"name": "conda", "url": str(index), "format": "flat"})
        if self.request.index:
            indexes.append({"name": "index", "url": self.request.index, "default": True})
        return tomli_w.dumps({"index": indexes})

    def _run(self, command: list[str]) -> None:
        """Run uv, and once more from its cache where the network is gone."""
        done = process.run(command, cwd=self.folder, env=self.env, timeout_s=_TIMEOUT_S)
        if done.returncode == 0:
            return
        error = explain_failure(self.request.image, done.stderr)
        if isinstance(error, NetworkError):
            again = [*command, "--offline"]
            if process.run(again, cwd=self.folder, env=self.env).returncode == 0:
                self.offline = True
                return
        if isinstance(error, LockError):
            raise LockError(
                *(
                    msgspec.structs.replace(
                        problem,
                        fix=f"{problem.fix};\nconda's packages are fixed at this point: another "
                        "version of one is asked for in the image's `conda`",
                    )
                    for problem in error.problems
                )
            )
        raise error


def _exclude_newer(request: LockRequest, shown: Versions) -> list[str]:
    """Return uv's options for a date; what conda has carries none and would be hidden."""
    if not request.exclude_newer:
        return []
    exempt = [f"--exclude-newer-package={name}=false" for name in shown]
    return [f"--exclude-newer={request.exclude_newer}", *exempt]


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _wheel_name(name: str, version: str) -> str:
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def render_stand_in(name: str, version: str) -> bytes:
    """Return a wheel that says what a package is and holds nothing."""
    content = io.BytesIO()
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(content, "w") as wheel:
        for file, text in files.items():
            # ZipInfo's own time is 1980-01-01; a name alone would get the clock's.
            wheel.writestr(zipfile.ZipInfo(f"{folder}/{file}"), text)
    return content.getvalue()


def _render_pins(pins: Versions) -> str:
    """Return a pylock.toml of pins alone: uv prefers what its output file has."""
    packages = [{"name": name, "version": text} for name, text in sorted(pins.items())]
    return tomli_w.dumps({"lock-version": "1.0", "created-by": "envgen", "packages": packages})


def merge_platforms(
    found: Mapping[str, Iterable[LockedPackage]],
) -> tuple[LockedPackage, ...]:
    """Return the packages of all platforms: those at one version as one, others with markers."""
    groups: dict[tuple[str, str], dict[str, LockedPackage]] = {}
    for platform, packages in found.items():
        for package in packages:
            groups.setdefault((package.name, package.version), {})[platform] = package
    return tuple(_merge(parts, len(found)) for _, parts in sorted(groups.items()))


def _merge(parts: Mapping[str, LockedPackage], platforms: int) -> LockedPackage:
    first, *rest = parts.values()
    wheels: dict[str, Artifact] = {
        wheel.url: wheel for part in (first, *rest) for wheel in part.wheels
    }
    machines = (f"platform_machine == '{MACHINES[platform]}'" for platform in parts)
    return msgspec.structs.replace(
        first,
        wheels=tuple(sorted(wheels.values(), key=lambda wheel: (wheel.filename, wheel.url))),
        source=next((part.source for part in parts.values() if part.source), None),
        marker="" if len(parts) == platforms else " or ".join(machines),
        downloads={
            platform: artifact
            for part in parts.values()
            for platform, artifact in part.downloads.items()
        },
    )
