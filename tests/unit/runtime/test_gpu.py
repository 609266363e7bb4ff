"""What a container sees of driver and GPU. GPU: not tested here, no GPU; a library stands in."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from envgen_runtime import gpu, nvml
from envgen_runtime.gpu import ABSENT, BROKEN, UNKNOWN, WORKS, Files, Seen, conclude, find_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.runtime.conftest import Machine

LEGACY_MODULE = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01  Wed Oct 27 21:21:55 UTC 2021"
)


def look(machine: Machine, limit_s: float = 30.0) -> Seen:
    return gpu.look(str(machine.root), str(machine.library), limit_s)


def look_at_gpu(machine: Machine, answer: str = "") -> Seen:
    machine.load_driver()
    machine.add_devices()
    machine.answer(answer)
    return look(machine)


def test_machine_without_driver_is_not_asked(machine: Machine) -> None:
    machine.answer("crash=1")
    seen = look(machine)
    assert (seen.state, seen.watched) == (ABSENT, False)
    assert "neither an NVIDIA driver nor a GPU device" in seen.detail


def test_working_gpu(machine: Machine) -> None:
    seen = look_at_gpu(machine, "driver=550 cuda=12040 cc0=86")
    (found,) = seen.gpus
    assert (seen.state, seen.detail, seen.notes, seen.lost) == (WORKS, "", [], [])
    assert str(seen) == "driver 550.129.03, CUDA 12.4"
    assert (str(found), found.uuid, found.slices) == ("NVIDIA Test GPU (sm_86)", "GPU-0", None)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("proc/driver/nvidia/version", f"{LEGACY_MODULE}\nGCC version:  gcc version 9.3.0\n"),
        ("sys/module/nvidia/version", "470.82.01\n"),
    ],
)
def test_started_without_the_nvidia_runtime(machine: Machine, path: str, text: str) -> None:
    machine.write(path, text)
    seen = gpu.look(str(machine.root), "libnothing.so.1")
    assert (seen.state, seen.watched, seen.driver) == (ABSENT, False, "470.82.01")
    assert "driver 470.82.01, but this container has neither its library" in seen.detail
    assert "--gpus all" in seen.fix


def test_library_without_devices(machine: Machine) -> None:
    machine.load_driver()
    machine.add_devices("nvidia-uvm", "nvidia-modeset", "null")
    machine.answer("init=9")
    seen = look(machine)
    assert (seen.state, seen.watched) == (ABSENT, True)
    assert seen.detail.endswith("has no GPU device (/dev/nvidia*)")


def test_devices_without_library_leave_the_kernel_module_to_tell(machine: Machine) -> None:
    machine.load_driver("470.82.01")
    machine.add_devices()
    seen = gpu.look(str(machine.root), "libnothing.so.1")
    assert (seen.state, seen.watched, str(seen)) == (UNKNOWN, False, "driver 470.82.01")
    assert "NVIDIA_DRIVER_CAPABILITIES" in seen.fix


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ("init=18", BROKEN, "upgraded underneath"),
        ("init=15", BROKEN, "fallen off the bus"),
        ("counting=15", BROKEN, "fallen off the bus"),
        ("handle0=15", BROKEN, "fallen off the bus: GPU 0"),
        ("sensor0=15", BROKEN, "fallen off the bus: GPU-0"),
        ("sensor0=16", BROKEN, "needs a reset: GPU-0"),
        ("init=9", BROKEN, "no NVIDIA kernel module"),
        ("init=4", BROKEN, "refuses this container"),
        ("handle0=4", BROKEN, "refuses this container"),
        ("init=999", UNKNOWN, "error 999"),
        ("handle0=23", UNKNOWN, "error 23"),
        ("crash=1", UNKNOWN, "takes its process down"),
        ("count=0", ABSENT, "finds no GPU"),
    ],
)
def test_every_failure_has_a_plain_answer(
    machine: Machine, answer: str, state: str, words: str
) -> None:
    seen = look_at_gpu(machine, answer)
    assert (seen.state, seen.gpus) == (state, [])
    assert words in seen.detail
    assert seen.fix


def test_gpu_without_temperature_sensor_lives(machine: Machine) -> None:
    assert look_at_gpu(machine, "sensor0=3").state == WORKS


def test_library_that_hangs_is_left_alone(machine: Machine) -> None:
    machine.add_devices()
    machine.answer("hang=1")
    seen = look(machine, limit_s=0.5)
    assert (seen.state, seen.detail) == (UNKNOWN, "NVML does not answer within 0.5 s")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_library_that_is_none_counts_as_missing(machine: Machine) -> None:
    machine.add_devices()
    machine.write("broken.so", "no library")
    assert gpu.look(str(machine.root), str(machine.root / "broken.so")).state == UNKNOWN


def test_old_library_without_mig(machine: Machine, compile_nvml: Callable[..., Path]) -> None:
    machine.add_devices()
    old = compile_nvml("-DBEFORE_MIG")
    assert gpu.look(str(machine.root), str(old)).gpus[0].slices is None


@pytest.mark.parametrize(("mig", "slices"), [(0, 0), (2, 2), (7, 7)])
def test_mig_slices_are_counted(machine: Machine, mig: int, slices: int) -> None:
    seen = look_at_gpu(machine, f"mig0={mig}")
    assert seen.state == WORKS
    assert seen.gpus[0].slices == slices
    assert bool(seen.notes) == (slices == 0)


def test_lost_gpu_among_others_is_named_and_that_of_another_container_is_not(
    machine: Machine,
) -> None:
    seen = look_at_gpu(machine, "count=3 sensor1=15 handle2=4")
    assert (seen.state, [found.uuid for found in seen.gpus]) == (WORKS, ["GPU-0"])
    assert seen.lost == ["a GPU has fallen off the bus: GPU-1"]


@pytest.mark.parametrize(
    ("refusal", "words"), [(errno.EPERM, "cgroup"), (errno.EACCES, "may not open")]
)
@pytest.mark.parametrize("failure", [nvml.NO_PERMISSION, nvml.ERROR_UNKNOWN])
def test_refused_device_tells_why(refusal: int, words: str, failure: int) -> None:
    files = Files("535.129.03", ["nvidia0", "nvidiactl"])
    seen = conclude(files, nvml.Answer(failure=failure), refusal)
    assert seen.state == BROKEN
    assert words in seen.detail


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_permissions_of_the_device_are_looked_at(machine: Machine) -> None:
    machine.add_devices()
    (machine.root / "dev/nvidiactl").chmod(0)
    machine.answer("init=4")
    assert "may not open" in look(machine).detail


def test_wsl2(machine: Machine) -> None:
    machine.add_devices("dxg")
    machine.answer("driver=551 cuda=12040")
    seen = look(machine)
    assert (seen.state, seen.wsl, str(seen)) == (WORKS, True, "driver 551.129.03, CUDA 12.4")


def test_looking_leaves_no_descriptor_and_no_process(machine: Machine) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    look_at_gpu(machine)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", ""),
        ("init=18", "upgraded underneath"),
        ("sensor0=15", "fallen off the bus: GPU-0"),
        ("count=2 sensor1=15", "fallen off the bus: GPU-1"),
        ("count=0", "finds no GPU"),
        ("init=999", "error 999"),
        ("mig0=0", ""),
    ],
)
def test_fault_of_a_container_that_runs(machine: Machine, answer: str, words: str) -> None:
    fault = find_fault(look_at_gpu(machine, answer), required=False)
    assert bool(fault) == bool(words)
    assert words in fault


def test_devices_that_are_gone_are_a_fault(machine: Machine) -> None:
    machine.load_driver()
    assert "no GPU device" in find_fault(look(machine), required=False)


@pytest.mark.parametrize("value", ["none", "void", ""])
def test_container_that_refuses_gpus_has_no_fault_unless_it_needs_one(
    machine: Machine, value: str
) -> None:
    machine.patch.setenv("NVIDIA_VISIBLE_DEVICES", value)
    machine.load_driver()
    assert find_fault(look(machine), required=False) == ""
    assert find_fault(look(machine), required=True)


def test_container_without_gpu_has_no_fault_unless_it_needs_one(machine: Machine) -> None:
    assert find_fault(look(machine), required=False) == ""
    assert "no" in find_fault(look(machine), required=True)


def test_gpu_that_cannot_be_watched_has_no_fault(machine: Machine) -> None:
    machine.add_devices()
    seen = gpu.look(str(machine.root), "libnothing.so.1")
    assert find_fault(seen, required=True) == ""
