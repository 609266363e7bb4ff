"""Locks made with packages from PyPI."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
import tomli_w
import uv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project, Server

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]

UV_LOCK = "environments/serve/uv.lock"
PYLOCK = "environments/serve/pylock.packages.toml"


@pytest.fixture(scope="module")
def locked(
    copy_example: Callable[[Path], Project], tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return the example, locked and rendered."""
    project = copy_example(tmp_path_factory.mktemp("locked") / "iris")
    done = project.envgen("render")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def project(copy_example: Callable[[Path], Project], tmp_path: Path) -> Project:
    return copy_example(tmp_path / "project")


def require(project: Project, *requirements: str, **image: object) -> None:
    """Make the project's image need just these packages."""
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13", "dependencies": list(requirements)},
        "images": {"serve": image},
    }
    project.spec.write_text(tomli_w.dumps(spec), encoding="utf-8")


def test_every_artifact_of_the_example_has_a_hash_and_a_size(locked: Project) -> None:
    layers = [text for path, text in locked.files().items() if "/pylock." in path]
    packages = [row for text in layers for row in tomllib.loads(text.decode())["packages"]]

    assert {"fastapi", "numpy", "scikit-learn", "scipy", "uvicorn"} <= {p["name"] for p in packages}
    for package in packages:
        for wheel in package["wheels"]:
            assert re.fullmatch("[0-9a-f]{64}", wheel["hashes"]["sha256"])
            assert wheel["size"] > 0


def test_check_agrees_with_what_was_just_made(locked: Project) -> None:
    done = locked.envgen("render", "--check")

    assert done.returncode == 0, done.stderr


def test_locking_again_changes_no_byte(locked: Project) -> None:
    before = locked.files()

    done = locked.envgen("lock")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "nothing changed\n"
    assert locked.files() == before


def test_locking_elsewhere_gives_the_same_bytes(locked: Project, project: Project) -> None:
    shutil.copytree(locked.root / "environments", project.root / "environments")
    shutil.copy(locked.root / "envgen.lock", project.root)

    done = project.envgen("lock", LC_ALL="C", TZ="Pacific/Apia")

    assert done.returncode == 0, done.stderr
    assert project.files() == locked.files()


def test_uv_accepts_the_lock(locked: Project) -> None:
    folder = locked.root / "environments" / "serve"

    done = subprocess.run(
        [uv.find_uv_bin(), "lock", "--check"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_unknown_package_is_named(project: Project) -> None:
    require(project, "no-such-package-of-envgen-tests>=1")
    before = project.files()

    done = project.envgen("lock")

    assert done.returncode == 4, done.stderr
    assert "there is no package 'no-such-package-of-envgen-tests' on the index" in done.stderr
    assert "did not answer" not in done.stderr
    assert project.files() == before


def test_requirements_that_exclude_each_other_are_explained(project: Project) -> None:
    require(project, "fastapi>=0.115", "starlette<0.20")

    done = project.envgen("lock")

    assert done.returncode == 4, done.stderr
    assert "images.serve: its dependencies cannot be met together" in done.stderr
    assert "starlette<0.20" in done.stderr
    assert "unsatisfiable" in done.stderr


def test_package_without_a_wheel_needs_permission(project: Project) -> None:
    require(project, "antlr4-python3-runtime==4.9.3")

    refused = project.envgen("lock")
    assert refused.returncode == 4, refused.stderr
    assert "antlr4-python3-runtime 4.9.3 has no wheel for CPython 3.13" in refused.stderr
    assert 'allow-source = ["antlr4-python3-runtime"]' in refused.stderr

    require(
        project, "antlr4-python3-runtime==4.9.3", **{"allow-source": ["antlr4-python3-runtime"]}
    )
    allowed = project.envgen("lock")
    assert allowed.returncode == 0, allowed.stderr
    assert b"antlr4-python3-runtime-4.9.3.tar.gz" in project.files()[PYLOCK]


@pytest.fixture
def offline(serve: Callable[..., Server]) -> dict[str, str]:
    """Return variables that cut a program off from every network but this machine."""
    with_nothing_there = serve()
    with_nothing_there.stop()
    proxy = with_nothing_there.url
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    cut = {spelled: proxy for name in names for spelled in (name, name.lower())}
    return cut | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "UV_HTTP_RETRIES": "0"}


def test_without_network_an_empty_cache_cannot_help(
    project: Project, offline: dict[str, str], tmp_path: Path
) -> None:
    require(project, "idna>=3")
    before = project.files()

    done = project.envgen("lock", UV_CACHE_DIR=str(tmp_path / "cache"), **offline)

    assert done.returncode == 5, done.stderr
    assert "the package index did not answer" in done.stderr
    assert project.files() == before


def test_without_network_a_warm_cache_is_enough(
    project: Project, offline: dict[str, str], tmp_path: Path
) -> None:
    require(project, "idna>=3")
    cache = {"UV_CACHE_DIR": str(tmp_path / "cache")}
    online = project.envgen("lock", **cache)
    assert online.returncode == 0, online.stderr
    expected = project.files()
    (project.root / UV_LOCK).unlink()

    done = project.envgen("lock", **cache, **offline)

    assert done.returncode == 0, done.stderr
    assert "warning: serve: the index did not answer; locked from uv's cache" in done.stderr
    assert project.files()[PYLOCK] == expected[PYLOCK]
