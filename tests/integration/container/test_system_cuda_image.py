"""CUDA libraries out of another image, and a base whose cuda-compat is hidden.

The images are stand-ins: they have the real ones' layout and no library of NVIDIA's.
GPU: not tested here, no GPU.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import tomli_w

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Engine

OWN = """\
FROM {mirror}/library/python:3.13-slim-trixie
RUN mkdir -p /usr/local/cuda-12.8/targets/any/lib /usr/local/cuda-12.8/compat /etc/alternatives \\
 && ln -s targets/any/lib /usr/local/cuda-12.8/lib64 \\
 && ln -s /usr/local/cuda-12.8 /etc/alternatives/cuda \\
 && ln -s /etc/alternatives/cuda /usr/local/cuda \\
 && touch /usr/local/cuda-12.8/targets/any/lib/libcudart.so.12 \\
      /usr/local/cuda-12.8/compat/libcuda.so.570.124.06
ENV CUDA_VERSION=12.8.1 NVIDIA_REQUIRE_CUDA="cuda>=12.8 brand=tesla,driver>=535,driver<536"
"""


@pytest.fixture
def make_project(
    copy_example: Callable[[Path], Project],
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,
    tmp_path: Path,
) -> Callable[..., Project]:
    """Return a function from an image's table to a project with that image."""
    del package_index  # it skips
    if "docker.io" not in mirrors:
        pytest.skip("no registry with stand-ins for nvidia/cuda: the real ones are gigabytes")

    def make(**image: Any) -> Project:
        project = copy_example(tmp_path / "cuda")
        (project.root / "corp.pem").write_bytes(ca_bundle.read_bytes())
        document = {
            "format": 1,
            "epoch": "2026.11",
            "project": {"name": "cuda", "python": "3.13", "dependencies": ["idna"]},
            "images": {"serve": {"determinism": "off", "command": ["python", "-V"], **image}},
            "network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors},
        }
        project.spec.write_text(tomli_w.dumps(document), encoding="utf-8")
        return project

    return make


@pytest.fixture
def own_base(engine: Engine, mirrors: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Return an image with CUDA and cuda-compat, laid out as nvidia/cuda does."""
    mirror = mirrors.get("docker.io", "")
    (tmp_path / "Dockerfile").write_text(OWN.format(mirror=mirror), encoding="utf-8")
    tag = f"{mirror}/envgen-test/cuda:{uuid4().hex}"
    engine.docker("build", "--quiet", "--tag", tag, tmp_path)
    engine.docker("push", "--quiet", tag)
    yield tag
    engine.docker("image", "rm", "--force", tag)


def shell(image: str, script: str) -> str:
    command = ["docker", "run", "--rm", "--entrypoint", "sh", image, "-ec", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_libraries_are_there_and_found_by_the_loader(
    engine: Engine, make_project: Callable[..., Project]
) -> None:
    project = make_project(base="cuda-cudnn-runtime", gpu={"cuda": "12.8"})

    image = engine.build(project)

    version = json.loads(shell(image.id, "cat /usr/local/cuda/version.json"))
    assert version["cuda"]["version"] == "12.8.1"
    assert shell(image.id, "cat /etc/ld.so.conf.d/cuda.conf") == "/usr/local/cuda/lib64"
    assert shell(image.id, "ls /usr/local/cuda").split() == ["lib64", "version.json"]
    assert "NVIDIA_REQUIRE_CUDA=cuda>=12.0" in image.config["Env"]
    assert not any(entry.startswith("CUDA_VERSION=") for entry in image.config["Env"])
    # The files, not the layer: Docker 28 now and then writes equal entries in another order.
    hashes = "find /usr/local/cuda* /etc/ld.so.* -type f -exec sha256sum {} + | sort"
    assert shell(engine.build(project, "--no-cache").id, hashes) == shell(image.id, hashes)


def test_compat_of_an_own_base_is_hidden_from_the_toolkit_and_the_rest_is_there(
    engine: Engine, make_project: Callable[..., Project], own_base: str
) -> None:
    project = make_project(base=own_base, gpu={"targets": ["RTX 4090"]})

    image = engine.build(project)

    assert shell(image.id, "ls /usr/local/cuda/ /usr/local/cuda/lib64/").split() == [
        *("/usr/local/cuda/:", "lib64", "targets"),
        *("/usr/local/cuda/lib64/:", "libcudart.so.12"),
    ]
    assert "NVIDIA_REQUIRE_CUDA=cuda>=12.0" in image.config["Env"]


def test_compat_stays_for_data_center_gpus(
    engine: Engine, make_project: Callable[..., Project], own_base: str
) -> None:
    image = engine.build(make_project(base=own_base, gpu={"targets": ["A100"]}))

    assert shell(image.id, "ls /usr/local/cuda/compat") == "libcuda.so.570.124.06"
