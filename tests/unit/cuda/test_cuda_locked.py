"""A lock says which CUDA is in it, and where its packages disagree."""

import pytest

from envgen.cuda.images import from_name
from envgen.cuda.locked import LockedCuda, cuda_runtimes, read_lock
from envgen.cuda.requirement import Machine, Requirement
from envgen.cuda.version import parse_version
from envgen.lock.packages import Artifact, LockedPackage


def package(name: str, version: str, *, file: str = "", marker: str = "") -> LockedPackage:
    wheels = (Artifact(filename=file, url="", sha256="0" * 64),) if file else ()
    return LockedPackage(name=name, version=version, wheels=wheels, marker=marker)


def read(
    *packages: LockedPackage,
    base: Requirement | None = None,
    wants_gpu: bool = True,
    machine: Machine = "x86_64",
    os_packages: frozenset[str] = frozenset(),
) -> LockedCuda:
    return read_lock(
        "train",
        packages,
        base=base,
        wants_gpu=wants_gpu,
        machine=machine,
        os_packages=os_packages,
    )


def names(found: LockedCuda) -> list[str]:
    return [finding.name for finding in found.findings]


def parts(found: LockedCuda) -> dict[str, str]:
    return {part.name: str(part.cuda) for part in found.requirement.components}


CU12 = (
    package("torch", "2.9.1"),
    package("nvidia-cuda-runtime-cu12", "12.8.90"),
    package("nvidia-cudnn-cu12", "9.10.2.21"),
    package("nvidia-nccl-cu12", "2.27.5"),
)
CU13 = (
    package("torch", "2.11.0"),
    package("cuda-toolkit", "13.0.2"),
    package("nvidia-cuda-runtime", "13.0.96"),
    package("nvidia-cudnn-cu13", "9.19.0.56"),
    package("nvidia-nccl-cu13", "2.28.9"),
)


@pytest.mark.parametrize(
    ("runtime", "cuda"),
    [
        (package("nvidia-cuda-runtime-cu11", "11.7.99"), "11.7"),
        (package("nvidia-cuda-runtime-cu12", "12.8.90"), "12.8"),
        (package("nvidia-cuda-runtime", "13.0.96"), "13.0"),
        (package("cuda-toolkit", "13.0.3.0"), "13.0"),
        (package("cudatoolkit", "11.8.0"), "11.8"),
        (package("cuda-cudart", "12.6.77"), "12.6"),
    ],
)
def test_runtime_is_found_in_every_naming_era(runtime: LockedPackage, cuda: str) -> None:
    assert cuda_runtimes({runtime.name: runtime}) == (parse_version(cuda),)


@pytest.mark.parametrize(
    "locked",
    [
        package(
            "jax-cuda12-plugin",
            "0.9.0",
            file="jax_cuda12_plugin-0.9.0-cp313-cp313-manylinux_2_27_x86_64.whl",
        ),
        package(
            "cupy-cuda12x",
            "14.0.0",
            file="cupy_cuda12x-14.0.0-cp313-cp313-manylinux2014_x86_64.whl",
        ),
    ],
)
def test_a_name_that_has_the_major_version_alone_follows_the_runtime(locked: LockedPackage) -> None:
    found = read(locked, package("nvidia-cuda-runtime-cu12", "12.9.79"))

    assert set(parts(found).values()) == {"12.9"}
    assert "two-cuda-majors" not in names(found)


def test_torch_follows_the_locked_runtime() -> None:
    old, new = read(*CU12), read(*CU13)
    assert parts(old) == {"torch 2.9.1": "12.8"}
    assert parts(new) == {"torch 2.11.0": "13.0"}
    assert names(old) == names(new) == []
    assert str(old.requirement.cudnn) == "9.10.2.21"
    assert str(new.requirement.nccl) == "2.28.9"
    assert (7, 0) in old.requirement.components[0].builds[0].sass
    assert (7, 0) not in new.requirement.components[0].builds[0].sass


