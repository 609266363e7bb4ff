"""The start of an image that is meant for a GPU, on an engine without one.

GPU: not tested here, no GPU.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Build, Engine

PROBE = "/opt/venv/bin/python /opt/envgen/envgen_runtime probe"
COMMAND = ["python", "-c", "import os; print('ran as', os.getpid())"]


@pytest.fixture(scope="module")
def project(
    copy_example: Callable[[Path], Project],
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    del package_index  # it skips
    project = copy_example(tmp_path_factory.mktemp("start") / "start")
    (project.root / "corp.pem").write_bytes(ca_bundle.read_bytes())
    project.spec.write_text(tomli_w.dumps(spec(mirrors, {})), encoding="utf-8")
    return project


def spec(mirrors: dict[str, str], gpu: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "start", "python": "3.13", "dependencies": ["idna"]},
        "images": {"serve": {"gpu": gpu, "determinism": "off", "command": COMMAND}},
        "network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors},
    }


@pytest.fixture(scope="module")
def started(engine: Engine, project: Project) -> Build:
    """Return an image whose spec has `gpu = {}`."""
    return engine.build(project)


def run(image: Build, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "run", "--rm", *arguments[:-1], image.id, *arguments[-1].split()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_container_without_gpu_says_so_and_becomes_its_command(started: Build) -> None:
    done = run(started, "")
    assert (done.returncode, done.stdout) == (0, "ran as 1\n")
    assert done.stderr.startswith("envgen: no GPU here, going on without one: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options", [("--read-only",), ("--user=12345",), ("--cap-drop=ALL", "--pids-limit=4")]
)
def test_command_of_docker_run_replaces_only_the_command(
    started: Build, options: tuple[str, ...]
) -> None:
    done = run(started, *options, "cat /proc/1/comm")
    assert (done.returncode, done.stdout) == (0, "cat\n")
    assert "no GPU here" in done.stderr


def test_exit_code_and_signals_are_those_of_the_command(started: Build) -> None:
    assert run(started, "sh -c true").returncode == 0
    assert run(started, "ls /nowhere").returncode == 2
    assert run(started, "no-such-program").returncode == 127
    # An engine may ignore signals itself, and its containers inherit that.
    unchecked = run(started, "--entrypoint=grep", "^SigIgn /proc/1/status").stdout
    assert unchecked.startswith("SigIgn")
    assert run(started, "grep ^SigIgn /proc/1/status").stdout == unchecked


def test_entrypoint_of_docker_run_bypasses_the_check(started: Build) -> None:
    done = run(started, "--entrypoint=python", "--version")
    assert (done.returncode, done.stderr) == (0, "")


def test_health_check_leaves_a_container_without_gpu_alone(started: Build) -> None:
    assert run(started, PROBE).stdout.startswith("healthy: ")


def test_switch_at_run_time(started: Build) -> None:
    assert run(started, "--env=ENVGEN_START=off", "").stderr == ""


def test_required_gpu_ends_the_start(
    engine: Engine, project: Project, mirrors: dict[str, str], started: Build
) -> None:
    project.spec.write_text(tomli_w.dumps(spec(mirrors, {"required": True})), encoding="utf-8")
    image = engine.build(project)
    done = run(image, "")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("envgen: needs a GPU; has none: ")
    assert done.stderr.count("\n") == 1
    assert run(image, "--env=ENVGEN_START=warn", "").stdout == "ran as 1\n"
    assert "unhealthy: neither" in run(image, "--env=ENVGEN_START=off", PROBE).stdout
    # Only the layer with envgen's own files is another one.
    assert len(set(image.layers) - set(started.layers)) == 1
