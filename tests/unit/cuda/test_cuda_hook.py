"""The hook refuses what NVIDIA's hook refuses."""

import pytest

from envgen.cuda.gpus import find_gpu
from envgen.cuda.hook import hook_lets_it_start
from envgen.cuda.host import Gpu, Host, Injection
from envgen.cuda.images import label_expressions
from envgen.cuda.requirement import Component, Requirement
from envgen.cuda.verdict import Kind, Outcome
from envgen.cuda.version import parse_version

UNNAMED = Gpu()


def image(cuda: str, *, disable_require: bool = False) -> Requirement:
    version = parse_version(cuda)
    return Requirement(
        name="image",
        components=(Component(name="image", cuda=version),),
        expressions=label_expressions("newest", version),
        disable_require=disable_require,
    )


def host(driver: str, injection: Injection = "hook") -> Host:
    return Host(driver=parse_version(driver), injection=injection)


def gpu(name: str) -> Gpu:
    found = find_gpu(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("cuda", "driver", "name"),
    [
        ("12.2", "535.129.03", "RTX 3090"),
        ("12.4", "535.129.03", "RTX 3090"),  # geforce is in the list up to 12.4
        ("12.8", "535.129.03", "A100"),
        ("13.0", "570.133.20", "H100"),
        ("10.0", "384.111", "V100"),
    ],
)
def test_container_starts(cuda: str, driver: str, name: str) -> None:
    assert hook_lets_it_start(image(cuda), host(driver), gpu(name)) is None


@pytest.mark.parametrize(
    ("cuda", "driver", "name"),
    [
        ("12.8", "535.129.03", "RTX 3090"),  # geforce left the list with 12.5
        ("12.9", "570.169", "RTX 4090"),
        ("13.0", "560.28.03", "H100"),  # branch not in the list
        ("10.0", "390.87", "V100"),
        ("11.8", "450.80.02", "T4"),  # left the list with a rebuild
    ],
)
def test_container_is_refused(cuda: str, driver: str, name: str) -> None:
    verdict = hook_lets_it_start(image(cuda), host(driver), gpu(name))
    assert verdict is not None
    assert verdict.kind == Kind.REQUIRE_CUDA_REFUSED
    assert f"cuda>={cuda}" in verdict.need
    assert driver in verdict.have
    assert verdict.fix


def test_cdi_does_not_enforce_the_requirement() -> None:
    assert hook_lets_it_start(image("12.9"), host("570.169", "cdi"), gpu("RTX 4090")) is None


def test_requirement_can_be_disabled_by_image_and_host() -> None:
    off = Host(driver=parse_version("570.169"), disable_require=True)
    assert hook_lets_it_start(image("12.9"), off, gpu("RTX 4090")) is None
    quiet = image("12.9", disable_require=True)
    assert hook_lets_it_start(quiet, host("570.169"), gpu("RTX 4090")) is None


def test_gpu_that_is_not_named_matters_only_where_brands_differ() -> None:
    assert hook_lets_it_start(image("12.2"), host("535.129.03"), UNNAMED) is None
    refused = hook_lets_it_start(image("12.9"), host("545.23.08"), UNNAMED)
    assert refused is not None
    assert refused.outcome == Outcome.FAILS
    depends = hook_lets_it_start(image("12.9"), host("570.169"), UNNAMED)
    assert depends is not None
    assert depends.outcome == Outcome.UNKNOWN
    assert "name the GPU" in depends.fix


def test_every_requirement_has_to_hold() -> None:
    both = Requirement(name="image", expressions=("cuda>=12.0", "arch>=9.0"))
    verdict = hook_lets_it_start(both, host("535.129.03"), gpu("A100"))
    assert verdict is not None
    assert "arch>=9.0" in verdict.need


def test_old_toolkit_sees_cuda_11_0_under_wsl2() -> None:
    preview = Host(driver=parse_version("465.42"), platform="wsl2", toolkit=parse_version("1.3.0"))
    assert hook_lets_it_start(image("11.1"), preview, gpu("RTX 2060")) is not None
    fixed = Host(driver=parse_version("465.42"), platform="wsl2", toolkit=parse_version("1.4.0"))
    assert hook_lets_it_start(image("11.1"), fixed, gpu("RTX 2060")) is None


def test_driver_that_is_only_known_by_its_cuda_is_its_branch() -> None:
    known_by_cuda = Host(cuda=parse_version("12.4"))  # branch 550
    assert hook_lets_it_start(image("12.8"), known_by_cuda, gpu("A100")) is None
    refused = hook_lets_it_start(image("12.8"), Host(cuda=parse_version("12.1")), gpu("A100"))
    assert refused is not None
    assert refused.kind is Kind.REQUIRE_CUDA_REFUSED


@pytest.mark.parametrize(("cuda", "refused"), [("12.6", False), ("12.9", True)])
def test_jetson_is_asked_for_its_cuda_alone(cuda: str, refused: bool) -> None:  # noqa: FBT001
    board = Host(cuda=parse_version("12.6"))
    verdict = hook_lets_it_start(image(cuda), board, gpu("Jetson AGX Orin"))
    assert (verdict is not None) is refused
