"""The right libcuda is loaded, or the right error is foreseen."""

import pytest

from envgen.cuda.drivers import supported_cuda
from envgen.cuda.forward_compat import Loaded, loaded_driver
from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Gpu, Host, Injection, Platform
from envgen.cuda.requirement import Compat, CompatLoading, Requirement
from envgen.cuda.verdict import Kind, Outcome, Verdict
from envgen.cuda.version import parse_version


def ask(
    cuda: str,
    driver: str,
    gpu: str = "A100",
    *,
    loading: CompatLoading = "toolkit",
    injection: Injection = "hook",
    platform: Platform = "linux",
    toolkit: str = "1.17.8",
) -> Loaded | Verdict:
    host = Host(
        driver=parse_version(driver),
        injection=injection,
        platform=platform,
        toolkit=parse_version(toolkit),
    )
    requirement = Requirement(
        name="image", compat=Compat(cuda=parse_version(cuda), loading=loading)
    )
    support = supported_cuda(host)
    assert support is not None
    return loaded_driver(requirement, host, find_gpu(gpu) or Gpu(), support)


def cuda_of(found: Loaded | Verdict) -> tuple[str, bool]:
    assert isinstance(found, Loaded)
    return str(found.support), found.from_image


def kind_of(found: Loaded | Verdict) -> Kind | None:
    assert isinstance(found, Verdict)
    return found.kind


@pytest.mark.parametrize("loading", ["toolkit", "entrypoint", "always"])
def test_datacenter_gpu_on_a_listed_branch_gets_the_newer_library(loading: CompatLoading) -> None:
    assert cuda_of(ask("13.0", "535.129.03", loading=loading)) == ("13.0", True)


@pytest.mark.parametrize("gpu", ["RTX 3090", "TITAN RTX", "RTX A6000"])
@pytest.mark.parametrize("loading", ["toolkit", "always"])
def test_other_gpus_get_error_804(gpu: str, loading: CompatLoading) -> None:
    found = ask("12.4", "535.129.03", gpu, loading=loading)
    assert kind_of(found) == Kind.FORWARD_COMPAT_UNSUPPORTED_HW


def test_entrypoint_falls_back_to_the_host_where_its_library_does_not_work() -> None:
    found = ask("12.4", "535.129.03", "RTX 3090", loading="entrypoint")
    assert cuda_of(found) == ("12.2", False)
    assert isinstance(found, Loaded)
    assert found.instead is not None
    assert found.instead.kind == Kind.FORWARD_COMPAT_UNSUPPORTED_HW


def test_older_library_is_left_alone_by_the_toolkit() -> None:
    assert cuda_of(ask("12.4", "580.65.06", "RTX 3090")) == ("13.0", False)


def test_older_library_in_the_loader_path_is_error_803_on_every_gpu() -> None:
    for gpu in ("A100", "RTX 3090"):
        assert kind_of(ask("13.0", "595.45.04", gpu, loading="always")) == Kind.FORWARD_COMPAT_MIXED


def test_library_of_the_same_branch_is_not_needed() -> None:
    assert cuda_of(ask("12.8", "570.133.20", loading="always")) == ("12.8", False)


def test_branch_that_the_package_does_not_list() -> None:
    assert cuda_of(ask("13.1", "560.28.03")) == ("12.6", False)
    assert kind_of(ask("13.1", "560.28.03", loading="always")) == Kind.FORWARD_COMPAT_MIXED


@pytest.mark.parametrize("injection", ["hook", "cdi"])
def test_both_ways_into_the_container_load_it(injection: Injection) -> None:
    assert cuda_of(ask("12.9", "570.133.20", injection=injection)) == ("12.9", True)


def test_nothing_loads_it_outside_a_container_under_wsl2_or_with_toolkit_1_17_4() -> None:
    assert cuda_of(ask("12.9", "570.133.20", injection="none")) == ("12.8", False)
    assert cuda_of(ask("12.9", "576.02", platform="wsl2")) == ("12.9", False)
    assert cuda_of(ask("12.9", "570.133.20", toolkit="1.17.4")) == ("12.8", False)


def test_unnamed_gpu_is_not_guessed() -> None:
    found = ask("12.9", "570.133.20", "")
    assert isinstance(found, Verdict)
    assert found.outcome == Outcome.UNKNOWN


def test_library_is_ignored_where_nothing_loads_it() -> None:
    assert cuda_of(ask("12.9", "570.133.20", "RTX 4090", loading="never")) == ("12.8", False)


def test_image_without_the_package_uses_the_host() -> None:
    host = Host(driver=parse_version("535.129.03"))
    support = supported_cuda(host)
    assert support is not None
    found = loaded_driver(Requirement(name="slim"), host, Gpu(), support)
    assert cuda_of(found) == ("12.2", False)


@pytest.mark.parametrize(
    ("cuda", "driver", "gpu"),
    [("11.8", "470.182.03", "K80"), ("13.1", "535.129.03", "V100")],
)
def test_newer_library_that_no_longer_drives_the_gpu_finds_no_device(
    cuda: str, driver: str, gpu: str
) -> None:
    found = ask(cuda, driver, gpu)
    assert kind_of(found) is Kind.OTHER
    assert isinstance(found, Verdict)
    assert "no device" in found.need


def test_library_of_the_last_branch_for_a_gpu_still_drives_it() -> None:
    assert cuda_of(ask("13.0", "535.129.03", "V100")) == ("13.0", True)
