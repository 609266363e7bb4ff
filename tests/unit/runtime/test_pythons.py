"""The runtime on every Python that an image may have and this machine has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.runtime.conftest import Container


def find_python(version: str) -> str:
    """Return an interpreter of this version; a pyenv shim may be on PATH and still not run."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += [str(p) for p in sorted(pyenv.glob(f"versions/{version}.*/bin/python"))]
    for candidate in candidates:
        if candidate is None:
            continue
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return candidate
    pytest.skip(f"no Python {version} on this machine")


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_probe_and_what_people_run_work(container: Container, version: str) -> None:
    container.interpreter = [find_python(version), "-S", "-W", "error", "-X", "dev"]
    probe = container.run("probe")
    assert (probe.code, probe.complaint) == (0, "")
    assert probe.first_line.startswith(f"healthy: 4 workloads reproducible here (python {version}")
    assert container.run("probe").text == probe.text
    report = json.loads(container.run("run", "--json").text)
    assert report["healthy"] is True
    recorded = container.directory / "fingerprint.json"
    assert container.run("record", "-o", str(recorded)).code == 0
    assert "agrees" in container.run("matrix", *[str(recorded)] * 2).text
    assert container.run("compare", *[str(recorded)] * 2).code == 0
    explained = container.run("explain")
    assert (explained.code, explained.complaint) == (0, "")


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_start_works(container: Container, version: str) -> None:
    (container.directory / "cuda.txt").write_text("required no\npackage torch\ncuda 12.8\n")
    argv = [find_python(version), "-I", "-S", "-W", "error", str(container.package / "start.py")]
    answer = container.run_argv([*argv, "echo", "ran"])
    assert (answer.code, answer.text) == (0, "ran\n")
    assert answer.complaint.startswith("envgen: no GPU here")
