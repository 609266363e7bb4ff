"""The rules together: every kind of answer, each with need, have and fix."""

import pytest

from envgen.cuda.fleet import host_from_flags
from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Gpu, Host, Injection
from envgen.cuda.images import from_name
from envgen.cuda.judge import judge
from envgen.cuda.requirement import Component, Kernels, Requirement
from envgen.cuda.verdict import Kind, Outcome
from envgen.cuda.version import parse_version
from envgen.cuda.wheels import bundled_parts, describe_wheel


def wheel(package: str, version: str, cuda: str) -> Requirement:
    part = describe_wheel(package, version, parse_version(cuda))
    return Requirement(name=part.name, components=(part,))


def image(reference: str, cuda: str) -> Requirement:
    return from_name(reference, parse_version(cuda))


def host(driver: str, *gpus: str, injection: Injection = "hook") -> Host:
    return host_from_flags(driver, gpus, injection=injection)


@pytest.mark.parametrize(
    ("requirement", "machine"),
    [
        (wheel("torch", "2.9.1", "12.8"), host("525.60.13", "A100")),
        (wheel("torch", "2.9.1", "12.6"), host("580.65.06", "GTX 1080 Ti")),
        (wheel("torch", "1.4.0", "10.1"), host("455.32", "RTX 3090")),  # compiles PTX for minutes
        (wheel("torch", "1.13.0", "11.7"), host("460.73.01", "RTX 3090")),
        (image("nvidia/cuda:13.0.2-base", "13.0"), host("535.129.03", "A100")),
        (image("nvcr.io/nvidia/pytorch:23.08-py3", "12.2"), host("525.85.12", "RTX 3090")),
        (image("pytorch/pytorch:2.4.0-cuda12.4-cudnn9-runtime", "12.4"), host("535.54.03", "L4")),
        (wheel("jax", "0.4.31", "12.6"), host("535.154.05", "A100")),
        (wheel("tensorflow", "2.18.0", "12.5"), host("550.144.03", "A100")),
    ],
)
def test_it_runs(requirement: Requirement, machine: Host) -> None:
    verdict = judge(requirement, machine)
    assert verdict.outcome == Outcome.RUNS, verdict.reason
    assert verdict.kind is None
    assert verdict.need
    assert verdict.have


@pytest.mark.parametrize(
    ("requirement", "machine", "kind"),
    [
        (wheel("torch", "2.11.0", "13.0"), host("570.133.20", "H100"), Kind.DRIVER_TOO_OLD),
        (wheel("torch", "2.9.1", "13.0"), host("580.65.06", "V100"), Kind.NO_KERNEL_IMAGE),
        (wheel("torch", "2.11.0", "12.8"), host("580.65.06", "V100"), Kind.NO_KERNEL_IMAGE),
        (wheel("torch", "2.6.0", "12.4"), host("570.133.20", "RTX 5090"), Kind.NO_KERNEL_IMAGE),
        (wheel("torch", "1.12.1", "11.6"), host("535.104.12", "H100"), Kind.NO_KERNEL_IMAGE),
        (wheel("numba", "0.61", "12.9"), host("550.54.15", "T4"), Kind.PTX_TOOLCHAIN),
        (wheel("cupy-cuda11x", "9.0", "11.7"), host("470.57.02", "T4"), Kind.PTX_TOOLCHAIN),
        (wheel("tensorflow", "2.9.0", "11.2"), host("455.32", "RTX 3090"), Kind.PTX_TOOLCHAIN),
        (
            image("nvidia/cuda:12.8.1-base", "12.8"),
            host("535.247.01", "RTX 3090"),
            Kind.REQUIRE_CUDA_REFUSED,
        ),
        (
            image("nvidia/cuda:12.8.1-base", "12.8"),
            host("535.247.01", "RTX 3090", injection="cdi"),
            Kind.FORWARD_COMPAT_UNSUPPORTED_HW,
        ),
        (
            image("nvcr.io/nvidia/tritonserver:24.05-py3", "12.4"),
            host("470.256.02", "RTX 3090"),
            Kind.FORWARD_COMPAT_UNSUPPORTED_HW,
        ),
        (
            image("nvcr.io/nvidia/nemo:26.02", "13.1"),
            host("560.28.03", "H100"),
            Kind.DRIVER_TOO_OLD,
        ),
        (
            image("vllm/vllm-openai:v0.15.1", "12.9"),
            host("580.65.06", "H100"),
            Kind.FORWARD_COMPAT_MIXED,
        ),
        (image("nvidia/cuda:12.8.1-base", "12.8"), host("590.48.01", "P100"), Kind.OTHER),
    ],
)
def test_it_fails_with_the_kind_that_the_user_will_see(
    requirement: Requirement, machine: Host, kind: Kind
) -> None:
    verdict = judge(requirement, machine)
    assert verdict.kind == kind, verdict.reason
    assert verdict.need
    assert verdict.have
    assert verdict.fix
    assert verdict.rule


