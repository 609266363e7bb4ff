"""The health check where something is wrong, as a Docker Engine sees it.

GPU: not tested here, no GPU.
"""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Build, Engine

RUNTIME = ("/opt/venv/bin/python", "/opt/envgen/envgen_runtime")
PACKAGES = "/opt/venv/lib/python3.13/site-packages"
# Not 0 s, by which Docker means the time that the image has.
QUICKLY = ("--health-interval=1s", "--health-retries=1", "--health-start-period=1s")
FOR_TOO_LONG_S = 120


@pytest.fixture(scope="module")
def project(
    copy_example: Callable[[Path], Project],
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    del package_index  # it skips
    project = copy_example(tmp_path_factory.mktemp("selftest") / "selftest")
    (project.root / "corp.pem").write_bytes(ca_bundle.read_bytes())
    sleep = ["python", "-c", "import time; time.sleep(600)"]
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "selftest", "python": "3.13", "dependencies": ["numpy"]},
        "images": {"serve": {"command": sleep}},
        "network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors},
    }
    project.spec.write_text(tomli_w.dumps(spec), encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def numpy_image(engine: Engine, project: Project) -> Build:
    return engine.build(project)


@pytest.fixture(scope="module", autouse=True)
def _health_is_told(engine: Engine, numpy_image: Build) -> None:
    """Skip where `docker exec`, and with it the health check, does not reach into containers."""
    with engine.start(numpy_image.id, "--no-healthcheck", "--network=none") as container:
        command = ["docker", "exec", container.id, "test", "-d", "/opt/envgen"]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("docker exec does not see the container's own files")


class Sick:
    """A container of which health and the words of its last probe are told."""

    def __init__(self, engine: Engine, container: str) -> None:
        self.id = container
        self._engine = engine

    def health(self) -> dict[str, Any]:
        found = self._engine.docker("inspect", "--format", "{{json .State.Health}}", self.id)
        health: dict[str, Any] = json.loads(found)
        return health

    def wait_for(self, status: str) -> str:
        """Return what the last probe said once the container has this health."""
        deadline = time.monotonic() + FOR_TOO_LONG_S
        while (health := self.health())["Status"] != status or not health["Log"]:
            assert time.monotonic() < deadline, f"not {status}: {health}"
            time.sleep(0.25)
        return str(health["Log"][-1]["Output"])

    def probe(self, *options: str) -> tuple[int, str]:
        command = ["docker", "exec", *options, self.id, *RUNTIME, "probe"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout

    def execute(self, *command: str, user: str = "0") -> str:
        return self._engine.docker("exec", "--user", user, self.id, *command)


@contextmanager
def start(
    engine: Engine, image: Build, *options: str, files: dict[str, Path] | None = None
) -> Iterator[Sick]:
    """Start a container with files of this machine in it, by their path there."""
    container = engine.docker("create", *options, image.id)
    try:
        for path, source in (files or {}).items():
            engine.docker("cp", source, f"{container}:{path}")
        engine.docker("start", container)
        yield Sick(engine, container)
    finally:
        engine.docker("rm", "--force", "--volumes", container)


def first_line(text: str) -> str:
    assert len(text.encode()) < 4096
    return text.partition("\n")[0]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="plain"),
        pytest.param(("--read-only",), id="read-only root"),
        pytest.param(("--user=12345",), id="another uid"),
        pytest.param(("--read-only", "--user=12345", "--cap-drop=ALL"), id="all of it"),
    ],
)
def test_healthy_within_the_start_period_and_tested_once(
    engine: Engine, numpy_image: Build, options: tuple[str, ...]
) -> None:
    with start(engine, numpy_image, "--health-interval=1s", *options) as container:
        line = first_line(container.wait_for("healthy"))
        assert line.startswith("healthy: ")
        assert "numpy" in line
        assert "tests anew" not in line
        assert container.probe() == (0, container.health()["Log"][-1]["Output"])


def test_planted_flip_makes_the_container_unhealthy(engine: Engine, numpy_image: Build) -> None:
    drill = "--env=ENVGEN_SELFTEST_FLIP=matmul"
    with start(engine, numpy_image, *QUICKLY, drill) as container:
        text = container.wait_for("unhealthy")
        assert "matmul on cpu: not reproducible" in first_line(text)
        assert "expected " in first_line(text)
        assert "found " in first_line(text)
        assert text.splitlines()[1].startswith("what to do: ")


def test_flipped_verdict_is_not_believed(engine: Engine, numpy_image: Build) -> None:
    drill = "--env=ENVGEN_SELFTEST_FLIP=matmul"
    with start(engine, numpy_image, *QUICKLY, drill) as container:
        container.wait_for("unhealthy")
        flip = "sed -i 's/^unhealthy:/healthy:/' /tmp/envgen-10001/*.verdict"
        container.execute("sh", "-c", flip, user="10001")
        code, text = container.probe()
        assert code == 1
        assert "matmul on cpu: not reproducible" in first_line(text)