@pytest.mark.parametrize(
    ("locked", "cuda"),
    [
        (package("torch", "2.9.1+cu126"), "12.6"),
        (package("torch", "2.4.1+cu118"), "11.8"),
        (
            package("pytorch", "2.5.1", file="pytorch-2.5.1-cuda126_mkl_py312_h0.conda"),
            "12.6",
        ),
        (
            package("pytorch", "2.4.0", file="pytorch-2.4.0-py3.11_cuda12.4_cudnn9.1.0_0.tar.bz2"),
            "12.4",
        ),
    ],
)
def test_variant_of_the_build_counts_first(locked: LockedPackage, cuda: str) -> None:
    found = read(locked)
    assert list(parts(found).values()) == [cuda]
    assert names(found) == []


@pytest.mark.parametrize(
    "locked",
    [
        package("torch", "2.9.1+cpu"),
        package("torch", "2.9.1"),
        package("jaxlib", "0.7.0"),
        package("pytorch", "2.5.1", file="pytorch-2.5.1-cpu_mkl_py312_h0.conda"),
    ],
)
def test_cpu_wheel_in_a_gpu_image_is_found(locked: LockedPackage) -> None:
    assert names(read(locked)) == ["cpu-wheel-in-gpu-image"]
    assert names(read(locked, wants_gpu=False)) == []


def test_markers_decide_what_is_there_on_a_processor() -> None:
    only_x86 = tuple(
        package(one.name, one.version, marker="platform_machine == 'x86_64'")
        if one.name.startswith("nvidia")
        else one
        for one in CU12
    )
    assert names(read(*only_x86)) == []
    assert names(read(*only_x86, machine="aarch64")) == ["cpu-wheel-in-gpu-image"]


def test_jax_plugin_is_the_gpu_code_of_jax() -> None:
    found = read(
        package("jax", "0.11.0"),
        package("jaxlib", "0.11.0"),
        package("jax-cuda13-plugin", "0.11.0"),
        package("nvidia-cuda-runtime", "13.0.96"),
    )
    assert parts(found) == {"jax-cuda13-plugin 0.11.0": "13.0"}
    assert names(found) == []


def test_package_on_the_systems_cuda_uses_that_of_the_base() -> None:
    base = from_name("nvidia/cuda:12.6.3-runtime", parse_version("12.6.3"))
    found = read(package("cupy-cuda12x", "13.4"), package("tensorflow", "2.13.0"), base=base)
    assert set(parts(found).values()) == {"12.6.3"}
    assert found.requirement.expressions == base.expressions
    assert found.requirement.compat == base.compat


def test_two_cuda_majors_are_found() -> None:
    found = read(*CU12, package("cupy-cuda13x", "14.0"), package("nvidia-cuda-runtime", "13.0.96"))
    assert "two-cuda-majors" in names(found)
    assert parts(found)["cupy-cuda13x 14.0"] == "13.0"


def test_second_copy_in_the_base_is_found() -> None:
    same = from_name("nvidia/cuda:12.8.1-runtime", parse_version("12.8.1"))
    assert names(read(*CU12, base=same)) == ["two-cuda-copies"]
    older = from_name("nvidia/cuda:12.4.1-runtime", parse_version("12.4"))
    assert names(read(*CU12, base=older)) == ["two-cuda-copies"]
    foreign = from_name("nvidia/cuda:13.0.2-runtime", parse_version("13.0.2"))
    assert names(read(*CU12, base=foreign)) == ["two-cuda-copies", "foreign-base-cuda"]


def test_cudnn_of_another_cuda_is_found() -> None:
    mixed = [one for one in CU12 if "cudnn" not in one.name]
    found = read(*mixed, package("nvidia-cudnn-cu13", "9.19.0.56"))
    assert names(found) == ["library-disagreement"]
    assert "CUDA 13" in found.findings[0].what


def test_two_cudnn_are_found() -> None:
    found = read(*CU12, package("cudnn", "8.9.7.29"))
    assert "library-disagreement" in names(found)


def test_nccl_of_the_base_is_compared() -> None:
    base = Requirement(name="base", nccl=parse_version("1.3"))
    assert names(read(*CU12, base=base)) == ["library-disagreement"]


