"""The commands for people: run, record, compare, matrix, cost, explain."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from envgen_runtime import __version__, compare, cost, matrix
from envgen_runtime.arguments import make_parser
from envgen_runtime.frameworks import FRAMEWORKS, found, location
from envgen_runtime.fulltest import WorkerError, run_worker
from envgen_runtime.fulltest import run as run_full_test
from envgen_runtime.record import (
    FingerprintError,
    make_fingerprint,
    read_fingerprints,
    write_fingerprint,
)
from envgen_runtime.state import VARIABLES, container_start, lock_hash, open_store
from envgen_runtime.switches import SwitchError, limit_s, memory_mib, mode, tested_at
from envgen_runtime.table import JSON

NO_ANSWER = 2
"""Exit code of a command that cannot tell: as of grep and diff, and of argparse."""


def obey(arguments: Sequence[str]) -> int:
    """Run a command for people and return its exit code."""
    given = make_parser().parse_args(arguments)
    verbs: dict[str, Callable[..., int]] = {
        "run": run,
        "record": record,
        "compare": compare_files,
        "matrix": make_matrix,
        "cost": measure_cost,
        "explain": explain,
    }
    options = vars(given)
    verb = verbs[options.pop("verb")]
    try:
        return verb(**options)
    except (SwitchError, FingerprintError, OSError) as error:
        print(error, file=sys.stderr)
        return NO_ANSWER


def run(*, against: str | None, as_json: bool) -> int:
    """Test now and print the report. The verdict that probes answer with stays as it is."""
    before = _read_one(against) if against else None
    report = run_full_test(limit_s())
    document = report.document
    comparison = compare.compare(before, make_fingerprint(document)) if before else None
    if as_json:
        _print_json({**document, "comparison": comparison} if comparison else document)
    else:
        print(report.text)
        for framework in document["frameworks"]:
            _print_framework(framework)
        if comparison:
            print(f"\nagainst {against}: {compare.describe(comparison)}")
    sound = comparison is None or compare.is_sound(comparison)
    return 0 if document["healthy"] and sound else 1


def record(*, output: str | None, name: str) -> int:
    """Test now and write the fingerprint; a machine that is not healthy has one as well."""
    report = run_full_test(limit_s())
    line = write_fingerprint(make_fingerprint(report.document, name)) + "\n"
    if output is None or output == "-":
        sys.stdout.write(line)
    else:
        with open(output, "w", encoding="utf-8") as file:
            file.write(line)
    print(report.text, file=sys.stderr)
    return 0 if report.document["healthy"] else 1


def compare_files(*, files: Sequence[str], exact: bool, form: str) -> int:
    """Say what changed between two fingerprints."""
    before, after = (_read_one(path) for path in files)
    comparison = compare.compare(before, after)
    if form == JSON:
        _print_json({"verdict": compare.conclude(comparison), **comparison})
    else:
        print(compare.describe(comparison, form))
    if not compare.has_common(comparison):
        return NO_ANSWER
    return 0 if compare.is_sound(comparison, exact=exact) else 1


def make_matrix(*, files: Sequence[str], form: str) -> int:
    """Find the odd one out among many fingerprints."""
    fingerprints = [one for path in files or ["-"] for one in read_fingerprints(path)]
    if not fingerprints:
        raise FingerprintError("there is no fingerprint to compare")
    made = matrix.make_matrix(fingerprints)
    if form == JSON:
        _print_json({"verdict": matrix.conclude(made), **made})
    else:
        print(matrix.describe(made, form))
    return 0 if matrix.is_sound(made) else 1


def measure_cost(*, form: str) -> int:
    """Measure what the frameworks' deterministic mode costs here."""
    measured = cost.measure()
    if form == JSON:
        _print_json(measured)
    else:
        print(cost.describe(measured, form))
    return 0 if measured["rows"] else NO_ANSWER


def explain() -> int:
    """Print what a probe would do here, and why, without testing anything."""
    print(f"envgen_runtime {__version__}, Python {sys.version.split()[0]}, {sys.executable}")
    print(
        f"ENVGEN_SELFTEST: {mode()}; the full test may take {limit_s():g} s and "
        f"{memory_mib():g} MiB, and begins at the {_BEGINNINGS[tested_at()]}"
    )
    print(f"lock: {lock_hash() or 'not known, this is no image of envgen'}")
    print(f"this start of the container: {container_start() or 'unknown'}")
    _explain_verdict()
    for name in found():
        _explain_framework(name)
    missing = [name for name in FRAMEWORKS if location(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
    print("environment variables that can change a result:")
    for name in VARIABLES:
        print(f"  {name}={os.environ[name]}" if name in os.environ else f"  {name} is not set")
    print(_IGNORED)
    return 0


_BEGINNINGS = {"probe": "first probe", "start": "start, before the command"}

_IGNORED = """\
the health check is not seen by Kubernetes and Amazon ECS, and images in OCI format (buildah and
podman without --format docker) lose it: give them the command of the image's HEALTHCHECK"""


def _explain_verdict() -> None:
    from envgen_runtime.probe import look_at_gpus

    fault, gpus = look_at_gpus(5.0)
    if gpus:
        print(f"driver and GPUs: {gpus}")
    if fault:
        print(f"GPU: {fault}")
    store, reason = open_store(gpus)
    if store is None:
        print(f"verdict: cannot be kept ({reason}), every probe tests anew")
    else:
        print(f"verdict: {(store.read() or 'none yet').partition(chr(10))[0]}")
        print(f"kept in: {store.path}")


def _read_one(path: str) -> dict[str, Any]:
    found = read_fingerprints(path)
    if len(found) != 1:
        raise FingerprintError(f"{path}: one fingerprint is wanted, there are {len(found)}")
    return found[0]


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def _print_framework(framework: dict[str, Any]) -> None:
    print(f"{framework['name']} {framework.get('version', '')}: {framework['error'] or 'tested'}")
    for work in framework["workloads"]:
        digest, seconds = work.get("sha256", "-")[:16], work.get("seconds", 0.0)
        print(
            f"  {work['device']:8} {work['name']:26} {digest:16} {seconds:8.4f} s  {work['status']}"
        )
    for control, outcome in framework.get("controls", {}).items():
        print(f"  control: {control}: {outcome}")


def _explain_framework(name: str) -> None:
    print(f"{name}: {location(name) or 'always tested'}")
    try:
        here = run_worker(name, conditions=(), deadline=time.monotonic() + limit_s())
    except WorkerError as error:
        print(f"  {error}")
        return
    print(f"  version {here['version']}")
    for device, description in here["devices"].items():
        names = [work["name"] for work in here["workloads"] if work["device"] == device]
        print(f"  {device} ({description}): {'; '.join(names)}")
