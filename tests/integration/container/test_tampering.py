"""What was tampered with after it was locked gets into no image, whatever locked it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import tomli_w
from tests.integration.conda_channel import Channel, Package

from envgen.lockers.tool_environment import ensure_tool
from envgen.tables import find_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project, Server
    from tests.integration.container.conftest import Engine

WHEEL = "/files/demo_core-1.0-py3-none-any.whl"
WISH = "{} ; python_version < '3'"
PYLOCK = "environments/serve/pylock.packages.toml"
DOCKERFILE = "environments/serve/Dockerfile"


@pytest.fixture(scope="module")
def installers(package_index: None, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return what builds install with."""
    del package_index  # it skips
    folder = tmp_path_factory.mktemp("wheels")
    tools = [find_tool(name, ["linux/amd64"])[0] for name in ("uv", "py-rattler")]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    platform = ["--only-binary=:all:", "--platform=manylinux_2_17_x86_64"]
    subprocess.run(
        [*pip, *platform, *(f"{tool.name}=={tool.version}" for tool in tools)], check=True
    )
    return [folder / tool.file for tool in tools]


@pytest.fixture(scope="module")
def gateway(engine: Engine) -> str:
    """Return this machine's address, as builds see it."""
    template = "{{(index .IPAM.Config 0).Gateway}}"
    return engine.docker("network", "inspect", "bridge", "--format", template)


@pytest.fixture
def index(gateway: str, installers: list[Path], serve: Callable[..., Server]) -> Server:
    try:
        server = serve(gateway)
    except OSError as error:
        pytest.skip(f"the gateway of builds is not on this machine: {error}")
    for wheel in installers:
        server.add_file(wheel.name, wheel.read_bytes())
    server.add_wheel("demo_core", "1.0", WISH.format("good"))
    return server


@pytest.fixture
def make_project(
    index: Server,
    mirrors: dict[str, str],
    copy_example: Callable[[Path], Project],
    tmp_path: Path,
) -> Callable[..., Project]:
    """Return what locks a project whose image `serve` a locker locks, and renders it."""

    def make(locker: str, **image: object) -> Project:
        if locker in {"poetry", "conda-lock"}:
            ensure_tool(locker)
        command = ["python", "-c", "import demo_core"]
        described = {"locker": locker, "determinism": "off", "command": command, **image}
        spec = {
            "format": 1,
            "epoch": "2026.11",
            "project": {"name": "demo", "python": "3.13", "dependencies": ["demo-core"]},
            "images": {"serve": described},
            "network": {"index": f"{index.url}/simple", "registry-mirrors": mirrors},
        }
        project = copy_example(tmp_path / "project")
        project.spec.write_text(tomli_w.dumps(spec), encoding="utf-8")
        caches = {"POETRY_CACHE_DIR": tmp_path / "poetry", "UV_CACHE_DIR": tmp_path / "uv"}
        project.env.update({name: str(path) for name, path in caches.items()})
        done = project.envgen("render")
        assert done.returncode == 0, done.stderr
        return project

    return make


def refuse(project: Project, said: str) -> None:
    """Expect that a build from nothing fails with these words and leaves no image."""
    tag = f"envgen-test:{uuid4().hex}"
    done = project.envgen("build", "serve", "--tag", tag, "--no-cache", "--frozen", "--verbose")

    assert done.returncode != 0
    assert re.search(said, done.stderr), done.stderr
    found = subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False)
    assert found.returncode != 0, "there is an image all the same"


@pytest.mark.parametrize("locker", ["uv", "pip", "poetry"])
def test_tampered_wheel_is_refused(
    engine: Engine, index: Server, make_project: Callable[..., Project], locker: str
) -> None:
    project = make_project(locker)
    untouched = engine.build(project, "--no-cache")
    engine.docker("run", "--rm", untouched.id)
    sound = index.pages[WHEEL]
    index.add_wheel("demo_core", "1.0", WISH.format("evil"))
    assert index.pages[WHEEL] != sound
    assert len(index.pages[WHEEL]) == len(sound), "a size would give it away"

    refuse(project, r"[Hh]ash mismatch for `?demo-core")


def test_tampered_conda_package_is_refused(
    gateway: str, make_project: Callable[..., Project], tmp_path: Path
) -> None:
    channel = Channel(tmp_path / "channel")
    tool = Package("tool", files={"etc/tool.cfg": b"sound\n"})
    channel.add(Package("python", "3.13.0"), tool)
    with channel.serve(gateway) as url:
        project = make_project("conda-lock", conda=["tool"], channels=[url])
        evil = Channel(tmp_path / "evil")
        evil.add(replace(tool, files={"etc/tool.cfg": b"evil\n"}))
        served = channel.folder / tool.subdir / tool.filename
        served.write_bytes((evil.folder / tool.subdir / tool.filename).read_bytes())

        refuse(project, "hash mismatch")


def test_tampered_lock_is_refused_by_plain_docker(make_project: Callable[..., Project]) -> None:
    project = make_project("uv")
    pylock = project.root / PYLOCK
    text = pylock.read_text(encoding="utf-8")
    pylock.write_text(re.sub('sha256 = ".{8}', 'sha256 = "00000000', text), encoding="utf-8")

    checked = project.envgen("render", "--check")
    assert checked.returncode == 1
    assert "pylock.packages.toml is not the one that was written" in checked.stderr
    done = subprocess.run(
        ["docker", "build", "--no-cache", "--file", DOCKERFILE, "."],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert re.search(r"[Hh]ash mismatch for `?demo-core", done.stderr), done.stderr
