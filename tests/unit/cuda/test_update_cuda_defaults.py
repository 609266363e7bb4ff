"""The CUDA of PyPI's wheels is read out of pip's reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("update_cuda_defaults")


def report(*required: str) -> dict[str, Any]:
    return {"install": [{"metadata": {"requires_dist": list(required)}}]}


OLD = report(
    "filelock",
    'nvidia-cuda-nvrtc-cu12==12.8.93; platform_machine == "x86_64"',
    'nvidia-cuda-runtime-cu12==12.8.90; platform_machine == "x86_64"',
)
NEW = report('cuda-toolkit[cublas,cudart]==13.0.2; platform_system == "Linux"', "numpy")
OPTIONAL = report('nvidia-cuda-runtime-cu12==12.5.82; extra == "and-cuda"')


@pytest.mark.parametrize(
    ("found", "machine", "cuda"),
    [
        (OLD, "x86_64", "12.8"),
        (OLD, "aarch64", ""),
        (NEW, "x86_64", "13.0"),
        (NEW, "aarch64", "13.0"),
        (OPTIONAL, "x86_64", ""),
        (report(), "x86_64", ""),
    ],
)
def test_cuda_of_a_wheel_is_what_it_requires_on_the_processor(
    script: ModuleType, found: dict[str, Any], machine: str, cuda: str
) -> None:
    assert script.read_cuda(found, machine) == cuda


def test_row_names_the_processors_that_have_gpu_code(script: ModuleType) -> None:
    row = script.make_row("torch", "2.10.0", {"x86_64": "12.8", "aarch64": ""}, "2026-11-23")
    assert (row.cuda, row.machines) == ("12.8", ("x86_64",))
    assert script.make_row("torch", "2.10.0", {"x86_64": ""}, "2026-11-23") is None


def test_only_releases_newer_than_the_table_are_asked_for(script: ModuleType) -> None:
    versions = script.parse_versions("torch (99.1)\nAvailable versions: 99.1, 99.0, 2.9.1, 1.0\n")
    assert script.new_releases("torch", versions) == ("99.1", "99.0")
    assert script.parse_versions("ERROR: no matching distribution") == ()