def test_program_that_compiles_at_run_time_is_part_of_the_requirement() -> None:
    found = read(*CU12, package("numba", "0.61.0"))
    numba = next(part for part in found.requirement.components if part.name.startswith("numba"))
    assert numba.ptx_at_runtime
    assert str(numba.cuda) == "12.8"


def test_lock_without_gpu_packages_requires_nothing() -> None:
    found = read(package("flask", "3.0"), package("numpy", "2.3"))
    assert found.requirement.components == ()
    assert found.findings == ()


def test_package_that_loads_the_systems_cuda_says_what_is_missing() -> None:
    found = read(package("onnxruntime-gpu", "1.23.0"))
    assert "unmet-need" in names(found)
    served = read(package("onnxruntime-gpu", "1.23.0"), package("nvidia-cudnn-cu12", "9.10.2.21"))
    assert "unmet-need" not in names(served)
    base = from_name("nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04", parse_version("12.8.1"))
    assert "unmet-need" not in names(read(package("onnxruntime-gpu", "1.23.0"), base=base))


def test_triton_needs_a_compiler_in_images_that_are_meant_for_a_gpu() -> None:
    triton = package("triton", "3.5.1")
    (finding,) = read(*CU12, triton).findings
    assert (finding.name, "C compiler" in finding.what) == ("unmet-need", True)
    assert names(read(*CU12, triton, wants_gpu=False)) == []
    assert 'apt = ["gcc", "libc6-dev"]' in finding.fix
    assert names(read(*CU12, triton, os_packages=frozenset({"gcc"}))) == ["unmet-need"]
    assert names(read(*CU12, triton, os_packages=frozenset({"gcc", "libc6-dev", "git"}))) == []


def test_wheel_that_loads_the_systems_cuda_is_not_taken_for_one_without() -> None:
    found = read(package("tensorflow", "2.21.0"))
    assert names(found) == ["unmet-need"]
    assert parts(found) == {}
    assert names(read(package("tensorflow", "2.21.0"), machine="aarch64")) == [
        "cpu-wheel-in-gpu-image"
    ]


def test_package_without_kernels_in_the_tables_uses_the_systems_cuda() -> None:
    base = from_name("nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04", parse_version("12.8.1"))
    found = read(package("ctranslate2", "4.8.5"), base=base)
    assert parts(found) == {"ctranslate2 4.8.5": "12.8.1"}
    assert names(found) == []


def test_base_of_another_cuda_does_not_serve() -> None:
    base = from_name("nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04", parse_version("12.8.1"))
    (finding,) = read(package("onnxruntime-gpu", "1.31.1"), base=base).findings
    assert finding.name == "unmet-need"
    assert "CUDA 12.8.1" in finding.why


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("nvidia/cuda:12.8.1-devel-ubuntu24.04", []),
        ("registry.example/team/gpu:1", []),
        ("nvidia/cuda:12.8.1-runtime-ubuntu24.04", ["unmet-need"]),
    ],
)
def test_headers_are_in_devel_images_alone(image: str, found: list[str]) -> None:
    base = from_name(image, parse_version("12.8.1"))
    assert names(read(package("cupy-cuda12x", "14.2.0"), base=base)) == found


@pytest.mark.parametrize(("cudnn", "found"), [("9.10.1.4", []), ("9.8", ["library-disagreement"])])
def test_cudnn_of_the_base_is_compared_by_its_release(cudnn: str, found: list[str]) -> None:
    base = Requirement(name="base", cudnn=parse_version(cudnn))
    assert names(read(*CU12, base=base)) == found


@pytest.mark.parametrize("variant", ["cpu", "rocm6.4", "xpu"])
def test_build_for_other_hardware_has_no_cuda_though_a_runtime_is_locked(variant: str) -> None:
    found = read(
        package("torch", f"2.9.1+{variant}"), package("nvidia-cuda-runtime-cu12", "12.8.9")
    )
    assert parts(found) == {}
    assert "cpu-wheel-in-gpu-image" in names(found)
