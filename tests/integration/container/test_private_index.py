"""A build behind a package index of this machine that wants a login."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import tomli_w

from envgen.tables import find_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project, Server
    from tests.integration.container.conftest import Engine

PASSWORD = uuid4().hex


@pytest.fixture(scope="module")
def wheels(package_index: None, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return what the index has: the uv of builds, and the one package that the image needs."""
    del package_index  # it skips
    folder = tmp_path_factory.mktemp("wheels")
    (uv,) = find_tool("uv", ["linux/amd64"])
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    platform = ["--only-binary=:all:", "--platform=manylinux_2_17_x86_64"]
    subprocess.run([*pip, *platform, f"uv=={uv.version}", "idna"], check=True)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def gateway(engine: Engine) -> str:
    """Return this machine's address, as builds see it."""
    template = "{{(index .IPAM.Config 0).Gateway}}"
    return engine.docker("network", "inspect", "bridge", "--format", template)


@pytest.fixture
def index(gateway: str, wheels: list[Path], serve: Callable[..., Server]) -> Server:
    try:
        server = serve(gateway, login=f"ann:{PASSWORD}")
    except OSError as error:
        pytest.skip(f"the gateway of builds is not on this machine: {error}")
    for wheel in wheels:
        server.add_file(wheel.name, wheel.read_bytes())
    return server


@pytest.fixture
def project(
    index: Server,
    mirrors: dict[str, str],
    copy_example: Callable[[Path], Project],
    tmp_path: Path,
) -> Project:
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "private", "python": "3.13", "dependencies": ["idna"]},
        "images": {"serve": {"determinism": "off", "command": ["python", "-c", "import idna"]}},
        "network": {"index": f"{index.url}/simple", "registry-mirrors": mirrors},
    }
    project = copy_example(tmp_path / "private")
    project.spec.write_text(tomli_w.dumps(spec), encoding="utf-8")
    return project


def test_login_reaches_the_build_and_stays_out_of_the_image(
    engine: Engine, index: Server, project: Project, tmp_path: Path
) -> None:
    login = {"ENVGEN_INDEX_USERNAME": "ann", "ENVGEN_INDEX_PASSWORD": PASSWORD}

    image = engine.build(project, "--no-cache", "--verbose", **login)

    fetched = {path.partition("-")[0] for path in index.requests}
    assert {"/files/uv", "/files/idna"} <= fetched
    engine.docker("run", "--rm", image.id)
    assert not [path for path, content in project.files().items() if PASSWORD.encode() in content]
    assert PASSWORD not in image.progress
    history = engine.docker("history", "--no-trunc", image.id)
    assert PASSWORD not in history + json.dumps(image.config)
    saved = tmp_path / "image.tar"
    engine.docker("save", "--output", saved, image.id)
    assert PASSWORD.encode() not in saved.read_bytes()
