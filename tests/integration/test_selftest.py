"""The self-test with a real PyTorch, and in a real container.

GPU: not tested here, no GPU. The workloads on CUDA devices are those of the CPU.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from typing import TYPE_CHECKING, Any

import pytest

from envgen.resources import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TORCH = "torch==2.13.0"
BASE = "python:3.13-slim-trixie"


@pytest.fixture(scope="session")
def torch_python(request: pytest.FixtureRequest) -> Path:
    """An interpreter with torch for CPUs, made once and kept in pytest's cache (about 1 GB)."""
    cache = request.config.cache
    assert cache is not None
    directory = cache.mkdir(f"selftest-{TORCH}-py{sys.version_info[0]}.{sys.version_info[1]}")
    python, ready = directory / "bin" / "python", directory / "ready"
    if ready.exists():
        return python
    venv.create(directory, with_pip=True, clear=True)
    # Only a wheel from this machine: the one on PyPI is for CUDA and brings gigabytes.
    for options in (["--no-index", "--no-deps"], []):
        pip = [str(python), "-m", "pip", "install", *options, TORCH]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"{TORCH} for CPUs cannot be installed: {done.stderr.splitlines()[-1:]}")
    ready.touch()
    return python


class Image:
    """A copy of the runtime, and the environment that an image would give it."""

    def __init__(self, directory: Path, python: Path) -> None:
        self.python = python
        self.package = directory / "envgen_runtime"
        shutil.copytree(
            RUNTIME / "envgen_runtime",
            self.package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ENVGEN_")}
        self.environment = kept | {
            "ENVGEN_STATE_DIR": str(directory),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            # On some virtual machines the CPU announces AMX and does not have it: bfloat16 then
            # ends in SIGILL, which the self-test finds, and which is not what is tested here.
            "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16",
        }

    def run(self, *arguments: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, *flags, self.package, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def torch_report(self) -> dict[str, Any]:
        report = json.loads(self.run("run", "--json").stdout)
        return next(item for item in report["frameworks"] if item["name"] == "torch")

    def edit(self, old: str, new: str) -> None:
        path = self.package / "torch_workloads.py"
        source = path.read_text()
        assert old in source
        path.write_text(source.replace(old, new))


@pytest.fixture
def image(tmp_path: Path, torch_python: Path) -> Image:
    return Image(tmp_path, torch_python)


@pytest.mark.network
def test_torch_is_reproducible_on_the_cpu(image: Image) -> None:
    report = image.torch_report()
    assert report["error"] is None
    assert report["version"].startswith("2.13.0")
    assert "cpu" in report["devices"]
    on_cpu = [work for work in report["workloads"] if work["device"] == "cpu"]
    assert len(on_cpu) == 10
    assert {work["status"] for work in on_cpu} == {"reproducible here"}
    assert {work["control"] for work in on_cpu} == {"caught"}
    assert len({work["sha256"] for work in on_cpu}) == len(on_cpu)


@pytest.mark.network
def test_cached_probe_does_not_import_torch(image: Image) -> None:
    assert image.run("probe").returncode == 0
    cached = image.run("probe", flags=("-X", "importtime"))
    assert cached.returncode == 0
    assert "envgen_runtime.state" in cached.stderr
    assert "torch" not in cached.stderr


@pytest.mark.network
def test_work_without_its_seed_is_named(image: Image) -> None:
    image.edit(
        '"dropout": _dropout', '"dropout": lambda device: _pieces(x=F.dropout(torch.ones(999)))'
    )
    probe = image.run("probe")
    assert probe.returncode == 1
    assert probe.stdout.startswith("unhealthy: torch 2.13.0")
    assert "dropout on cpu: not reproducible" in probe.stdout.partition("\n")[0]


@pytest.mark.network
def test_gradients_are_compared_too(image: Image) -> None:
    # Not torch.rand(): the global generator starts from a constant in every process.
    image.edit(
        "return _pieces(table=table.grad)",
        "g = torch.Generator(); g.seed()\n"
        "    return _pieces(table=table.grad + torch.rand(1, generator=g))",
    )
    statuses = {work["name"]: work["status"] for work in image.torch_report()["workloads"]}
    assert statuses.pop("embedding") == "not reproducible"
    assert set(statuses.values()) == {"reproducible here"}


@pytest.mark.network
def test_operation_that_refuses_is_not_supported_and_named(image: Image) -> None:
    # put_ without accumulate has no deterministic form on any device.
    put = "torch.zeros(9).put_(torch.tensor([1, 1]), torch.ones(2))"
    image.edit('"embedding": _embedding', f'"put": lambda device: _pieces(x={put})')
    report = image.torch_report()
    (refused,) = [work for work in report["workloads"] if work["name"] == "put"]
    assert refused["status"] == "not supported"
    assert "put_" in refused["detail"]
    assert image.run("probe").returncode == 0


@pytest.mark.network
def test_seed_everything_seeds_torch(image: Image) -> None:
    code = (
        "from envgen_runtime import seed_everything as seed; import torch;"
        "names = seed(3); first = torch.rand(5); seed(3);"
        "print(names[0], names[-1], bool((first == torch.rand(5)).all()))"
    )
    done = subprocess.run(
        [image.python, "-c", code],
        env=image.environment | {"PYTHONPATH": str(image.package.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "random torch True\n"


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
    lines = dict(line.split(": ", 1) for line in explained.splitlines()[:5] if ": " in line)
    assert lines["verdict"].startswith("healthy: ")
    return lines["kept in"]
