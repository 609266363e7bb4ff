"""The tools that resolve and pin: one module each, behind one Protocol."""

import importlib
from pathlib import Path
from typing import Final, Protocol

import msgspec

from envgen.errors import ToolError
from envgen.lock.packages import LockedPackage
from envgen.lockers.indexes import PackageIndex
from envgen.rendered import RenderedFile


class LockRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What one image needs locked.

    Attributes:
        image: The image's name.
        project: The project's name.
        folder: The folder of the image's generated files, relative to the spec.
        python: Major and minor version of the image's Python.
        requirements: PEP 508 requirements, in the spec's order, each once.
        platforms: As `linux/amd64`.
        allow_source: Names of packages that may be built from source.
        index: The package index; empty for PyPI.
        indexes: Indexes beside it, each with the packages that come from there alone.
        exclude_newer: RFC 3339 moment; empty for none.
        conda: MatchSpecs of what conda installs; only conda-lock knows them.
        channels: Conda channels, the one that wins first.
        cuda: The CUDA of the hosts, as `12.8`, which conda's builds are chosen for; empty for none.
        glibc: Of the image's base, which conda's builds are chosen for.
        upgrade: Packages whose pins are dropped while the others are kept. Says how to lock, not
            what: `render_inputs` leaves it out.
        constraints: PEP 508 requirements on packages that the image need not have: pins that
            another image has and this one shall share. `render_inputs` leaves them out, too.

    """

    image: str
    project: str
    folder: str
    python: str
    requirements: tuple[str, ...]
    platforms: tuple[str, ...]
    allow_source: tuple[str, ...] = ()
    index: str = ""
    indexes: tuple[PackageIndex, ...] = ()
    exclude_newer: str = ""
    conda: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    cuda: str = ""
    glibc: str = ""
    upgrade: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()


class LockResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a locker made of a request.

    Attributes:
        native: The locker's own lock file.
        packages: What it pinned, sorted by name.
        offline: Whether it had to answer from its cache because the network did not.
        hashed: File names of artifacts whose SHA-256 was computed, since their index gives none.

    """

    native: RenderedFile
    packages: tuple[LockedPackage, ...]
    offline: bool = False
    hashed: tuple[str, ...] = ()


class Locker(Protocol):
    """What every locker module offers."""

    NATIVE: str
    """The file name of its lock."""

    def render_inputs(self, request: LockRequest) -> tuple[RenderedFile, ...]:
        """Return the locker's own input files. Pure: their hash decides whether a lock is stale."""

    def probe_version(self) -> str:
        """Return the version of the program that `lock` will run."""

    def lock(
        self,
        request: LockRequest,
        *,
        current: bytes | None,
        ca_certificates: Path | None,
    ) -> LockResult:
        """Resolve, keeping the pins of `current` that still fit.

        Raises:
            LockError: The requirements cannot be met, or an artifact has no hash.
            NetworkError: The index did not answer.
            ToolError: The program is missing or failed for a reason of its own.

        """


_OFFERED: Final = ("NATIVE", "render_inputs", "probe_version", "lock")

_MODULES: Final = {
    "uv": "envgen.lockers.uv",
    "poetry": "envgen.lockers.poetry",
    "conda-lock": "envgen.lockers.conda_lock",
    "pip": "envgen.lockers.pip",
}


def load_locker(name: str) -> Locker:
    """Return the module of a locker. Imported when asked for: each has its own dependencies.

    Raises:
        ToolError: Nobody brings it, or a plugin brings what is no locker.

    """
    if name not in _MODULES:
        return _load_plugin(name)
    module: Locker = importlib.import_module(_MODULES[name])
    return module


def _load_plugin(name: str) -> Locker:
    from envgen.plugins import load_plugin  # noqa: PLC0415 - few specs name one

    found = load_plugin("envgen.lockers", name)
    missing = [each for each in _OFFERED if not hasattr(found, each)]
    if missing:
        raise ToolError.single(
            f"the plugin {name!r} is no locker: it has no {', '.join(missing)}",
            why="envgen.lockers.Locker says what one has to offer",
            fix="report it to the plugin's authors",
        )
    locker: Locker = found
    return locker
