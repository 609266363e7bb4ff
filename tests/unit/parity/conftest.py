"""A project whose image is published and whose manifests are as the spec declares."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import pytest
from tests.conftest import go_offline

from envgen.cli import run
from envgen.lock.model import read_lock
from envgen.release.published import PUBLISHED_FILE, Published, PublishedImage, write_published

if TYPE_CHECKING:
    from tests.conftest import Project

DIGEST = f"sha256:{'d' * 64}"
SPEC = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.12"
dependencies = ["torch==2.9.1", "nvidia-cuda-runtime-cu12==12.8.90"]

[images.serve]
gpu = { targets = ["A100"] }
port = 8080
command = ["serve"]
repository = "registry.example/team/serve"
targets = ["compose", "kubernetes", "sagemaker", "apptainer", "ecs", "devcontainer"]

[images.serve.run]
cpus = "0.333"
memory = "2GB"
shm-size = "1GiB"
env = { LOG_LEVEL = "info", ODD = "a$b $(c)" }
volumes = { data = { path = "/data", size = "10GiB", read-only = true } }

[deployments.dev.serve]
gpus = 0
env = { LOG_LEVEL = "debug" }
volumes = { scratch = { path = "/scratch", size = "1GiB" } }

[deployments.prod.serve]
replicas = 3
gpus = 2
memory = "4GiB"
"""


def write_row(lock: str) -> bytes:
    """Return what a push of an image with a lock would have written."""
    row = PublishedImage(
        repository="registry.example/team/serve",
        digest=DIGEST,
        canonical={"linux/amd64": DIGEST},
        platforms=("linux/amd64",),
        lock=lock,
        inputs=DIGEST,
    )
    return write_published(Published(images={"serve": row}))


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of the project, made once."""
    root = tmp_path_factory.mktemp("parity")
    (root / "envgen.toml").write_text(SPEC, encoding="utf-8")
    command = ["render", "--quiet", "-C", str(root)]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        go_offline(patch)
        assert run(command) == 0
        lock = read_lock((root / "envgen.lock").read_bytes()).images["serve"].lock_sha256
        (root / PUBLISHED_FILE).write_bytes(write_row(f"sha256:{lock}"))
        assert run(command) == 0
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def deployed(project: Project, files: dict[str, bytes]) -> Project:
    """Return a project with parity."""
    for path, content in files.items():
        project.write(path, content)
    return project
