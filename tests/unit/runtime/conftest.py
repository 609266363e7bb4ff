"""The runtime as an image has it: a directory of files, run by an interpreter."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from envgen.resources import RUNTIME

sys.path.insert(0, str(RUNTIME))

PACKAGE = RUNTIME / "envgen_runtime"
SWITCHES = (
    "ENVGEN_SELFTEST",
    "ENVGEN_SELFTEST_AT",
    "ENVGEN_SELFTEST_FLIP",
    "ENVGEN_SELFTEST_MEMORY",
    "ENVGEN_SELFTEST_TIMEOUT",
    "ENVGEN_START",
    "ENVGEN_STATE_DIR",
    "PYTHONPATH",
)


class Answer(NamedTuple):
    code: int
    text: str
    complaint: str

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]


class Container:
    """A stand-in for a container: an environment, a state directory and a copy of the runtime."""

    good_workload = "def good(): return [Piece('value', 'int', (1,), b'same')]"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.package = directory / "envgen_runtime"
        self.state = directory / "state"
        self.state.mkdir()
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = {k: v for k, v in os.environ.items() if k not in SWITCHES}
        self.environment |= {
            "ENVGEN_STATE_DIR": str(self.state),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
        }
        # Without site-packages there is no framework: fast, and the same on every machine.
        self.interpreter = [sys.executable, "-S"]

    def argv(self, *arguments: str) -> list[str]:
        return [*self.interpreter, str(self.package), *arguments]

    def run(self, *arguments: str, **environment: str) -> Answer:
        return self.run_argv(self.argv(*arguments), **environment)

    def run_argv(self, argv: list[str], **environment: str) -> Answer:
        done = subprocess.run(
            argv,
            env=self.environment | environment,
            capture_output=True,
            check=False,
            timeout=120,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def install(self, package: str, files: Mapping[str, str]) -> None:
        """Put a package of this name where the interpreter finds it."""
        for name, source in files.items():
            path = self.directory / "packages" / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        self.environment["PYTHONPATH"] = str(self.directory / "packages")

    def replace_plain_workloads(self, body: str) -> None:
        """Make the functions of `body` the workloads of plain Python, in their order."""
        path = self.package / "plain_workloads.py"
        path.write_text(f"{PLAIN_HEAD}\n{body}\n{PLAIN_TAIL}")

    def verdicts(self) -> list[Path]:
        return sorted(self.state.glob("*/*.verdict"))


PLAIN_HEAD = """
import os, random, sys, time
from envgen_runtime.workload import Piece, Workload

def version(): return "1"
def devices(): return {"cpu": "test"}
def controls(): return {}
def configure(mode): pass
def poison(device): pass
def companion(device): return lambda: time.sleep(0.001)
_own = set(globals())
"""

PLAIN_TAIL = """
def workloads():
    chosen = {n: f for n, f in globals().items() if n not in _own and callable(f)}
    return [Workload(n, "cpu", f) for n, f in chosen.items() if n != "workloads"]
"""


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


@pytest.fixture
def counted(container: Container) -> Callable[[], int]:
    """Count the processes in which the test of this container has run."""
    log = container.directory / "runs"
    log.touch()
    container.replace_plain_workloads(
        f"{container.good_workload}\nwith open({str(log)!r}, 'a') as _log: _log.write('x')"
    )
    return lambda: len(log.read_text())


MODULE = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (builder)\n"


@dataclass(frozen=True)
class Machine:
    """A machine as a container sees it: the root of a file system, and a stand-in for NVML."""

    root: Path
    library: Path
    patch: pytest.MonkeyPatch

    def load_driver(self, version: str = "535.129.03") -> None:
        self.write("proc/driver/nvidia/version", MODULE.format(version))

    def add_devices(self, *names: str) -> None:
        for name in names or ("nvidia0", "nvidiactl", "nvidia-uvm"):
            self.write(f"dev/{name}", "")

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def answer(self, text: str) -> None:
        """Let NVML answer so: `init=18`, `count=2 sensor1=15`."""
        self.patch.setenv("FAKE_NVML", f" {text}")


@pytest.fixture(scope="session")
def compile_nvml(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return what compiles the stand-in for NVML."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, which makes the stand-in for NVML")

    def compile_library(*options: str) -> Path:
        library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
        source = Path(__file__).with_name("fake_nvml.c")
        flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *options]
        subprocess.run([compiler, *flags, "-o", library, source], check=True)
        return library

    return compile_library


@pytest.fixture(scope="session")
def nvml_library(compile_nvml: Callable[..., Path]) -> Path:
    return compile_nvml()


@pytest.fixture
def machine(tmp_path: Path, nvml_library: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine without driver and GPU."""
    return Machine(tmp_path / "machine", nvml_library, monkeypatch)
