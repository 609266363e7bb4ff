"""Code covers a GPU by membership, not by floors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envgen.cuda.drivers import Support
from envgen.cuda.forward_compat import Loaded
from envgen.cuda.gpu_code import (
    code_covers_gpu,
    covers,
    cudnn_covers_gpu,
    driver_compiles_ptx,
    sass_runs,
)
from envgen.cuda.host import Gpu, Host
from envgen.cuda.requirement import Component, Kernels, Requirement
from envgen.cuda.tables import tables
from envgen.cuda.verdict import Kind, Outcome
from envgen.cuda.version import Capability, parse_capability, parse_version

capabilities = st.sampled_from([parse_capability(row.capability) for row in tables().architectures])


@pytest.mark.parametrize(
    ("code", "gpu", "runs"),
    [
        ((8, 0), (8, 0), True),
        ((8, 0), (8, 6), True),
        ((8, 6), (8, 9), True),
        ((8, 6), (8, 0), False),
        ((7, 5), (8, 0), False),
        ((10, 0), (10, 3), True),
        ((12, 0), (12, 1), True),
        ((10, 0), (12, 0), False),
        ((8, 0), (8, 7), False),
        ((8, 7), (8, 9), False),
        ((7, 0), (7, 2), False),
        ((5, 2), (5, 3), False),
    ],
)
def test_finished_code_runs_within_its_major_version(
    code: Capability, gpu: Capability, *, runs: bool
) -> None:
    assert sass_runs(code, gpu, parse_version("12.8")) is runs


def test_cuda_13_2_lifts_the_exception_of_orin() -> None:
    assert not sass_runs((8, 0), (8, 7), parse_version("13.1"))
    assert sass_runs((8, 0), (8, 7), parse_version("13.2"))


@given(capabilities, capabilities)
def test_finished_code_never_crosses_a_major_version(code: Capability, gpu: Capability) -> None:
    if sass_runs(code, gpu, None):
        assert code[0] == gpu[0]
        assert code <= gpu


@given(st.lists(capabilities, max_size=4), st.lists(capabilities, max_size=3), capabilities)
def test_more_code_never_covers_less(
    sass: list[Capability], ptx: list[Capability], gpu: Capability
) -> None:
    less = Kernels(sass=tuple(sass))
    more = Kernels(sass=tuple(sass), ptx=tuple(ptx))
    assert covers(more, gpu, None) >= covers(less, gpu, None)


def part(cuda: str, *builds: Kernels, ptx_at_runtime: bool = False) -> Component:
    return Component(
        name="torch", cuda=parse_version(cuda), builds=builds, ptx_at_runtime=ptx_at_runtime
    )


def test_gpu_that_no_build_covers_fails() -> None:
    verdict = code_covers_gpu(part("12.4", Kernels(sass=((9, 0),))), Gpu(capability=(12, 0)))
    assert verdict is not None
    assert verdict.kind == Kind.NO_KERNEL_IMAGE
    assert "sm_120" in verdict.need
    assert "sm_90" in verdict.have


def test_one_build_of_several_is_enough() -> None:
    builds = (Kernels(sass=((7, 5),)), Kernels(sass=((7, 0),)))
    assert code_covers_gpu(part("12.8", *builds), Gpu(capability=(7, 0))) is None


@pytest.mark.parametrize(
    ("cuda", "capability"),
    [("12.4", (12, 0)), ("13.0", (7, 0)), ("12.0", (3, 7)), ("10.2", (8, 0)), ("7.0", (6, 1))],
)
def test_toolkit_that_cannot_make_code_for_the_gpu_fails(cuda: str, capability: Capability) -> None:
    assert code_covers_gpu(part(cuda), Gpu(capability=capability)) is not None


@pytest.mark.parametrize(
    ("cuda", "capability"),
    [("11.0", (8, 6)), ("12.8", (12, 1)), ("11.1", (8, 9)), ("12.9", (5, 0))],
)
def test_toolkit_that_can_make_code_for_the_gpu_passes(cuda: str, capability: Capability) -> None:
    assert code_covers_gpu(part(cuda), Gpu(capability=capability)) is None


def loaded(cuda: str) -> Loaded:
    version = parse_version(cuda)
    return Loaded(support=Support(low=version, high=version))


PTX_ONLY = Kernels(sass=((5, 2),), ptx=((5, 2),))
AMPERE = Gpu(name="A10", capability=(8, 6))


def test_driver_does_not_compile_ptx_of_a_newer_toolkit() -> None:
    verdict = driver_compiles_ptx(part("12.9", PTX_ONLY), AMPERE, loaded("12.8"), Host())
    assert verdict is not None
    assert verdict.kind == Kind.PTX_TOOLCHAIN


def test_driver_compiles_ptx_of_its_own_and_older_toolkits() -> None:
    for cuda in ("12.8", "12.1", "11.8"):
        assert driver_compiles_ptx(part(cuda, PTX_ONLY), AMPERE, loaded("12.8"), Host()) is None


def test_software_that_compiles_at_run_time_needs_the_driver_even_with_finished_code() -> None:
    jit = part("12.9", Kernels(sass=((8, 6),)), ptx_at_runtime=True)
    assert driver_compiles_ptx(jit, AMPERE, loaded("12.8"), Host()) is not None
    finished = part("12.9", Kernels(sass=((8, 6),)))
    assert driver_compiles_ptx(finished, AMPERE, loaded("12.8"), Host()) is None


def test_driver_newer_than_the_tables_may_compile_it_or_not() -> None:
    open_end = Loaded(support=Support(low=parse_version("13.4"), high=None))
    verdict = driver_compiles_ptx(part("13.9", PTX_ONLY), AMPERE, open_end, Host())
    assert verdict is not None
    assert verdict.outcome == Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("cudnn", "cuda", "capability", "fails"),
    [
        ("9.10.2.21", "12.8", (6, 1), False),
        ("9.28.0", "12.8", (6, 1), True),
        ("9.28.0", "12.8", (7, 5), False),
        ("9.24.0", "13.0", (7, 0), True),
        ("8.9.2", "11.8", (3, 7), False),
    ],
)
def test_cudnn_serves_gpus_from_some_capability_on(
    cudnn: str, cuda: str, capability: Capability, *, fails: bool
) -> None:
    requirement = Requirement(name="image", components=(part(cuda),), cudnn=parse_version(cudnn))
    assert (cudnn_covers_gpu(requirement, Gpu(capability=capability)) is not None) is fails
