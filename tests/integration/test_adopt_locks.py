"""Locks that somebody made with uv, poetry, pip and conda-lock are taken over with their pins.

Newer versions are published before envgen locks: a pin that is not kept would move.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uv
from tests.integration.conda_channel import Channel, Package

from envgen.lock import resolve
from envgen.lock.model import LockedBase
from envgen.lockers import conda_lock_program
from envgen.lockers.tool_environment import ensure_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Server

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index", "own_tools")]

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PROJECT = f"""\
[project]
name = "mine"
version = "1"
requires-python = ">={PYTHON},<3.{sys.version_info.minor + 1}"
dependencies = ["demo-app"]
"""


@pytest.fixture
def own_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let lockers have caches of their own, and no conda of this machine; answer for registries."""

    def pin_base(image: str, **_: object) -> LockedBase:
        return LockedBase(image=image, digest=f"sha256:{'a' * 64}", origin="registry")

    for tool in ("poetry", "conda-lock"):
        ensure_tool(tool)
    monkeypatch.setenv("POETRY_CACHE_DIR", str(tmp_path / "poetry"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setattr(resolve, "pin_base", pin_base)
    monkeypatch.setattr(conda_lock_program, "_SOLVERS", ())
    conda_lock_program._find_solver.cache_clear()
    yield
    conda_lock_program._find_solver.cache_clear()


@pytest.fixture
def index(serve: Callable[..., Server]) -> Server:
    server = serve()
    server.add_wheel("demo_core", "1.0")
    server.add_wheel("demo_app", "1.0", "demo-core")
    return server


def publish(index: Server) -> None:
    """Offer what a lock made anew would take."""
    index.add_wheel("demo_core", "2.0")
    index.add_wheel("demo_app", "2.0", "demo-core")


@pytest.fixture
def folder(project: Any) -> Any:
    """Return a project without a spec."""
    (project.root / "envgen.toml").unlink()
    return project


def run(folder: Any, *command: str | Path) -> None:
    done = subprocess.run(command, cwd=folder.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def take_over(folder: Any, source: str) -> dict[str, str]:
    """Start from a file, lock, and return the versions."""
    told = folder.run("init", "--from", str(folder.root / source))
    assert told.code == 0, told.err
    if not (folder.root / "envgen.toml").exists():
        folder.write("pyproject.toml", folder.read("pyproject.toml") + told.out)
    locked = folder.run("lock")
    assert locked.code == 0, locked.err
    found: dict[str, str] = {}
    for file in (folder.root / "environments" / "app").glob("*.toml"):
        packages = tomllib.loads(file.read_text()).get("packages", [])
        found |= {package["name"]: package["version"] for package in packages}
    return found


PINS = {"demo-app": "1.0", "demo-core": "1.0"}


@pytest.mark.parametrize("source", ["pyproject.toml", "uv.lock"])
def test_lock_of_uv(folder: Any, index: Server, source: str) -> None:
    settings = f'[[tool.uv.index]]\nurl = "{index.url}/simple"\ndefault = true\n'
    folder.write("pyproject.toml", PROJECT + settings)
    run(folder, uv.find_uv_bin(), "lock", f"--python={sys.executable}")
    publish(index)
    network = f'[tool.envgen.network]\nindex = "{index.url}/simple"\n'
    if source == "uv.lock":
        told = folder.run("init", "--from", str(folder.root / source))
        assert told.code == 0, told.err
        text = folder.read("envgen.toml") + network.replace("tool.envgen.", "")
        folder.write("envgen.toml", text)
    else:
        table = folder.run("init").out
        folder.write("pyproject.toml", folder.read("pyproject.toml") + table + network)

    assert folder.run("lock").code == 0

    locked = tomllib.loads(folder.read("environments/app/uv.lock"))["package"]
    assert {p["name"]: p["version"] for p in locked if p["name"] in PINS} == PINS


@pytest.mark.parametrize("source", ["pyproject.toml", "poetry.lock"])
def test_lock_of_poetry(folder: Any, index: Server, source: str) -> None:
    settings = f'[[tool.poetry.source]]\nname = "ours"\nurl = "{index.url}/simple"\n'
    poetry = f'[tool.poetry]\npackage-mode = false\n{settings}priority = "primary"\n'
    folder.write("pyproject.toml", PROJECT + poetry)
    run(folder, ensure_tool("poetry") / "poetry", "lock", "--no-interaction")
    publish(index)
    if source == "pyproject.toml":
        folder.write("pyproject.toml", PROJECT)
        network = f'[tool.envgen.network]\nindex = "{index.url}/simple"\n'
        table = folder.run("init").out
        folder.write("pyproject.toml", PROJECT + table + network)
        assert folder.run("lock").code == 0
        (file,) = (folder.root / "environments" / "app").glob("pylock*.toml")
        packages = tomllib.loads(file.read_text())["packages"]
        found = {package["name"]: package["version"] for package in packages}
    else:
        found = take_over(folder, source)

    assert found == PINS
    ours, theirs = (
        tomllib.loads(folder.read(path))["package"]
        for path in ("environments/app/poetry.lock", "poetry.lock")
    )
    files = [{entry["name"]: entry["files"] for entry in lock} for lock in (ours, theirs)]
    assert files[0] == files[1]


@pytest.mark.parametrize("source", ["requirements.in", "requirements.txt"])
def test_lock_of_pip(folder: Any, index: Server, source: str) -> None:
    folder.write("requirements.in", f"--index-url {index.url}/simple\ndemo-app\n")
    compiled = [uv.find_uv_bin(), "pip", "compile", "requirements.in", "--generate-hashes"]
    compiled += ["--output-file=requirements.txt", f"--python-version={PYTHON}", "--emit-index-url"]
    run(folder, *compiled, f"--python={sys.executable}")
    publish(index)

    assert take_over(folder, source) == PINS

    spec = tomllib.loads(folder.read("envgen.toml"))
    assert spec["images"]["app"]["locker"] == "pip"
    pin = "demo-app" if source == "requirements.in" else "demo-app==1.0"
    assert spec["project"]["dependencies"] == [pin]
    assert spec["project"]["python"] == PYTHON


@pytest.mark.parametrize("source", ["environment.yml", "conda-lock.yml"])
def test_lock_of_conda_lock(folder: Any, tmp_path: Path, source: str) -> None:
    channel = Channel(tmp_path / "channel")
    channel.add(Package("python", f"{PYTHON}.7", "h1_0"), Package("libdemo", "1.0"))
    channel.add(Package("demo", "1.0", depends=("libdemo",)))
    with channel.serve() as address:
        environment = {"channels": [address], "platforms": ["linux-64"]}
        wanted = [f"python={PYTHON}", "demo"]
        folder.write("environment.yml", _write_yaml(environment | {"dependencies": wanted}))
        lock_as_a_user(folder, tmp_path)
        channel.add(Package("libdemo", "2.0"), Package("demo", "2.0", depends=("libdemo",)))

        found = take_over(folder, source)

    assert found == {"demo": "1.0", "libdemo": "1.0", "python": f"{PYTHON}.7"}
    spec = tomllib.loads(folder.read("envgen.toml"))["images"]["app"]
    assert spec["channels"] == [address]


def _write_yaml(document: dict[str, list[str]]) -> str:
    lines = (
        f"{key}:\n" + "".join(f"  - {entry}\n" for entry in entries)
        for key, entries in document.items()
    )
    return "".join(lines)


def lock_as_a_user(folder: Any, scratch: Path) -> None:
    programs = ensure_tool("conda-lock")
    script = Path(conda_lock_program.__file__).with_name("conda_executable.py")
    solver = scratch / "conda"
    solver.write_text(f'#!/bin/sh\nexec {programs / "python"} -I {script} "$@"\n')
    solver.chmod(0o700)
    run(folder, programs / "conda-lock", "lock", f"--conda={solver}", "--file=environment.yml")
