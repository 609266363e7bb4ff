"""The same Dockerfile, built without Docker.

buildah is the one on PATH, or that of a system tree that BUILDAH_ROOT names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Build, Engine

FLOWER = {"sepal_length": 6.7, "sepal_width": 3.0, "petal_length": 5.2, "petal_width": 2.3}


class Buildah:
    """buildah with a store of its own in a scratch folder of the tree that it runs in."""

    def __init__(self, tree: Path, scratch: Path) -> None:
        self.scratch = scratch
        self.inside = Path("/", scratch.relative_to(tree))
        self._chroot = () if tree == Path("/") else ("chroot", str(tree))
        # It wants to see this helper even where a build uses the network of the host.
        helper = scratch / "bin" / "netavark"
        helper.parent.mkdir()
        helper.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        helper.chmod(0o755)
        (scratch / "containers.conf").write_text(
            f'[engine]\nhelper_binaries_dir = ["{self.inside}/bin"]\n', encoding="utf-8"
        )

    def run(self, command: str, *arguments: str) -> str:
        stores = (f"--root={self.inside}/root", f"--runroot={self.inside}/run")
        done = subprocess.run(
            [*self._chroot, "buildah", *stores, command, *arguments],
            env={
                **os.environ,
                "CONTAINERS_CONF": f"{self.inside}/containers.conf",
                "TMPDIR": str(self.inside),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def buildah() -> Iterator[Buildah]:
    tree = Path(os.environ.get("BUILDAH_ROOT", "/"))
    if not shutil.which("buildah", path=f"{tree}/usr/bin" if tree != Path("/") else None):
        pytest.skip("buildah is neither on PATH nor in the tree that BUILDAH_ROOT names")
    if os.geteuid() != 0:
        pytest.skip("only a buildah that runs as root is tried")
    parent = tree / "var" / "tmp"
    scratch = Path(tempfile.mkdtemp(prefix="envgen-buildah-", dir=parent))
    program = Buildah(tree, scratch)
    try:
        yield program
        program.run("rmi", "--all", "--force")
    finally:
        shutil.rmtree(scratch)


def test_image_of_buildah_answers(
    engine: Engine, iris: Project, image: Build, buildah: Buildah
) -> None:
    shutil.copytree(iris.root, buildah.scratch / "context")
    context = f"{buildah.inside}/context"
    name = f"localhost/envgen-test:{uuid4().hex}"

    buildah.run(
        "build",
        "--format=docker",
        "--isolation=chroot",
        "--network=host",
        "--tls-verify=false",
        "--ulimit=nofile=1024:1024",
        "--ulimit=nproc=4096:4096",
        f"--secret=id=ca,src={context}/corp.pem",
        f"--file={context}/environments/serve/Dockerfile",
        f"--tag={name}",
        context,
    )
    buildah.run("push", name, f"docker-archive:{buildah.inside}/image.tar:{name}")
    engine.docker("load", "--input", buildah.scratch / "image.tar")
    engine.own_image(name)

    built = engine.inspect_image(name)
    assert built.config["Healthcheck"] == image.config["Healthcheck"]
    assert built.config["User"] == image.config["User"]
    with engine.start(built.id) as container:
        assert container.post("/predict", FLOWER) == {"species": "virginica"}
