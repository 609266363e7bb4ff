"""Refresh presets/data/cuda/defaults.toml: the CUDA of the wheels that PyPI serves.

    python generator/bin/update_cuda_defaults.py            # shows the difference
    python generator/bin/update_cuda_defaults.py --write

For each release without a row pip is asked what it would install, without dependencies: the
metadata tells (`cuda-toolkit==13.0.2`, `nvidia-cuda-runtime-cu12==12.8.90`), and a wheel without
such a dependency is a CPU build. Nothing is installed.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from packaging.requirements import Requirement

from envgen.cuda.refresh import ask, replace_rows, update
from envgen.cuda.tables import FOLDER, IndexDefault, tables
from envgen.cuda.version import parse_version
from envgen.errors import ToolError

FILE: Final = "defaults.toml"
MACHINES: Final = ("x86_64", "aarch64")
PYTHON: Final = "3.12"
_RUNTIME: Final = re.compile(r"cuda-toolkit|nvidia-cuda-runtime(?:-cu\d+)?")


def parse_versions(text: str) -> tuple[str, ...]:
    """Return the releases in the output of `pip index versions`, newest first."""
    line = re.search(r"Available versions: (.*)", text)
    return tuple(re.findall(r"\d+(?:\.\d+)+", line[1])) if line else ()


def read_cuda(report: Mapping[str, Any], machine: str) -> str:
    """Return the CUDA of the one wheel in a report of pip; empty for a CPU build."""
    (install,) = report["install"]
    required = map(Requirement, install["metadata"].get("requires_dist", ()))
    where = {"platform_machine": machine, "platform_system": "Linux", "sys_platform": "linux"}
    for requirement in required:
        here = requirement.marker is None or requirement.marker.evaluate({**where, "extra": ""})
        version = re.search(r"==(\d+\.\d+)", str(requirement.specifier))
        if here and version and _RUNTIME.fullmatch(requirement.name):
            return version[1]
    return ""


def new_releases(package: str, versions: Iterable[str]) -> tuple[str, ...]:
    """Return the releases of a package that are newer than its newest row."""
    known = [parse_version(row.version) for row in tables().defaults if row.package == package]
    return tuple(v for v in versions if parse_version(v) > max(known))


def make_row(package: str, version: str, cudas: Mapping[str, str], day: str) -> IndexDefault | None:
    """Return the row of a release from the CUDA for each processor; None for a CPU release."""
    machines = tuple(machine for machine in MACHINES if cudas.get(machine))
    if not machines:
        return None
    return IndexDefault(
        package=package,
        version=version,
        cuda=cudas[machines[0]],
        machines=machines,
        source=f"PyPI metadata of {package} {version}, {day}",
        verified=True,
    )


def fetch(package: str, version: str, machine: str) -> Mapping[str, Any]:
    """Ask pip what it would install on a processor."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-"),
        *("--no-deps", "--ignore-installed", "--only-binary", ":all:", "--target", "unused"),
        *("--python-version", PYTHON, "--platform", f"manylinux_2_28_{machine}"),
        f"{package}=={version}",
    ]
    return msgspec.json.decode(ask(command), type=dict[str, Any])


def main() -> int:
    """Show what changed, or write it; 1 where the index names no releases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    day = datetime.now(UTC).date().isoformat()
    rows: list[IndexDefault] = []
    for package in dict.fromkeys(row.package for row in tables().defaults):
        listed = ask([sys.executable, "-m", "pip", "index", "versions", package])
        versions = parse_versions(listed)
        if not versions:
            print(f"{package}: the index names no releases", file=sys.stderr)
            return 1
        for version in new_releases(package, versions):
            row = make_row(package, version, _cudas(package, version), day)
            rows += [row] if row else []
        rows += [row for row in tables().defaults if row.package == package]
    text = replace_rows((FOLDER / FILE).read_text("utf-8"), "default", rows)
    sys.stdout.write(update(FILE, text, write=arguments.write))
    return 0


def _cudas(package: str, version: str) -> dict[str, str]:
    found = {}
    for machine in MACHINES:
        try:
            found[machine] = read_cuda(fetch(package, version, machine), machine)
        except ToolError as error:  # no wheel for this processor
            print(f"{package} {version} on {machine}: {error}", file=sys.stderr)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