def test_removed_framework_is_noticed_by_the_next_probe(engine: Engine, numpy_image: Build) -> None:
    with start(engine, numpy_image, "--health-interval=1s") as container:
        container.wait_for("healthy")
        container.execute("rm", "-r", f"{PACKAGES}/numpy")
        line = first_line(container.wait_for("unhealthy"))
        assert line.startswith("unhealthy: numpy: version ")
        assert line.endswith(" is locked, and Python does not find it")


def test_missing_shared_library_is_named(engine: Engine, numpy_image: Build) -> None:
    hidden = f"--tmpfs={PACKAGES}/numpy.libs"
    with start(engine, numpy_image, *QUICKLY, hidden) as container:
        line = first_line(container.wait_for("unhealthy"))
        assert line.startswith("unhealthy: numpy: import numpy: ")
        assert "openblas" in line


def test_test_that_takes_too_long_is_unhealthy(engine: Engine, numpy_image: Build) -> None:
    # 5 ms of a processor in each 100 ms.
    slow = ("--cpus=0.05", "--env=ENVGEN_SELFTEST_TIMEOUT=1")
    with start(engine, numpy_image, *QUICKLY, *slow, "--health-timeout=60s") as container:
        line = first_line(container.wait_for("unhealthy"))
        assert line.startswith("unhealthy: ")
        assert "time limit" in line


def test_probe_that_docker_kills_leaves_the_test_to_end(engine: Engine, numpy_image: Build) -> None:
    with start(engine, numpy_image, *QUICKLY, "--health-timeout=1s", "--cpus=0.5") as container:
        assert first_line(container.wait_for("healthy")).startswith("healthy: ")


def test_import_that_hangs_is_named(engine: Engine, numpy_image: Build, tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("import time\ntime.sleep(1000)\n")
    trap = {f"{PACKAGES}/numpy/__init__.py": tmp_path / "__init__.py"}
    limit = "--env=ENVGEN_SELFTEST_TIMEOUT=4"
    with start(engine, numpy_image, *QUICKLY, limit, files=trap) as container:
        line = first_line(container.wait_for("unhealthy"))
        assert line.startswith("unhealthy: numpy: import numpy: no answer within the time limit")


def test_full_disk_costs_the_cache_and_not_the_health(engine: Engine, numpy_image: Build) -> None:
    full = ("--read-only", "--tmpfs=/tmp:size=4k", "--env=ENVGEN_STATE_DIR=/tmp")
    with start(engine, numpy_image, *QUICKLY, *full) as container:
        line = first_line(container.wait_for("healthy"))
        assert "every probe tests anew, the verdict cannot be kept" in line
        assert "No space left on device" in line


def test_without_tmp_the_verdict_is_kept_elsewhere(engine: Engine, numpy_image: Build) -> None:
    with start(engine, numpy_image, "--no-healthcheck") as container:
        container.execute("rm", "-rf", "/tmp", "/var/tmp")  # noqa: S108 - in the container
        code, text = container.probe()
        assert code == 0
        assert "tests anew" not in text
        assert "/dev/shm/" in container.execute(*RUNTIME, "explain", user="10001")  # noqa: S108


def test_without_any_place_every_probe_tests_and_says_so(
    engine: Engine, numpy_image: Build
) -> None:
    with start(engine, numpy_image, "--no-healthcheck", "--read-only", "--ipc=none") as container:
        code, text = container.probe()
        assert code == 0
        assert "every probe tests anew, the verdict cannot be kept" in first_line(text)
        code, text = container.probe("--env=ENVGEN_SELFTEST_AT=start")
        assert code == 1
        assert first_line(text).startswith("unhealthy: there is no verdict")


def test_switched_off_at_run_time(engine: Engine, numpy_image: Build) -> None:
    with start(engine, numpy_image, *QUICKLY, "--env=ENVGEN_SELFTEST=off") as container:
        assert "switched off" in first_line(container.wait_for("healthy"))


def test_test_at_the_start_leaves_nothing_to_the_probes(numpy_image: Build) -> None:
    done = subprocess.run(
        [
            *("docker", "run", "--rm", "--env=ENVGEN_SELFTEST_AT=start", numpy_image.id),
            *(*RUNTIME, "start", "--", *RUNTIME, "probe"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("healthy: ")
    assert "envgen: self-test: healthy: " in done.stderr


def test_same_commands_as_on_a_host(engine: Engine, numpy_image: Build) -> None:
    with start(engine, numpy_image, "--no-healthcheck", "--hostname=node-1") as container:
        line = container.execute(*RUNTIME, "record", user="10001").splitlines()[0]
        fingerprint = json.loads(line)
        assert fingerprint["machine"]["name"] == "node-1"
        assert len(fingerprint["key"]["lock"]) == 64
        assert fingerprint["key"]["libraries"]["numpy"]
