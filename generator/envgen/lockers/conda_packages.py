"""What `conda_records.py` says of a lock, as envgen's packages, and what is wrong with it."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from envgen.errors import Problem
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lockers import LockRequest
from envgen.lockers.conda_lock import NATIVE
from envgen.lockers.conda_names import pypi_name
from envgen.lockers.conda_specs import is_cpu_build, parse_spec
from envgen.platforms import MACHINES, SUBDIRS


class CondaRow(msgspec.Struct, frozen=True, kw_only=True):
    """A package of conda's on one platform, as `conda_records.py` describes it."""

    platform: str
    name: str
    version: str
    url: str
    sha256: str
    build: str
    size: int | None
    python: bool

    @property
    def pypi(self) -> str:
        """Its name on PyPI; empty for what is no Python package."""
        return pypi_name(self.name, needs_python=self.python)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something in which a lock does not hold together."""

    platform: str
    what: str
    why: str


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer."""

    packages: tuple[CondaRow, ...]
    faults: tuple[Fault, ...]


def find_problems(records: Records, request: LockRequest) -> Iterator[Problem]:
    """Yield why a lock cannot be taken: faults in it, and CPU builds where CUDA is asked for."""
    key = f"images.{request.image}"
    for fault in records.faults:
        yield Problem(
            what=f"{NATIVE} does not hold together on {fault.platform}: {fault.what}",
            key=key,
            why=fault.why,
            fix="lock anew with `python -m envgen lock --upgrade`; what the file has was edited,\n"
            "or the program that solved for conda-lock is at fault",
        )
    if request.cuda:
        yield from _find_cpu_builds(records.packages, request)


def _find_cpu_builds(rows: Iterable[CondaRow], request: LockRequest) -> Iterator[Problem]:
    specs = [spec for text in request.conda if (spec := parse_spec(text))]
    chosen = {spec.name for spec in specs if spec.build}
    for row in rows:
        if row.name not in chosen and is_cpu_build(row.build):
            yield Problem(
                what=f"{row.name} {row.version} is a build without CUDA on {row.platform}",
                key=f"images.{request.image}.conda",
                why=f"its build is {row.build}, and the image asks for CUDA {request.cuda}",
                fix=f'ask for the build: conda = ["{row.name} * *cuda*"]',
            )


def describe(records: Records, request: LockRequest) -> tuple[LockedPackage, ...]:
    """Return conda's packages, sorted by name; those at one version on all platforms once."""
    groups: dict[tuple[str, str], dict[str, CondaRow]] = {}
    platforms = {SUBDIRS[platform]: platform for platform in request.platforms}
    for row in records.packages:
        groups.setdefault((row.name, row.version), {})[platforms[row.platform]] = row
    packages = [_describe(rows, len(platforms)) for rows in groups.values()]
    return tuple(sorted(packages, key=lambda package: (package.name, package.version)))


def _describe(rows: Mapping[str, CondaRow], platforms: int) -> LockedPackage:
    row = next(iter(rows.values()))
    archives = {platform: _artifact(found) for platform, found in rows.items()}
    machines = (f"platform_machine == '{MACHINES[platform]}'" for platform in rows)
    return LockedPackage(
        name=row.pypi or row.name,
        version=row.version,
        conda=row.name,
        wheels=tuple(dict.fromkeys(archives.values())),
        marker="" if len(rows) == platforms else " or ".join(machines),
        downloads=archives,
    )


def _artifact(row: CondaRow) -> Artifact:
    return Artifact(
        filename=row.url.rpartition("/")[2], url=row.url, sha256=row.sha256, size=row.size
    )
