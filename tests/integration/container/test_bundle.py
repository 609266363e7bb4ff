"""A bundle has everything: builds from it have no network, and give the same image."""

from __future__ import annotations

import io
import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest
import tomli_w

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Engine

PYPROJECT = """\
[project]
name = "demo-own"
version = "1.0"
dependencies = ["idna"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""


@pytest.fixture(scope="module")
def needed(engine: Engine, package_index: None) -> None:
    """Skip where there is no engine, or no PyPI."""


@pytest.fixture(scope="module")
def bundled(
    needed: None,  # noqa: ARG001 - it skips
    mirrors: dict[str, str],
    ca_bundle: Path,
    copy_example: Callable[[Path], Project],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return a project with an own package on a base without Python, and its bundle."""
    project = copy_example(tmp_path_factory.mktemp("bundle") / "project")
    shutil.copyfile(ca_bundle, project.root / "corp.pem")
    (project.root / "own" / "demo_own").mkdir(parents=True)
    (project.root / "own" / "demo_own" / "__init__.py").write_text("import idna\n", "utf-8")
    (project.root / "own" / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {
            "serve": {
                "base": "docker.io/library/debian:trixie-slim",
                "determinism": "off",
                "install": ["own"],
                "command": ["python", "-c", "import demo_own"],
            }
        },
        "network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors},
    }
    project.spec.write_text(tomli_w.dumps(document), encoding="utf-8")
    for arguments in (("render",), ("fetch", "--to", "bundle")):
        done = project.envgen(*arguments)
        assert done.returncode == 0, done.stderr
    return project


def test_build_without_network_gives_the_same_image(engine: Engine, bundled: Project) -> None:
    with_network = engine.build(bundled, "--no-cache")
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}

    without = engine.build(bundled, "--no-cache", "--bundle", "bundle", **nowhere)

    assert without.id == with_network.id
    assert "import demo_own" in without.config["Cmd"]
    engine.docker("run", "--rm", "--network=none", without.id)


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def comment(wheel: bytes) -> bytes:
    """Return a wheel with the same files; only its hash gives it away."""
    changed = io.BytesIO(wheel)
    with zipfile.ZipFile(changed, "a") as archive:
        archive.comment = b"changed"
    return changed.getvalue()


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("files", comment, "mismatch for `idna=="),
        ("tools", flip, "DO NOT MATCH"),
        ("images", flip, "does not hold the image"),
    ],
)
def test_changed_file_is_refused(
    bundled: Project, tmp_path: Path, kind: str, change: Callable[[bytes], bytes], said: str
) -> None:
    shutil.copytree(bundled.root / "bundle", tmp_path / "bundle")
    for path in (tmp_path / "bundle" / "serve" / kind).iterdir():
        path.write_bytes(change(path.read_bytes()))

    done = bundled.envgen(
        *("build", "serve", "--tag", "envgen-test:flipped", "--no-cache"),
        *("--bundle", str(tmp_path / "bundle"), "--verbose"),
    )

    assert done.returncode != 0
    assert said in done.stderr


def test_bundle_of_another_lock_is_refused(bundled: Project, tmp_path: Path) -> None:
    shutil.copytree(bundled.root / "bundle" / "serve", tmp_path / "bundle" / "serve")
    said = tmp_path / "bundle" / "serve" / "bundle.json"
    said.write_text(said.read_text("utf-8").replace('"lock_sha256":"', '"lock_sha256":"0'), "utf-8")

    done = bundled.envgen("build", "serve", "--bundle", str(tmp_path / "bundle"))

    assert done.returncode != 0
    assert "was made from another lock" in done.stderr
