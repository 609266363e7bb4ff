"""The commands for people: run and explain."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from envgen_runtime import __version__
from envgen_runtime.frameworks import FRAMEWORKS, found, location
from envgen_runtime.fulltest import WorkerError, run_worker
from envgen_runtime.fulltest import run as run_full_test
from envgen_runtime.state import VARIABLES, container_start, open_store
from envgen_runtime.switches import SwitchError, limit_s, mode


def run(*, as_json: bool) -> int:
    """Test now and print the report. The verdict that probes answer with stays as it is."""
    try:
        report = run_full_test(limit_s())
    except SwitchError as error:
        print(error, file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(report.document, indent=2))
    else:
        print(report.text)
        for framework in report.document["frameworks"]:
            _print_framework(framework)
    return 0 if report.document["healthy"] else 1


def explain() -> int:
    """Print what a probe would do here, and why, without testing anything."""
    print(f"envgen_runtime {__version__}, Python {sys.version.split()[0]}, {sys.executable}")
    try:
        print(f"ENVGEN_SELFTEST: {mode()}; the full test may take {limit_s():g} s")
    except SwitchError as error:
        print(error)
        return 1
    print(f"this start of the container: {container_start() or 'unknown'}")
    store, reason = open_store()
    if store is None:
        print(f"verdict: cannot be kept ({reason}), every probe tests anew")
    else:
        print(f"verdict: {(store.read() or 'none yet').partition(chr(10))[0]}")
        print(f"kept in: {store.path}")
    for name in found():
        _explain_framework(name)
    missing = [name for name in FRAMEWORKS if location(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
    print("environment variables that can change a result:")
    for name in VARIABLES:
        print(f"  {name}={os.environ[name]}" if name in os.environ else f"  {name} is not set")
    return 0


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
        here = run_worker(name, passes=0, deadline=time.monotonic() + limit_s())
    except WorkerError as error:
        print(f"  {error}")
        return
    print(f"  version {here['version']}")
    for device, description in here["devices"].items():
        names = [work["name"] for work in here["workloads"] if work["device"] == device]
        print(f"  {device} ({description}): {'; '.join(names)}")
