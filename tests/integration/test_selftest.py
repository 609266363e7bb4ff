"""The self-test in a real container. The frameworks: test_workloads.py."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from envgen.resources import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = "python:3.13-slim-trixie"


DOCKERFILE = f"""
FROM {BASE}
COPY envgen_runtime /opt/envgen/envgen_runtime
USER 1000
HEALTHCHECK --interval=1s --timeout=30s CMD ["python", "/opt/envgen/envgen_runtime", "probe"]
CMD ["sleep", "600"]
"""


def docker(*arguments: str | Path) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def container_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if shutil.which("docker") is None:
        pytest.skip("no docker on PATH")
    pulled = subprocess.run(["docker", "pull", "-q", BASE], capture_output=True, check=False)
    if pulled.returncode != 0:
        pytest.skip(f"{BASE} cannot be pulled: {pulled.stderr.decode().strip()}")
    context = tmp_path_factory.mktemp("context")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(RUNTIME / "envgen_runtime", context / "envgen_runtime", ignore=ignored)
    (context / "Dockerfile").write_text(DOCKERFILE)
    built = docker("build", "-q", context)
    yield built
    docker("image", "rm", "-f", built)


def wait_until_healthy(container: str) -> str:
    state = {}
    for _ in range(240):
        state = json.loads(docker("inspect", "-f", "{{json .State.Health}}", container))
        if state["Status"] != "starting":
            assert state["Status"] == "healthy", state
            return str(state["Log"][-1]["Output"])
        time.sleep(0.25)
    raise AssertionError(f"still starting: {state}")


@pytest.mark.container
@pytest.mark.parametrize("options", [(), ("--read-only",), ("--pid=host",)])
def test_every_start_of_a_container_is_tested_once(
    container_image: str, options: tuple[str, ...]
) -> None:
    container = docker("run", "-d", *options, container_image)
    try:
        assert wait_until_healthy(container).startswith("healthy: ")
        first = kept_in(container)
        time.sleep(2)  # more probes
        assert kept_in(container) == first
        docker("restart", "-t", "0", container)
        wait_until_healthy(container)
        assert kept_in(container) != first
    finally:
        docker("rm", "-f", container)


def kept_in(container: str) -> str:
    """Return the file of the verdict on this start; there has to be one."""
    explained = docker("exec", container, "python", "/opt/envgen/envgen_runtime", "explain")
    lines = dict(line.split(": ", 1) for line in explained.splitlines()[:7] if ": " in line)
    assert lines["verdict"].startswith("healthy: ")
    return lines["kept in"]