def test_what_is_not_known_is_named() -> None:
    verdict = judge(Requirement(name="x", components=(Component(name="app"),)), host("570.26"))
    assert verdict.outcome == Outcome.UNKNOWN
    assert "which CUDA app uses" in verdict.need


def test_mixed_host_is_judged_per_gpu() -> None:
    both = host("580.82.09", "RTX 5090", "V100")
    verdict = judge(wheel("torch", "2.9.1", "13.0"), both)
    assert verdict.outcome == Outcome.FAILS
    assert verdict.gpu == "V100"
    assert [(one.gpu, one.outcome) for one in verdict.per_gpu] == [
        ("RTX 5090", Outcome.RUNS),
        ("V100", Outcome.FAILS),
    ]


def test_failure_of_one_component_outweighs_what_is_not_known_of_another() -> None:
    parts = (
        Component(name="app"),
        Component(name="torch", cuda=parse_version("12.4"), builds=(Kernels(sass=((9, 0),)),)),
    )
    verdict = judge(Requirement(name="image", components=parts), host("570.26", "RTX 5090"))
    assert verdict.kind == Kind.NO_KERNEL_IMAGE


def test_image_without_cuda_runs_without_a_driver() -> None:
    assert judge(Requirement(name="slim"), Host()).outcome == Outcome.RUNS


def test_notes_tell_what_was_assumed() -> None:
    compiled = judge(wheel("torch", "1.4.0", "10.1"), host("455.32", "RTX 3090"))
    assert any("first start compiles" in note for note in compiled.notes)
    minor = judge(wheel("torch", "2.9.1", "12.8"), host("535.54.03", "A100"))
    assert any("minor-version compatibility" in note for note in minor.notes)
    unlisted = judge(image("example/app:1", "12.2"), host("535.54.03", "A100"))
    assert any("not in the tables" in note for note in unlisted.notes)


def test_newer_driver_never_makes_a_wheel_fail_on_the_same_gpu() -> None:
    requirement = wheel("torch", "2.9.1", "12.8")
    drivers = ["470.57.02", "525.60.13", "535.54.03", "570.26", "580.65.06", "595.45.04", "615.1"]
    outcomes = [judge(requirement, host(driver, "A100")).outcome for driver in drivers]
    first = outcomes.index(Outcome.RUNS)
    assert set(outcomes[first:]) == {Outcome.RUNS}


def test_every_gpu_and_driver_of_the_tables_gets_an_answer_without_network() -> None:
    gpus = [find_gpu(name) or Gpu() for name in ("K80", "V100", "RTX 3090", "H100", "RTX 5090")]
    drivers = ["367.48", "418.87", "470.57.02", "535.54.03", "570.26", "580.65.06", "595.45.04"]
    hosts = [Host(driver=parse_version(text), gpus=(gpu,)) for text in drivers for gpu in gpus]
    images = [
        image("nvidia/cuda", cuda) for cuda in ("8.0", "10.2", "11.8", "12.4", "12.9", "13.1")
    ]
    verdicts = [judge(one, machine) for one in images for machine in hosts]
    assert {verdict.outcome for verdict in verdicts} == {Outcome.RUNS, Outcome.FAILS}


def bundled(driver: str, name: str) -> str:
    parts = (
        describe_wheel("vllm", "0.11.0", parse_version("12.8")),
        *bundled_parts("vllm", "0.11.0", parse_version("12.8")),
    )
    verdict = judge(Requirement(name="vllm", components=parts), host(driver, name))
    return str(verdict.kind or verdict.outcome)


@pytest.mark.parametrize(
    ("driver", "name", "answer"),
    [
        ("550.144.03", "H100", "ptx-toolchain"),  # vllm-project/vllm#31700
        ("550.144.03", "A100", "runs"),
        ("550.144.03", "T4", "runs"),  # does without FlashAttention
        ("570.133.20", "H100", "runs"),
    ],
)
def test_bundled_part_decides_on_the_gpus_that_use_it(driver: str, name: str, answer: str) -> None:
    assert bundled(driver, name) == answer


def test_toolkit_that_does_not_know_the_gpu_cannot_compile_for_it() -> None:
    verdict = judge(wheel("cupy-cuda12x", "13.4.1", "12.6"), host("570.86.16", "RTX 5080"))
    assert verdict.kind is Kind.NO_KERNEL_IMAGE
    assert (
        judge(wheel("cupy-cuda12x", "13.4.1", "12.8"), host("570.86.16", "RTX 5080")).kind is None
    )
