"""Kernels are found by package, version, CUDA and processor."""

import pytest

from envgen.cuda.requirement import Machine
from envgen.cuda.version import Capability, parse_version
from envgen.cuda.wheels import bundled_parts, canonical_name, describe_wheel, find_rows, in_range


def sass(package: str, version: str, cuda: str, machine: Machine = "x86_64") -> set[Capability]:
    part = describe_wheel(package, version, parse_version(cuda) if cuda else None, machine)
    return {code for build in part.builds for code in build.sass}


def test_volta_left_cu128_came_back_and_left_again() -> None:
    has_volta = [(7, 0) in sass("torch", v, "12.8") for v in ("2.7.1", "2.8.0", "2.10.0", "2.11.0")]
    assert has_volta == [False, True, True, False]


def test_patch_release_goes_before_its_series() -> None:
    assert (6, 0) not in sass("torch", "1.8.0", "11.1")
    assert (6, 0) in sass("torch", "1.8.1", "11.1")


def test_processor_matters() -> None:
    assert sass("torch", "2.10.0", "12.6", "aarch64") == {(8, 0), (9, 0)}


def test_local_version_and_nightly_are_read() -> None:
    assert sass("torch", "2.9.1+cu128", "12.8") == sass("torch", "2.9.1", "12.8")
    assert (12, 0) in sass("torch", "2.8.0.dev20250408", "12.8")


def test_variant_that_a_release_never_had_is_taken_from_its_neighbours() -> None:
    assert (9, 0) in sass("torch", "2.7.0.dev20250310", "12.4")


def test_version_that_is_not_known_may_be_any_build_of_the_variant() -> None:
    part = describe_wheel("torch", "cu128 build", parse_version("12.8"))
    assert len(part.builds) > 1
    assert part.note


def test_package_loads_a_newer_cuda_of_its_major_version() -> None:
    rows = find_rows("tensorflow", "2.18.0", parse_version("12.9"))
    assert [row.cuda for row in rows] == ["12.5"]


def test_unknown_package_has_no_builds() -> None:
    assert describe_wheel("something", "1.0", parse_version("12.8")).builds == ()


@pytest.mark.parametrize(
    ("package", "cuda", "name"),
    [
        ("cupy-cuda12x", "12.8", "cupy"),
        ("jaxlib", "12.3", "jax-cuda12-plugin"),
        ("jax", "13.0", "jax-cuda13-plugin"),
        ("libtorch", "", "torch"),
        ("TensorFlow_GPU", "", "tensorflow"),
    ],
)
def test_names_lead_to_the_tables(package: str, cuda: str, name: str) -> None:
    assert canonical_name(package, parse_version(cuda) if cuda else None) == name


def test_program_built_without_architectures_gets_what_nvcc_makes() -> None:
    part = describe_wheel("nvbandwidth", "0.8", parse_version("13.2"))
    assert part.builds[0].sass == ((7, 5),)
    assert part.ptx_at_runtime


@pytest.mark.parametrize(
    ("version", "versions", "inside"),
    [
        ("9.2", "<9.3", True),
        ("9.3", "<9.3", False),
        ("0.15.1", ">=0.15,<0.16", True),
        ("0.16", ">=0.15,<0.16", False),
        ("", "<9.3", False),
        ("", "", True),
    ],
)
def test_range_of_versions(version: str, versions: str, *, inside: bool) -> None:
    assert in_range(parse_version(version) if version else None, versions) is inside


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("mxnet-cu102", "mxnet"),
        ("cupy-cuda12x", "cupy"),
        ("faiss-gpu-cu12", "faiss-gpu"),
        ("bitsandbytes-cuda117", "bitsandbytes"),
        ("numba-cuda", "numba-cuda"),
        ("jax-cuda12-plugin", "jax-cuda12-plugin"),
    ],
)
def test_suffix_for_a_cuda_is_not_part_of_the_name(package: str, name: str) -> None:
    assert canonical_name(package) == name


def test_part_of_a_package_has_its_own_kernels_and_its_own_oldest_gpu() -> None:
    (part,) = bundled_parts("vllm", "0.11.0", parse_version("12.8"))
    assert part.used_from == (8, 0)
    assert [(build.sass, build.ptx) for build in part.builds] == [(((8, 0),), ((8, 0),))]
    assert bundled_parts("torch", "2.9.1", parse_version("12.8")) == ()


def test_software_that_compiles_for_the_gpu_it_finds_has_no_list() -> None:
    part = describe_wheel("cupy-cuda12x", "13.4.1", parse_version("12.6"))
    assert (part.builds, part.ptx_at_runtime) == ((), False)


@pytest.mark.parametrize(
    ("version", "compiles"), [("0.1.74", True), ("0.3.15", True), ("0.4.9", False)]
)
def test_old_jax_had_the_driver_link_its_code(version: str, compiles: bool) -> None:  # noqa: FBT001
    assert describe_wheel("jax", version, parse_version("11.6")).ptx_at_runtime is compiles
