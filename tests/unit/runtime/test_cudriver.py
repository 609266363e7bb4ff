"""What CUDA's driver library tells. No GPU here; a library stands in for it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from envgen_runtime import record
from envgen_runtime.cudriver import describe


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, which makes the stand-in for libcuda")
    made = tmp_path_factory.mktemp("cuda") / "libcuda.so.1"
    source = Path(__file__).with_name("fake_cuda.c")
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", made, source], check=True)
    return str(made)


def test_gpus_are_described_as_programs_would_see_them(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA", " count=2")
    found = describe(library)
    assert found["cuda"] == "12.8"
    assert [gpu["model"] for gpu in found["gpus"]] == ["NVIDIA Test 0", "NVIDIA Test 1"]
    assert [gpu["multiprocessors"] for gpu in found["gpus"]] == [132, 131]
    assert {gpu["capability"] for gpu in found["gpus"]} == {"9.0"}
    assert len({gpu["uuid"] for gpu in found["gpus"]}) == 2


def test_slice_of_a_gpu_is_named_by_its_profile(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA", " mig=1")
    (gpu,) = describe(library)["gpus"]
    assert (gpu["model"], gpu["mig"]) == ("NVIDIA Test 0", "1g.10gb")


def test_driver_that_does_not_start_is_told(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA", " init=100")
    assert describe(library) == {"error": "cuInit answers with error 100", "gpus": []}


def test_missing_library_means_no_gpu() -> None:
    assert describe("libcuda-that-is-nowhere.so")["gpus"] == []


def test_driver_that_crashes_costs_no_fingerprint(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA", " crash=1")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(Path(library).parent))
    assert record.ask_driver() == {"error": "CUDA's driver takes its process down", "gpus": []}
