"""The runtime as an image has it: a directory of files, run by an interpreter."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from envgen.resources import RUNTIME

sys.path.insert(0, str(RUNTIME))

PACKAGE = RUNTIME / "envgen_runtime"
SWITCHES = ("ENVGEN_SELFTEST", "ENVGEN_SELFTEST_TIMEOUT", "ENVGEN_STATE_DIR", "PYTHONPATH")


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
        done = subprocess.run(
            self.argv(*arguments),
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
