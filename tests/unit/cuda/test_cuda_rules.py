"""Driver rules: does it drive the GPU, is it new enough for the runtime."""

import pytest

from envgen.cuda.drivers import supported_cuda
from envgen.cuda.forward_compat import Loaded
from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Gpu, Host, Platform
from envgen.cuda.requirement import Component
from envgen.cuda.rules import driver_drives_gpu, driver_support, runtime_fits
from envgen.cuda.verdict import Kind, Outcome, Verdict
from envgen.cuda.version import parse_version


def host(driver: str, platform: Platform = "linux") -> Host:
    return Host(driver=parse_version(driver), platform=platform)


def gpu(name: str) -> Gpu:
    found = find_gpu(name)
    assert found is not None
    return found


def fits(cuda: str, driver: str, platform: Platform = "linux") -> Verdict | None:
    machine = host(driver, platform)
    support = supported_cuda(machine)
    assert support is not None
    part = Component(name="torch", cuda=parse_version(cuda))
    return runtime_fits(part, machine, Loaded(support=support))


@pytest.mark.parametrize(
    ("driver", "name", "kind"),
    [
        ("550.54.15", "RTX 5090", Kind.DRIVER_TOO_OLD),
        ("565.57.01", "B200", Kind.DRIVER_TOO_OLD),
        ("440.33.01", "A100", Kind.DRIVER_TOO_OLD),
        ("590.48.01", "GTX 1080 Ti", Kind.OTHER),
        ("595.45.04", "V100", Kind.OTHER),
        ("495.29.05", "K80", Kind.OTHER),
    ],
)
def test_driver_does_not_drive_the_gpu(driver: str, name: str, kind: Kind) -> None:
    verdict = driver_drives_gpu(host(driver), gpu(name))
    assert verdict is not None
    assert verdict.kind == kind
    assert verdict.need
    assert verdict.fix


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("570.124.06", "RTX 5090"),
        ("580.65.06", "V100"),
        ("580.65.06", "GTX 1080 Ti"),
        ("470.256.02", "K80"),
        ("367.48", "GTX 1080"),
        ("540.4.0", "Jetson AGX Orin"),
    ],
)
def test_driver_drives_the_gpu(driver: str, name: str) -> None:
    assert driver_drives_gpu(host(driver), gpu(name)) is None


@pytest.mark.parametrize(
    ("cuda", "driver", "platform"),
    [
        ("12.2", "535.129.03", "linux"),
        ("11.8", "580.65.06", "linux"),  # older toolkit, newer driver
        ("12.9", "525.60.13", "linux"),  # the floor of 12.x
        ("12.9", "525", "linux"),
        ("11.8", "450.80.02", "linux"),
        ("11.0", "450.36.06", "linux"),
        ("13.2", "580.65.06", "linux"),
        ("10.1", "418.39", "linux"),
        ("8.0", "367.48", "linux"),
        ("12.3", "528.33", "wsl2"),
        ("11.8", "452.39", "windows"),
    ],
)
def test_runtime_fits_the_driver(cuda: str, driver: str, platform: Platform) -> None:
    assert fits(cuda, driver, platform) is None


@pytest.mark.parametrize(
    ("cuda", "driver", "platform"),
    [
        ("12.0", "520.61.05", "linux"),  # next major version
        ("12.1", "525.53", "linux"),  # a release below the floor of its branch
        ("11.1", "450.51.06", "linux"),  # 11.0's driver, below the floor of 11.x
        ("13.0", "575.57.08", "linux"),
        ("10.2", "418.87.01", "linux"),  # no slack before 11
        ("9.2", "390.46", "linux"),
        ("8.0", "367.35", "linux"),  # not even within a minor version
        ("12.3", "522.25", "windows"),
    ],
)
def test_runtime_needs_a_newer_driver(cuda: str, driver: str, platform: Platform) -> None:
    verdict = fits(cuda, driver, platform)
    assert verdict is not None
    assert verdict.kind == Kind.DRIVER_TOO_OLD
    assert f"CUDA {cuda}" in verdict.need
    assert driver in verdict.have
    assert verdict.fix


def test_cuda_that_is_not_known_is_not_guessed() -> None:
    machine = host("535.129.03")
    support = supported_cuda(machine)
    assert support is not None
    verdict = runtime_fits(Component(name="app"), machine, Loaded(support=support))
    assert verdict is not None
    assert verdict.outcome == Outcome.UNKNOWN


def test_next_major_version_of_cuda_is_unknown_on_a_driver_newer_than_the_tables() -> None:
    verdict = fits("14.0", "615.71.09")
    assert verdict is not None
    assert verdict.outcome == Outcome.UNKNOWN
    assert "CUDA 14" in verdict.fix


def test_component_may_ask_for_more_than_its_toolkit() -> None:
    part = Component(name="cuDNN", cuda=parse_version("12.8"), driver_floor=parse_version("570.26"))
    machine = host("535.129.03")
    support = supported_cuda(machine)
    assert support is not None
    verdict = runtime_fits(part, machine, Loaded(support=support))
    assert verdict is not None
    assert "570.26" in verdict.need


def test_host_without_a_driver_is_unknown() -> None:
    verdict = driver_support(Host())
    assert isinstance(verdict, Verdict)
    assert verdict.outcome == Outcome.UNKNOWN


def test_fault_of_the_host_comes_first() -> None:
    verdict = driver_support(Host(driver=parse_version("580"), faults=("no kernel module",)))
    assert isinstance(verdict, Verdict)
    assert verdict.kind == Kind.OTHER
    assert "no kernel module" in verdict.have
