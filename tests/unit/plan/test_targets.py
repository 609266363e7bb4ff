"""What a lock means for the machines that an image may run on, and what deployments add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from envgen.errors import EnvgenError
from envgen.lock.model import LockedGpuCode
from envgen.plan.targets.deployments import merge_runs, object_name, plan_targets
from envgen.plan.targets.sagemaker import machine_images, plan_ami
from envgen.release.published import EMPTY
from envgen.spec.model import Run, Volume
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from envgen.lock.model import Lock, LockedImage
    from envgen.plan.targets.model import Targets
    from envgen.spec.model import Spec

DRIVER = "nvidia.com/cuda.driver-version"


def make_spec(gpu: dict[str, Any] | None, platforms: list[str] | None = None, **more: Any) -> Spec:
    image: dict[str, Any] = {
        "targets": ["kubernetes", "sagemaker"],
        "repository": "registry.example/train",
    }
    image |= {"command": ["train"]} | ({} if gpu is None else {"gpu": gpu})
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "defaults": {"platforms": platforms or ["linux/amd64"]},
        "images": {"train": {**image, **more}},
    }
    return parse_spec(document, file="envgen.toml")


def lock_with(lock: Lock, package: str, version: str, cuda: str) -> LockedImage:
    code = LockedGpuCode(package=package, version=version, cuda=cuda)
    return msgspec.structs.replace(lock.images["train"], gpu_code=(code,) if cuda else ())


@pytest.fixture
def plan(make_lock: Callable[[Spec], Lock]) -> Callable[..., Targets]:
    def make(cuda: str, gpu: dict[str, Any] | None, **more: Any) -> Targets:
        spec = make_spec(gpu, **more)
        locked = lock_with(make_lock(spec), "torch", "2.9.1", cuda)
        targets = plan_targets(spec, "train", locked, EMPTY)
        assert targets
        return targets

    return make


def terms(targets: Targets) -> list[dict[str, tuple[str, tuple[str, ...]]]]:
    return [
        {each.key: (each.operator, each.values) for each in term} for term in targets.gpu_affinity
    ]


def test_driver_of_the_cuda_is_asked_for_to_the_minor_number(plan: Callable[..., Targets]) -> None:
    newer, equal = terms(plan("12.8", {}))

    # CUDA 12 runs from 525.60.13 on.
    assert newer[f"{DRIVER}.major"] == ("Gt", ("525",))
    assert equal[f"{DRIVER}.major"] == ("In", ("525",))
    assert equal[f"{DRIVER}.minor"] == ("Gt", ("59",))


def test_driver_of_the_spec_wins_where_it_is_newer(plan: Callable[..., Targets]) -> None:
    (term,) = terms(plan("12.8", {"driver": ">=570"}))

    assert term[f"{DRIVER}.major"] == ("Gt", ("569",))


def test_gpus_without_code_in_the_packages_are_left_out(plan: Callable[..., Targets]) -> None:
    (term, *_) = terms(plan("13.0", {}))

    operator, values = term["nvidia.com/gpu.compute.major"]
    assert operator == "In"
    # CUDA 13 makes no code for Maxwell, Pascal and Volta: 5, 6 and 7.0, but for Turing: 7.5.
    assert {"7", "8", "9"} <= set(values)
    assert not {"5", "6"} & set(values)


def test_each_platform_has_terms_of_its_own(plan: Callable[..., Targets]) -> None:
    platforms = ["linux/amd64", "linux/arm64"]

    found = terms(plan("12.8", {"driver": ">=570"}, platforms=platforms))

    assert [term["kubernetes.io/arch"][1] for term in found] == [("amd64",), ("arm64",)]


def test_image_without_gpu_asks_for_a_processor_alone(plan: Callable[..., Targets]) -> None:
    targets = plan("", None, platforms=["linux/arm64"])

    assert terms(targets) == [{"kubernetes.io/arch": ("In", ("arm64",))}]
    assert targets.ami == ""


@pytest.mark.parametrize(
    ("cuda", "gpu", "ami"),
    [
        ("12.1", {}, "al2-ami-sagemaker-inference-gpu-2-1"),
        ("12.4", {}, "al2-ami-sagemaker-inference-gpu-3-1"),
        ("12.8", {}, "al2023-ami-sagemaker-inference-gpu-4-1"),
        ("12.1", {"driver": ">=550"}, "al2-ami-sagemaker-inference-gpu-3-1"),
        ("13.0", {}, "al2023-ami-sagemaker-inference-gpu-4-1"),
        ("12.1", {"driver": ">=595"}, ""),
    ],
)
def test_machine_image_is_the_first_whose_driver_supports_the_cuda(
    make_lock: Callable[[Spec], Lock], cuda: str, gpu: dict[str, Any], ami: str
) -> None:
    spec = make_spec(gpu)

    assert plan_ami(spec, "train", lock_with(make_lock(spec), "torch", "2.9.1", cuda)) == ami


def test_incomplete_row_of_machine_images_is_refused(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sagemaker.toml"
    path.write_text('ami = [{ version = "x", driver = "535" }]', encoding="utf-8")
    monkeypatch.setattr("envgen.plan.targets.sagemaker._FILE", path)
    machine_images.cache_clear()
    try:
        with pytest.raises(EnvgenError, match=r"sagemaker\.toml"):
            machine_images()
    finally:
        machine_images.cache_clear()


def test_deployment_adds_variables_and_volumes_and_replaces_the_rest() -> None:
    data = Volume(path="/data", size="1GB")
    run = Run(cpus="1", memory="1GB", gpus=2, env={"A": "1", "B": "1"}, volumes={"data": data})

    merged = merge_runs(run, Run(gpus=0, env={"B": "2"}, volumes={"more": data}))

    assert (merged.cpus, merged.memory, merged.gpus) == ("1", "1GB", 0)
    assert merged.env == {"A": "1", "B": "2"}
    assert list(merged.volumes) == ["data", "more"]
    assert merge_runs(run, None) is run


@pytest.mark.parametrize(
    ("text", "name"), [("Every.Thing", "every-thing"), ("a_b--c-", "a-b-c"), ("x", "x")]
)
def test_names_of_objects_are_labels(text: str, name: str) -> None:
    assert object_name(text) == name


def test_gpus_are_one_where_the_image_has_some(plan: Callable[..., Targets]) -> None:
    assert [each.gpus for each in plan("12.8", {}).deployments] == [1, 1, 1]
    assert [each.gpus for each in plan("", None).deployments] == [0, 0, 0]
