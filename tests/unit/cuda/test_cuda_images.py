"""An image's requirement comes from its configuration, or from its name."""

import pytest

from envgen.cuda.images import (
    LOOSE,
    find_family,
    from_environment,
    from_name,
    label_expressions,
    ngc_cuda,
    require_expressions,
)
from envgen.cuda.version import parse_version

CUDA_12_8 = {
    "CUDA_VERSION": "12.8.1",
    "NVIDIA_REQUIRE_CUDA": "cuda>=12.8 brand=tesla,driver>=535,driver<536",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64:/usr/local/cuda/lib64",
}


def test_configuration_of_an_nvidia_image() -> None:
    requirement = from_environment("app", CUDA_12_8)
    assert requirement.expressions == (CUDA_12_8["NVIDIA_REQUIRE_CUDA"],)
    assert str(requirement.system_cuda) == "12.8.1"
    assert requirement.compat is not None
    assert requirement.compat.loading == "toolkit"


def test_cuda_version_alone_is_a_requirement() -> None:
    assert require_expressions({"CUDA_VERSION": "12.4.1"}) == ("cuda>=12.4",)


def test_jetpack_requirements_do_not_count_and_others_are_all_needed() -> None:
    environment = {
        "NVIDIA_REQUIRE_JETPACK": "x",
        "NVIDIA_REQUIRE_JETPACK_HOST_MOUNTS": "y",
        "NVIDIA_REQUIRE_ARCH": "arch>=8.0",
        "NVIDIA_REQUIRE_CUDA": "cuda>=12.0",
    }
    assert require_expressions(environment) == ("arch>=8.0", "cuda>=12.0")


@pytest.mark.parametrize(
    ("value", "disabled"),
    [("1", True), ("true", True), ("TRUE", True), ("0", False), ("yes", False)],
)
def test_disable_require_is_a_go_boolean(value: str, *, disabled: bool) -> None:
    environment = CUDA_12_8 | {"NVIDIA_DISABLE_REQUIRE": value}
    assert from_environment("app", environment).disable_require is disabled


def test_compat_in_the_loader_path_is_always_loaded() -> None:
    environment = CUDA_12_8 | {"LD_LIBRARY_PATH": "/usr/local/cuda-12.8/compat:/usr/lib"}
    compat = from_environment("app", environment).compat
    assert compat is not None
    assert compat.loading == "always"


def test_ngc_start_script_decides_about_compat() -> None:
    environment = CUDA_12_8 | {"_CUDA_COMPAT_PATH": "/usr/local/cuda/compat"}
    compat = from_environment("nemo", environment).compat
    assert compat is not None
    assert compat.loading == "entrypoint"


def test_image_without_cuda_requires_nothing() -> None:
    requirement = from_environment("slim", {"PATH": "/usr/bin"})
    assert requirement.components == ()
    assert requirement.expressions == ()
    assert requirement.compat is None


@pytest.mark.parametrize(
    ("reference", "label", "compat"),
    [
        ("nvidia/cuda:12.8.1-base-ubuntu24.04", "newest", "toolkit"),
        ("docker.io/nvidia/cuda@sha256:00", "newest", "toolkit"),
        ("nvcr.io/nvidia/cuda:12.8.1-base", "newest", "toolkit"),
        ("nvcr.io/nvidia/pytorch:24.05-py3", "loose", "entrypoint"),
        ("pytorch/pytorch:2.4.0-cuda12.4-cudnn9-devel", "any", "toolkit"),
        ("pytorch/pytorch:2.4.0-cuda12.4-cudnn9-runtime", "none", "never"),
        ("vllm/vllm-openai:v0.10.0", "any", "toolkit"),
        ("vllm/vllm-openai:v0.15.1", "any", "always"),
        ("tensorflow/tensorflow:2.15.0-gpu", "any", "toolkit"),
    ],
)
def test_family_is_found_by_name(reference: str, label: str, compat: str) -> None:
    family = find_family(reference)
    assert family is not None
    assert (family.label, family.compat) == (label, compat)


def test_unknown_image_is_taken_to_be_built_on_nvidia_cuda_and_says_so() -> None:
    requirement = from_name("example/app:1", parse_version("12.4"))
    assert requirement.compat is not None
    assert requirement.notes


def test_tag_of_nvidia_cuda_means_its_newest_edition_a_derived_image_any() -> None:
    cuda = parse_version("11.8")
    (newest,), (widest,) = label_expressions("newest", cuda), label_expressions("any", cuda)
    assert "driver>=515" not in newest
    assert "brand=geforce,driver>=515,driver<516" in widest
    assert label_expressions("loose", cuda) == (LOOSE,)
    assert label_expressions("exact", cuda) == ("cuda>=11.8",)
    assert label_expressions("none", cuda) == ()


def test_arm_images_got_compat_and_clauses_later() -> None:
    old = from_name("nvidia/cuda:12.2.2-base", parse_version("12.2.2"), machine="aarch64")
    assert old.compat is None
    assert old.expressions == ("cuda>=12.2",)
    new = from_name("nvidia/cuda:12.6.0-base", parse_version("12.6.0"), machine="aarch64")
    assert new.compat is not None
    assert "driver>=535" in new.expressions[0]


@pytest.mark.parametrize(
    ("reference", "cuda"),
    [
        ("nvcr.io/nvidia/pytorch:24.05-py3", "12.4"),
        ("nvcr.io/nvidia/tritonserver:19.03-py3", "10.1"),
        ("nvcr.io/nvidia/pytorch:24.05", "12.4"),
        ("nvcr.io/nvidia/pytorch:99.05-py3", "None"),
        ("nvcr.io/nvidia/cuda:12.4.1-base", "None"),
        ("example.org/pytorch:24.05-py3", "None"),
    ],
)
def test_monthly_release_of_an_ngc_image_tells_its_cuda(reference: str, cuda: str) -> None:
    assert str(ngc_cuda(reference)) == cuda


def test_parts_of_the_software_of_an_image_are_judged_as_well() -> None:
    requirement = from_name("vllm/vllm-openai:v0.11.0", parse_version("12.8"))
    assert [part.used_from for part in requirement.components] == [None, (8, 0)]


def test_start_script_of_nvidia_cuda_leaves_compat_to_the_toolkit() -> None:
    compat = from_environment("cuda", CUDA_12_8 | {"NVIDIA_PRODUCT_NAME": "CUDA"}).compat
    assert compat is not None
    assert compat.loading == "toolkit"


def test_libraries_of_an_image_are_read_from_its_variables() -> None:
    variables = CUDA_12_8 | {"NV_CUDNN_VERSION": "9.8.0.87-1", "NCCL_VERSION": "2.25.1-1"}
    found = from_environment("cuda", variables)
    assert (str(found.cudnn), str(found.nccl)) == ("9.8.0.87", "2.25.1")
