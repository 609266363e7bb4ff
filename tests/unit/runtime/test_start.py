"""The start of a container. GPU: not tested here, no GPU; a library stands in for NVML."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from envgen_runtime.gpu import look
from envgen_runtime.requirement import parse_requirement
from envgen_runtime.start import decide

from envgen.cuda.requirement import Requirement as Asked
from envgen.cuda.version import parse_version
from envgen.cuda.wheels import describe_wheel
from envgen.plan.start import write_requirement

if TYPE_CHECKING:
    from pathlib import Path

    from envgen_runtime.gpu import Seen
    from tests.unit.runtime.conftest import Answer, Container, Machine

TORCH = ("torch", "2.9.1", "12.8")
NUMBA = ("numba", "0.60", "12.8")
ON_A_MACHINE = """
import sys
sys.path.insert(0, {runtime!r})
from envgen_runtime.start import start
raise SystemExit(start(sys.argv[1:], look_in={root!r}, library={library!r}))
"""


def write(*wheels: tuple[str, str, str], required: bool = False) -> str:
    parts = [describe_wheel(name, version, parse_version(cuda)) for name, version, cuda in wheels]
    asked = Asked(name="image", components=tuple(parts))
    return write_requirement({os.uname().machine: asked}, required=required)  # type: ignore[dict-item]


def ask(container: Container, *wheels: tuple[str, str, str], required: bool = False) -> None:
    """Give the image the requirement of these wheels."""
    (container.directory / "cuda.txt").write_text(write(*wheels, required=required))


def entrypoint(container: Container, *options: str) -> list[str]:
    """Return the entrypoint of an image."""
    return [sys.executable, "-I", "-S", *options, str(container.package / "start.py")]


def start_on(machine: Machine, container: Container, *command: str, **environment: str) -> Answer:
    """Start the container on a machine with an NVIDIA GPU."""
    code = ON_A_MACHINE.format(
        runtime=str(container.directory), root=str(machine.root), library=str(machine.library)
    )
    container.interpreter = [sys.executable, "-I", "-S", "-c", code]
    container.environment["FAKE_NVML"] = os.environ.get("FAKE_NVML", "")
    return container.run_argv([*container.interpreter, *command], **environment)


def judge(seen: Seen, *wheels: tuple[str, str, str], required: bool = False) -> tuple[bool, str]:
    text = write(*wheels, required=required)
    return decide(parse_requirement(text, os.uname().machine), seen)


def see(machine: Machine, answer: str = "") -> Seen:
    machine.load_driver()
    machine.add_devices()
    machine.answer(answer)
    return look(str(machine.root), str(machine.library), 30.0)


def test_image_without_requirement_just_starts(container: Container) -> None:
    assert container.run("start", "--", "echo", "a b", "$HOME") == (0, "a b $HOME\n", "")


@pytest.mark.parametrize("wheels", [(), (TORCH,)])
def test_no_gpu_is_said_in_a_line_and_the_command_runs(
    container: Container, wheels: tuple[tuple[str, str, str], ...]
) -> None:
    ask(container, *wheels)
    answer = container.run("start", "--", "echo", "ran")
    assert (answer.code, answer.text) == (0, "ran\n")
    assert answer.complaint.startswith("envgen: no GPU here, going on without one: ")
    assert answer.complaint.count("\n") == 1


def test_no_gpu_ends_a_start_that_needs_one(container: Container) -> None:
    ask(container, required=True)
    answer = container.run("start", "--", "echo", "ran")
    assert (answer.code, answer.text) == (1, "")
    assert answer.complaint.startswith("envgen: needs a GPU; has none: ")
    assert "; fix: " in answer.complaint
    assert answer.complaint.count("\n") == 1


def test_warn_says_it_and_goes_on(container: Container) -> None:
    ask(container, required=True)
    answer = container.run("start", "--", "echo", "ran", ENVGEN_START="warn")
    assert (answer.code, answer.text) == (0, "ran\n")
    assert "needs a GPU" in answer.complaint


def test_off_looks_at_nothing(container: Container) -> None:
    ask(container, required=True)
    assert container.run("start", "--", "echo", ENVGEN_START="off") == (0, "\n", "")


def test_misspelt_switch_is_said_and_does_not_switch_off(container: Container) -> None:
    ask(container, required=True)
    answer = container.run("start", "--", "echo", ENVGEN_START="of")
    assert answer.code == 1
    assert "ENVGEN_START='of' means nothing; it can be check, warn, off" in answer.complaint


@pytest.mark.parametrize("content", [b"branch x\npackage a\nbranch x\n", b"\xff\xfe", b"\0"])
def test_damaged_requirement_does_not_stop_a_start(container: Container, content: bytes) -> None:
    (container.directory / "cuda.txt").write_bytes(content)
    assert container.run("start", "--", "echo", "ran").text == "ran\n"


def test_missing_module_does_not_stop_a_start(container: Container) -> None:
    ask(container, TORCH, required=True)
    (container.package / "gpu.py").unlink()
    answer = container.run("start", "--", "echo", "ran")
    assert (answer.code, answer.text) == (0, "ran\n")
    assert "driver and GPU are not checked: ModuleNotFoundError" in answer.complaint


def test_entrypoint_is_deaf_to_variables_of_python(container: Container) -> None:
    ask(container)
    argv = [
        sys.executable,
        "-I",
        "-S",
        str(container.package / "start.py"),
        "sh",
        "-c",
        "echo $PYTHONPATH",
    ]
    container.install("envgen_runtime", {"__init__.py": "raise SystemExit('shadowed')"})
    answer = container.run_argv(argv, PYTHONSTARTUP="/nonesuch", PYTHONWARNINGS="error")
    assert (answer.code, answer.text) == (0, f"{container.environment['PYTHONPATH']}\n")


def test_command_replaces_the_process(container: Container) -> None:
    command = ["sh", "-c", "echo $$; exit 7"]
    process = subprocess.Popen(container.argv("start", "--", *command), stdout=subprocess.PIPE)
    said, _ = process.communicate()
    assert (int(said), process.returncode) == (process.pid, 7)


def test_command_has_the_signals_and_descriptors_that_it_would_have_without(
    container: Container,
) -> None:
    ask(container)
    command = ["sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd"]
    plain = subprocess.run(command, capture_output=True, text=True, check=True)
    assert container.run("start", "--", *command).text == plain.stdout
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN  # which the child does not inherit


@pytest.mark.parametrize(
    ("command", "code"),
    [((), 127), (("no-such-program",), 127), (("/etc/hostname/x",), 127), (("/etc",), 126)],
)
def test_command_that_cannot_start_gives_the_customary_code(
    container: Container, command: tuple[str, ...], code: int
) -> None:
    answer = container.run("start", "--", *command)
    assert answer.code == code
    assert answer.complaint.startswith("envgen: ")
    assert answer.complaint.count("\n") == 1


def test_closed_streams_do_not_stop_a_start(container: Container, tmp_path: Path) -> None:
    ask(container)
    proof = tmp_path / "proof"
    quoted = " ".join(f"'{word}'" for word in container.argv("start", "--", "touch", str(proof)))
    subprocess.run(["sh", "-c", f"{quoted} <&- >&- 2>&-"], check=True)
    assert proof.exists()


def test_entrypoint_imports_nothing_slow(container: Container) -> None:
    ask(container, TORCH)
    entrypoint = [
        sys.executable,
        "-I",
        "-S",
        "-X",
        "importtime",
        str(container.package / "start.py"),
    ]
    answer = container.run_argv([*entrypoint, "true"])
    imported = {line.rpartition("|")[2].strip() for line in answer.complaint.splitlines()}
    assert "envgen_runtime.fit" in imported
    slow = {"collections", "ctypes", "enum", "json", "re", "runpy", "select", "typing"}
    assert not imported & slow


def test_fitting_machine_starts_in_silence(machine: Machine, container: Container) -> None:
    ask(container, TORCH, required=True)
    see(machine, "driver=570 cuda=12080 cc0=90")
    assert start_on(machine, container, "echo", "ran") == (0, "ran\n", "")


def test_hopeless_start_ends_with_need_have_and_fix_in_a_line(
    machine: Machine, container: Container
) -> None:
    ask(container, TORCH)
    see(machine, "driver=470 cuda=11040")
    answer = start_on(machine, container, "echo", "ran")
    assert (answer.code, answer.text) == (1, "")
    assert answer.complaint == (
        "envgen: needs driver 525.60.13 or newer for CUDA 12.8 (torch 2.9.1); "
        "has driver 470.129.03, CUDA 11.4; "
        "fix: update the driver to 525.60.13 or newer, or use a build for CUDA 11.4 or older "
        "(ENVGEN_START=warn starts it nevertheless)\n"
    )


def test_gpu_without_code_is_hopeless(machine: Machine) -> None:
    hopeless, message = judge(see(machine, "driver=580 cuda=13000 cc0=61"), TORCH)
    assert hopeless
    assert "needs code for sm_61 in torch 2.9.1; has sm_70 " in message
    assert "on NVIDIA Test GPU (sm_61); fix: use a build that has sm_61" in message


def test_one_gpu_that_fits_is_enough(machine: Machine) -> None:
    hopeless, message = judge(see(machine, "driver=580 cuda=13000 count=2 cc1=61"), TORCH)
    assert not hopeless
    assert message.startswith("may fail: needs code for sm_61")


def test_compiler_that_may_never_be_called_stops_nothing(machine: Machine) -> None:
    hopeless, message = judge(see(machine, "driver=535 cuda=12020"), TORCH, NUMBA)
    assert not hopeless
    assert message.startswith("may fail: needs a driver of CUDA 12.8 or newer")


@pytest.mark.parametrize("answer", ["init=18", "init=15", "sensor0=15", "init=9"])
def test_broken_driver_is_hopeless_for_what_uses_it(machine: Machine, answer: str) -> None:
    seen = see(machine, answer)
    hopeless, message = judge(seen, TORCH)
    assert hopeless
    assert message.startswith("needs an NVIDIA driver that works; has ")
    assert judge(seen, required=True)[0]
    assert not judge(seen)[0]


@pytest.mark.parametrize("answer", ["crash=1", "init=999", "handle0=23"])
def test_what_nobody_knows_stops_nothing(machine: Machine, answer: str) -> None:
    hopeless, message = judge(see(machine, answer), TORCH, required=True)
    assert not hopeless
    assert message.startswith("the GPU cannot be looked at: ")


def test_driver_that_is_too_old_is_hopeless_without_nvml_too(machine: Machine) -> None:
    machine.load_driver("470.82.01")
    machine.add_devices()
    seen = look(str(machine.root), "libnothing.so.1")
    hopeless, message = judge(seen, TORCH)
    assert hopeless
    assert message.startswith("needs driver 525.60.13 or newer for CUDA 12.8 (torch 2.9.1); ")
    assert "has driver 470.82.01; fix: update the driver to 525.60.13 or newer" in message


def test_lost_gpu_and_empty_mig_are_said(machine: Machine) -> None:
    hopeless, message = judge(see(machine, "driver=570 count=3 sensor1=15 mig2=0"), TORCH)
    assert not hopeless
    assert "fallen off the bus: GPU-1; NVIDIA Test GPU (sm_80) is in MIG mode" in message
