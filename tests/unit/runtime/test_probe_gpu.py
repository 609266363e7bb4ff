"""The health check of an image that uses a GPU. No GPU here; a library stands in for NVML."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.runtime.conftest import Answer, Container, Machine

USES_CUDA = "required no\npackage torch 2.9.1\ncuda 12.8\n"
ON_A_MACHINE = """
import sys
sys.path.insert(0, {runtime!r})
from envgen_runtime import gpu, probe
look = gpu.look
gpu.look = lambda limit_s: look({root!r}, {library!r}, limit_s)
raise SystemExit(probe.probe())
"""


def ask(container: Container, requirement: str = USES_CUDA) -> None:
    (container.directory / "cuda.txt").write_text(requirement)


def probe_on(machine: Machine, container: Container, **environment: str) -> Answer:
    """Probe a container on a machine with an NVIDIA driver, after the full test has passed."""
    code = ON_A_MACHINE.format(
        runtime=str(container.directory), root=str(machine.root), library=str(machine.library)
    )
    said = {"FAKE_NVML": os.environ.get("FAKE_NVML", "")}
    return container.run_argv([sys.executable, "-S", "-c", code], **said, **environment)


@pytest.fixture
def given(machine: Machine) -> Machine:
    """Return a machine that has given its GPU to the container."""
    machine.load_driver()
    machine.add_devices()
    machine.answer("")
    return machine


def test_living_gpu_changes_nothing(given: Machine, container: Container) -> None:
    ask(container)
    answer = probe_on(given, container)
    assert answer.code == 0
    assert answer.first_line.startswith("healthy: ")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("init=18", "the driver was upgraded underneath"),
        ("sensor0=15", "a GPU has fallen off the bus: GPU-0"),
        ("count=2 sensor1=16", "a GPU needs a reset: GPU-1"),
    ],
)
def test_gpu_that_fails_later_is_unhealthy_in_one_line(
    given: Machine, container: Container, said: str, words: str
) -> None:
    ask(container)
    assert probe_on(given, container).code == 0
    given.answer(said)
    answer = probe_on(given, container)
    assert answer.code == 1
    assert answer.text.startswith(f"unhealthy: {words}")
    assert "; fix: " in answer.text
    assert answer.text.count("\n") == 1


def test_devices_that_go_away_are_unhealthy(given: Machine, container: Container) -> None:
    ask(container)
    assert probe_on(given, container).code == 0
    for path in (given.root / "dev").iterdir():
        path.unlink()
    assert "no GPU device (/dev/nvidia*)" in probe_on(given, container).first_line


@pytest.mark.parametrize(
    "requirement", ["required no\n", "required no\nmachine other\npackage torch\ncuda 12.8\n"]
)
def test_image_that_uses_no_cuda_does_not_ask(
    given: Machine, container: Container, requirement: str
) -> None:
    ask(container, requirement)
    given.answer("init=18")
    assert probe_on(given, container).code == 0


def test_switches_hold_for_the_gpu_too(given: Machine, container: Container) -> None:
    ask(container)
    given.answer("init=18")
    warned = probe_on(given, container, ENVGEN_SELFTEST="warn")
    assert warned.code == 0
    assert warned.text.startswith("not enforced (ENVGEN_SELFTEST=warn): unhealthy: the driver was")
    assert probe_on(given, container, ENVGEN_SELFTEST="off").code == 0


def test_container_without_gpu_is_healthy_unless_it_needs_one(container: Container) -> None:
    ask(container)
    assert container.run("probe").code == 0
    ask(container, "required yes\n")
    answer = container.run("probe")
    assert answer.code == 1
    assert answer.text.startswith("unhealthy: neither an NVIDIA driver nor a GPU device")


def test_verdict_holds_for_one_driver_and_these_gpus(
    given: Machine, container: Container, counted: Callable[[], int]
) -> None:
    ask(container)
    for _ in range(2):
        assert probe_on(given, container).code == 0
    once = counted()
    given.answer("driver=570")
    assert probe_on(given, container).code == 0
    assert counted() == 2 * once
    given.answer("count=2")
    assert probe_on(given, container).code == 0
    assert counted() == 3 * once
    assert len(container.verdicts()) == 3
