"""The project's own packages, one from git and one of an index of its own, in a real build."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import tomli_w

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.conftest import Project, Server
    from tests.integration.container.conftest import Build, Engine

PASSWORD = uuid4().hex
CHANGED = uuid4().hex
CORE = "libs/core/src/acme_core/__init__.py"
LOGIN = {"ENVGEN_INDEX_ACME_USERNAME": "ann", "ENVGEN_INDEX_ACME_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def gateway(engine: Engine) -> str:
    """Return this machine's address, as builds see it."""
    template = "{{(index .IPAM.Config 0).Gateway}}"
    return engine.docker("network", "inspect", "bridge", "--format", template)


@pytest.fixture(scope="module")
def server(gateway: str, start_server: Callable[..., Server]) -> Server:
    """Return an index that wants a login, with torch for CUDA 12.8 without hashes."""
    try:
        server = start_server(gateway, login=f"ann:{PASSWORD}")
    except OSError as error:
        pytest.skip(f"the gateway of builds is not on this machine: {error}")
    server.add_wheel("acme_models", "1.0", index="models", hashed=False)
    return server


@pytest.fixture(scope="module")
def repository(
    gateway: str, start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Return the address of a repository with one package."""
    work = tmp_path_factory.mktemp("repository")
    write_package(work, "acme-tools", "hatchling")
    (work / "acme_tools.py").write_text("NAME = 'tools'\n", encoding="utf-8")
    (work / "README.md").write_text("tools\n", encoding="utf-8")
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    for words in (["init"], ["add", "."], ["commit", "-m", "1"], ["tag", "v1"]):
        subprocess.run(["git", *who, *words], cwd=work, check=True, capture_output=True)
    subprocess.run(["git", "repack", "-ad"], cwd=work, check=True, capture_output=True)
    subprocess.run(["git", "update-server-info"], cwd=work, check=True, capture_output=True)
    server = start_server(gateway)
    for path in (work / ".git").rglob("*"):
        if path.is_file():
            name = path.relative_to(work / ".git").as_posix()
            server.pages[f"/tools.git/{name}"] = path.read_bytes()
    refs = "/tools.git/info/refs"
    server.pages[f"{refs}?service=git-upload-pack"] = server.pages[refs]
    return f"{server.url}/tools.git"


def write_package(folder: Path, name: str, backend: str, *needs: str) -> None:
    modules = {"hatchling": "hatchling.build", "setuptools": "setuptools.build_meta"}
    document: dict[str, Any] = {
        "build-system": {"requires": [backend], "build-backend": modules[backend]},
        "project": {"name": name, "version": "1.0", "dependencies": list(needs)},
        "tool": {"uv": {"sources": {"acme-core": {"workspace": True}}}},
    }
    if name == "acme-api":
        document["project"]["scripts"] = {"acme": "acme_api:main"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(tomli_w.dumps(document), encoding="utf-8")


@pytest.fixture(scope="module")
def workspace(  # noqa: PLR0917 - fixtures
    server: Server,
    repository: str,
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,  # noqa: ARG001 - it skips
    copy_example: Callable[[Path], Project],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return a workspace with two members of different build backends; its root is a third."""
    project = copy_example(tmp_path_factory.mktemp("own") / "a shop")
    root = project.root
    project.spec.unlink()
    (root / "corp.pem").write_bytes(ca_bundle.read_bytes())
    write_package(root / "libs/core", "acme-core", "hatchling", "idna")
    write_package(root / "libs/api", "acme-api", "setuptools", "acme-core")
    modules = {
        CORE: "import idna\nNAME = 'core'\n",
        "libs/api/acme_api/__init__.py": "import acme_core\n\n\ndef main():\n"
        "    import acme_models, acme_tools, shop\n"
        "    print(acme_core.NAME, acme_tools.NAME, acme_models.VERSION, shop.NAME)\n",
        "src/shop/__init__.py": "NAME = 'shop'\n",
        "secret.txt": PASSWORD,
    }
    for path, text in modules.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    document = {
        "build-system": {"requires": ["hatchling"], "build-backend": "hatchling.build"},
        "project": {
            "name": "shop",
            "version": "0",
            "requires-python": ">=3.11,<3.14",
            "dependencies": ["acme-api", "acme-models", "acme-tools"],
        },
        "tool": {
            "uv": {
                "workspace": {"members": ["libs/*"]},
                "sources": {
                    "acme-api": {"workspace": True},
                    "acme-tools": {"git": repository, "tag": "v1"},
                    "acme-models": {"index": "acme"},
                },
                "index": [{"name": "acme", "url": f"{server.url}/models", "explicit": True}],
            },
            "envgen": {
                "format": 1,
                "epoch": "2026.11",
                "project": {"python": "3.13"},
                "images": {"serve": {"determinism": "off", "install": ["."], "command": ["acme"]}},
                "network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors},
            },
        },
    }
    (root / "pyproject.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def built(engine: Engine, workspace: Project) -> Build:
    return engine.build(workspace, **LOGIN)


def run(engine: Engine, image: Build) -> str:
    return engine.docker("run", "--rm", image.id)


def test_own_packages_run_beside_those_from_git_and_another_index(
    engine: Engine, built: Build
) -> None:
    assert run(engine, built) == "core tools 1.0 shop"


def test_nothing_else_of_the_project_and_no_tool_is_in_the_image(
    engine: Engine, built: Build, tmp_path: Path
) -> None:
    saved = tmp_path / "image.tar"
    engine.docker("save", "--output", saved, built.id)

    assert PASSWORD.encode() not in saved.read_bytes()
    modules = ("hatchling", "setuptools", "git")
    found = engine.docker(
        "run",
        "--rm",
        built.id,
        "python",
        "-c",
        "import importlib.util, shutil\n"
        f"print([m for m in {modules} if importlib.util.find_spec(m) or shutil.which(m)])",
    )
    assert found == "[]"


@pytest.fixture
def changed(engine: Engine, workspace: Project, built: Build) -> Iterator[Build]:
    """Return the image after a change of one member's code."""
    del built  # it is built before
    source = workspace.root / CORE
    before = source.read_bytes()
    source.write_bytes(before + f"NAME = {CHANGED!r}\n".encode())
    yield engine.build(workspace, **LOGIN)
    source.write_bytes(before)


def test_change_of_code_moves_their_layer_alone(
    engine: Engine, built: Build, changed: Build
) -> None:
    assert run(engine, changed) == f"{CHANGED} tools 1.0 shop"
    assert {step.split()[0] for step in changed.executed if not step.startswith("stage-")} == {
        "wheels",
        "own",
    }
    pairs = zip(built.layers, changed.layers, strict=True)
    assert sum(old != new for old, new in pairs) == 1


def test_build_without_cache_gives_the_same_layers(
    engine: Engine, workspace: Project, built: Build
) -> None:
    again = engine.build(workspace, "--no-cache", **LOGIN)

    assert again.layers == built.layers


def test_file_that_is_not_the_locked_one_is_refused(
    workspace: Project, server: Server, built: Build
) -> None:
    del built  # with the right file
    right = dict(server.pages)
    server.add_wheel("acme_models", "1.0", "idna", index="models", hashed=False)
    try:
        done = workspace.envgen("build", "serve", "--no-cache", **LOGIN)
    finally:
        server.pages = right

    assert done.returncode == 6
    assert "Hash mismatch for `acme-models==1.0`" in done.stderr
