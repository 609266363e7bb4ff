"""The health check of an image: what it runs, how often, and how long it may take."""

import math
from collections.abc import Mapping
from typing import Final

from envgen.lock.model import LockedImage
from envgen.plan.model import Decision, HealthCheck
from envgen.spec.model import Image

TIMEOUT_VARIABLE: Final = "ENVGEN_SELFTEST_TIMEOUT"

_MEASURED_S: Final[Mapping[str, float]] = {"": 3.5, "jax": 13.0, "tensorflow": 9.0, "torch": 12.0}
"""Seconds of one processor that the full test takes without a GPU, by framework; the first is for
NumPy and Python themselves (benchmarks/selftest.py prints them)."""

_MARGIN: Final = 10
"""How many times as long a container may take: a cold disk, a share of a core."""

_LEAST_S: Final = 60
_LEAST_WITH_GPU_S: Final = 240
"""Not measured: the work is done on each GPU, of which a machine may have eight."""

_RUNTIME_DEFAULT_S: Final = 120  # envgen_runtime.switches.limit_s

_INTERVAL_S: Final = 10
"""A probe takes tens of milliseconds of one core, so this costs a few thousandths of it. Docker
waits an interval before the first probe, which makes it the time to the first answer as well."""

_TIMEOUT_S: Final = 30
"""envgen_runtime.probe.WAIT_S, after which a probe answers `starting`, and five seconds more."""

_RETRIES: Final = 3


def plan_health(
    image: Image, locked: LockedImage, command: tuple[str, ...]
) -> tuple[HealthCheck, ...]:
    """Return the health check. Docker counts no failure while the full test may still run."""
    return (
        HealthCheck(
            command=command,
            interval_s=_INTERVAL_S,
            timeout_s=_TIMEOUT_S,
            start_period_s=_limit_s(image, locked) + _INTERVAL_S,
            retries=_RETRIES,
        ),
    )


def plan_limit(image: Image, locked: LockedImage) -> dict[str, str]:
    """Return the variable that limits the full test, where the runtime's own limit is another."""
    limit = _limit_s(image, locked)
    return {} if limit == _RUNTIME_DEFAULT_S else {TIMEOUT_VARIABLE: str(limit)}


def tests_at_start(image: Image) -> bool:
    """Return whether only the start of a container runs the full test."""
    return image.env.get("ENVGEN_SELFTEST_AT") == "start"


def _limit_s(image: Image, locked: LockedImage) -> int:
    given = image.env.get(TIMEOUT_VARIABLE, "")
    if given.isdecimal():
        return int(given)
    least = _LEAST_S if image.gpu is None else _LEAST_WITH_GPU_S
    return max(least, 10 * math.ceil(_MARGIN * _measured_s(locked) / 10))


def _measured_s(locked: LockedImage) -> float:
    return _MEASURED_S[""] + sum(_MEASURED_S.get(name, 0.0) for name in locked.frameworks)


def explain_health(image: Image, locked: LockedImage) -> tuple[Decision, ...]:
    """Return why the health check has its times, and where nobody runs it."""
    limit = _limit_s(image, locked)
    return (
        Decision(
            about="full test",
            choice="before the command" if tests_at_start(image) else "at the first probe",
            reason="ENVGEN_SELFTEST_AT says so, and no probe may test"
            if tests_at_start(image)
            else "once per start of a container; ENVGEN_SELFTEST_AT=start lets no probe test",
        ),
        Decision(
            about="health check",
            choice=f"every {_INTERVAL_S} s; no failure counts in the first {limit + _INTERVAL_S} s",
            reason=f"{TIMEOUT_VARIABLE} says {limit} s"
            if TIMEOUT_VARIABLE in image.env
            else f"the full test takes {_measured_s(locked):g} s of a processor without a GPU and "
            f"may take {limit} s; a later probe takes milliseconds",
        ),
        Decision(
            about="health check elsewhere",
            choice="the same command as a probe of your own",
            reason="Kubernetes and Amazon ECS do not look at HEALTHCHECK, and images in OCI format "
            "(buildah and podman without --format docker) lose it",
        ),
    )
