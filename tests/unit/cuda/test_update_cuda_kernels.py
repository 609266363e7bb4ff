"""Architectures are read out of the build files of frameworks, by membership."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envgen.cuda.tables import tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("update_cuda_kernels")


TORCH_NEW = """\
filter_aarch64_archs() {
    arch_list=$(remove_archs "$arch_list" "5.0" "6.0" "7.0" "7.5" "8.6")
}
TORCH_CUDA_ARCH_LIST="7.5;8.0;8.6;9.0"
case ${CUDA_VERSION} in
    12.6) TORCH_CUDA_ARCH_LIST="5.0;6.0;7.0;${TORCH_CUDA_ARCH_LIST}" ;;
    12.9) TORCH_CUDA_ARCH_LIST="${TORCH_CUDA_ARCH_LIST};10.0;12.0+PTX" # comment
        if [[ "$PACKAGE_TYPE" == "libtorch" ]]; then
            TORCH_CUDA_ARCH_LIST="${TORCH_CUDA_ARCH_LIST//8.6;/}"
        fi
        ;;
    13.0)
        TORCH_CUDA_ARCH_LIST="8.0;9.0;$([[ "$ARCH" == "aarch64" ]] && echo "11.0;" || echo "")12.0"
        export BUILD_BUNDLE_PTXAS=1
        ;;
    *) echo "unknown cuda version $CUDA_VERSION"; exit 1 ;;
esac
"""
TORCH_OLD = """\
TORCH_CUDA_ARCH_LIST="5.0;6.0;7.0"
case ${CUDA_VERSION} in
    12.4)
        if [[ "$GPU_ARCH_TYPE" = "cuda-aarch64" ]]; then
            TORCH_CUDA_ARCH_LIST="9.0"
        else
            TORCH_CUDA_ARCH_LIST="${TORCH_CUDA_ARCH_LIST};9.0"
        fi
        ;;
esac
"""
BAZELRC = """\
build:cuda_version --repo_env=HERMETIC_CUDA_VERSION="12.9.1"
build:cuda12 --repo_env=HERMETIC_CUDA_VERSION="12.9.1"
build:cuda12 --repo_env HERMETIC_CUDA_COMPUTE_CAPABILITIES="sm_50,sm_80,sm_100,compute_120"
build:cuda13 --repo_env=HERMETIC_CUDA_VERSION="13.0.0"
build:cuda13 --repo_env HERMETIC_CUDA_COMPUTE_CAPABILITIES="sm_75,compute_120"
"""
DOCKERFILE = """\
ARG CUDA_VERSION=12.9.1
ARG torch_cuda_arch_list='7.0 8.0 9.0a 12.0+PTX'
"""


def test_arm_of_the_case_extends_the_common_list(script: ModuleType) -> None:
    builds = script.read_torch(TORCH_NEW)
    assert builds["12.6", "x86_64"] == (("5.0", "6.0", "7.0", "7.5", "8.0", "8.6", "9.0"), ())


def test_wheels_have_what_libtorch_leaves_out(script: ModuleType) -> None:
    sass, ptx = script.read_torch(TORCH_NEW)["12.9", "x86_64"]
    assert ("8.6" in sass, ptx) == (True, ("12.0",))


def test_arm_builds_have_their_own_codes(script: ModuleType) -> None:
    builds = script.read_torch(TORCH_NEW)
    assert builds["13.0", "x86_64"][0] == ("8.0", "9.0", "12.0")
    assert builds["13.0", "aarch64"][0] == ("8.0", "9.0", "11.0", "12.0")
    assert builds["12.6", "aarch64"][0] == ("8.0", "9.0")


def test_older_script_decides_about_arm_with_an_if(script: ModuleType) -> None:
    builds = script.read_torch(TORCH_OLD)
    assert builds["12.4", "x86_64"][0] == ("5.0", "6.0", "7.0", "9.0")
    assert builds["12.4", "aarch64"][0] == ("9.0",)


def test_bazelrc_of_xla_tells_machine_code_from_ptx(script: ModuleType) -> None:
    builds = script.read_bazelrc(BAZELRC)
    assert builds["12.9", "x86_64"] == (("5.0", "8.0", "10.0"), ("12.0",))
    assert builds["13.0", "x86_64"] == (("7.5",), ("12.0",))


def test_dockerfile_of_vllm_has_no_portable_code(script: ModuleType) -> None:
    assert script.read_dockerfile(DOCKERFILE) == {
        ("12.9", "x86_64"): (("7.0", "8.0", "9.0", "12.0"), ())
    }


@pytest.mark.parametrize("reader", ["read_torch", "read_bazelrc", "read_dockerfile"])
def test_file_of_another_form_names_nothing(script: ModuleType, reader: str) -> None:
    assert getattr(script, reader)("something else\n") == {}


def test_rows_stand_for_the_series_and_name_the_tag(script: ModuleType) -> None:
    (jax,) = (project for project in script.PROJECTS if project.package == "jax")
    rows = script.make_rows(jax, "0.99.0", script.read_bazelrc(BAZELRC))
    assert [(row.package, row.version, row.cuda) for row in rows] == [
        ("jax-cuda12-plugin", "0.99", "12.9"),
        ("jax-cuda13-plugin", "0.99", "13.0"),
    ]
    assert "at the tag of 0.99.0" in rows[0].source


def test_only_releases_newer_than_the_table_are_asked_for(script: ModuleType) -> None:
    torch = script.PROJECTS[0]
    tags = ["v2.9.0", "v2.98.0", "v2.99.0", "v2.99.0-rc1", "v2.99.1"]
    assert script.missing_releases(torch, tags, tables().kernels) == ("2.98.0", "2.99.0")
