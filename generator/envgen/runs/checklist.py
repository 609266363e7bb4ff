"""The seven points of a run that can be repeated, and which of them a record holds."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from envgen.runs.record import find_missing

Answer = Literal["yes", "partly", "no"]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One of the seven.

    Attributes:
        name: What it is about.
        answer: Whether the record holds it.
        found: What it holds, in a line.
        fix: What would make it a yes; empty for one.

    """

    name: str
    answer: Answer
    found: str
    fix: str = ""


def check_run(run: Mapping[str, Any]) -> tuple[Point, ...]:
    """Return the seven points, in the order in which they explain most differences."""
    return tuple(check(run) for check in _CHECKS)


def _check_code(run: Mapping[str, Any]) -> Point:
    code = run.get("code", {})
    reason = find_missing(code)
    if reason:
        fix = "run it in a git repository, or set ENVGEN_REVISION to the commit"
        return Point(name="code", answer="no", found=reason, fix=fix)
    commit = str(code.get("commit", ""))[:12]
    unknown = find_missing(code.get("dirty"))
    if unknown:
        return Point(name="code", answer="partly", found=f"commit {commit}; {unknown}", fix="")
    if code.get("dirty"):
        found = f"commit {commit} with {code.get('changed_files', 0)} changed files"
        return Point(name="code", answer="partly", found=found, fix="commit before the run")
    return Point(name="code", answer="yes", found=f"commit {commit}, nothing changed")


def _check_environment(run: Mapping[str, Any]) -> Point:
    environment = run.get("environment", {})
    digest, lock = environment.get("image_digest"), environment.get("lock")
    if not find_missing(digest):
        return Point(name="environment", answer="yes", found=f"image {digest}")
    if not find_missing(lock):
        fix = (
            "start the image by its digest, with ENVGEN_IMAGE_DIGEST set, as rendered manifests do"
        )
        return Point(name="environment", answer="partly", found=f"lock {lock}", fix=fix)
    count = len(environment.get("packages", {}))
    found = f"the versions of {count} packages, and no lock"
    return Point(name="environment", answer="no", found=found, fix="run it in an image of envgen's")


def _check_data(run: Mapping[str, Any]) -> Point:
    data = [*_listed(run.get("data")), *_listed(run.get("data_told"))]
    fix = "name it: `envgen-run --data PATH`, or tell_data(name, version) in the program"
    if not data:
        return Point(name="data", answer="no", found="no data was named", fix=fix)
    open_ones = [each for each in data if any(find_missing(value) for value in each.values())]
    count = f"{len(data)} named"
    if open_ones:
        reasons = "; ".join(sorted(set(_reasons(open_ones))))
        found = f"{count}, {len(open_ones)} without a version: {reasons}"
        return Point(name="data", answer="partly", found=found, fix=fix)
    return Point(name="data", answer="yes", found=f"{count}, each with a version or a hash")


def _check_parameters(run: Mapping[str, Any]) -> Point:
    parameters = run.get("parameters", {})
    sources = []
    if parameters.get("arguments"):
        sources.append(f"{len(parameters['arguments'])} arguments")
    if parameters.get("files"):
        sources.append(f"{len(parameters['files'])} files")
    if parameters.get("told"):
        sources.append(f"{sum(len(t.get('values', {})) for t in parameters['told'])} values told")
    if not sources:
        fix = "`envgen-run --parameters FILE`, or tell_parameters(...) in the program"
        found = "the command has no arguments, and no file was named"
        return Point(name="parameters", answer="partly", found=found, fix=fix)
    return Point(name="parameters", answer="yes", found=", ".join(sources))


def _check_seeds(run: Mapping[str, Any]) -> Point:
    seeds = run.get("seeds")
    reason = find_missing(seeds)
    if reason or not seeds:
        fix = "call envgen_runtime.seed_everything(seed) first thing"
        return Point(name="seeds", answer="no", found=reason, fix=fix)
    listed = ", ".join(
        f"{seed.get('seed')} for {', '.join(seed.get('generators', ()))} at {seed.get('where')}"
        for seed in _listed(seeds)[:3]
    )
    return Point(name="seeds", answer="yes", found=listed)


def _check_determinism(run: Mapping[str, Any]) -> Point:
    determinism = run.get("determinism", {})
    reason = find_missing(determinism) or find_missing(determinism.get("mode"))
    if reason:
        fix = 'run it in an image with `determinism = "strict"`'
        return Point(name="determinism", answer="no", found=reason, fix=fix)
    mode, verdict = determinism.get("mode"), determinism.get("verdict")
    untested = find_missing(verdict)
    if mode == "strict" and not untested and str(verdict).startswith("healthy"):
        return Point(name="determinism", answer="yes", found=f"strict; {verdict}")
    fix = "let the health check run once before the work: ENVGEN_SELFTEST_AT=start"
    if mode != "strict":
        fix = 'set `determinism = "strict"` in the spec'
    found = f"{mode}; {untested or verdict}"
    return Point(name="determinism", answer="partly", found=found, fix=fix)


def _check_hardware(run: Mapping[str, Any]) -> Point:
    hardware = run.get("hardware", {})
    reason = find_missing(hardware)
    if reason:
        return Point(name="hardware", answer="no", found=reason)
    gpus = hardware.get("gpus")
    absent = find_missing(gpus)
    names = absent or ", ".join(gpu.get("name", "") for gpu in _listed(gpus))
    cpu = find_missing(hardware.get("cpu")) or hardware.get("cpu")
    return Point(name="hardware", answer="yes", found=f"{cpu}; {names}")


_CHECKS: Final[tuple[Callable[[Mapping[str, Any]], Point], ...]] = (
    _check_code,
    _check_data,
    _check_parameters,
    _check_seeds,
    _check_environment,
    _check_determinism,
    _check_hardware,
)


def _listed(value: object) -> list[dict[str, Any]]:
    return value if isinstance(value, list) else []


def _reasons(data: list[dict[str, Any]]) -> Iterator[str]:
    for each in data:
        yield from filter(None, map(find_missing, each.values()))
