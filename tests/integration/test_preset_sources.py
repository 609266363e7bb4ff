"""Presets out of real git repositories and real wheels."""

from __future__ import annotations

import io
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest
import tomli_w
from tests.integration.conftest import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Server

PRESET = b"""\
description = "How the team serves."

[image]
dependencies = ["numpy"]
# What looks like a login has to come through as it is.
env = { TEAM = "vision", PROXY = "https://user:word@proxy.example" }
"""
ADDRESS = "https://git.example/team/presets"


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=Team", "-c", "user.email=team@example.org")
    done = subprocess.run(
        ["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository whose history has the preset, and whose last commit has another."""
    folder = tmp_path / "repository"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "serve.toml").write_bytes(PRESET)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Presets")
    (folder / "images" / "serve.toml").write_bytes(b"other")
    git(folder, "commit", "--quiet", "-am", "Others")
    return folder


@pytest.fixture
def index(serve: Callable[..., Server]) -> Server:
    server = serve()
    server.add_wheel("numpy", "2.0")
    return server


@pytest.fixture
def project(serve: Callable[..., Server], repository: Path, tmp_path: Path) -> Project:
    registry = serve()
    registry.add_base("library/python", "3.13-slim-trixie")
    root = tmp_path / "project"
    root.mkdir()
    # Git itself takes the address for another one, as it does for mirrors.
    return Project(
        root,
        {
            "ENVGEN_REGISTRY_MIRRORS": f"docker.io={registry.host}",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": ADDRESS,
            "NO_PROXY": "127.0.0.1",
            "UV_CACHE_DIR": str(tmp_path / "cache"),
        },
    )


def write_spec(project: Project, preset: str, index: str) -> None:
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {"serve": {"preset": preset}},
        "network": {"index": index},
    }
    project.spec.write_text(tomli_w.dumps(spec), encoding="utf-8")


def make_wheel(content: bytes) -> bytes:
    info = "acme_presets-1.2.3.dist-info"
    files = {
        # Would fail the test if anything imported it.
        "acme_presets/__init__.py": b"raise SystemExit('imported')\n",
        "acme_presets/serve.toml": content,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: acme-presets\nVersion: 1.2.3\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": b"[envgen.presets]\nserve = acme_presets\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in files).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return packed.getvalue()


def first_commit(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD~1")


def assert_kept(project: Project) -> None:
    (kept,) = (project.root / "environments" / "presets").iterdir()
    assert kept.read_bytes() == PRESET
    dockerfile = (project.root / "environments" / "serve" / "Dockerfile").read_text()
    assert 'ENV TEAM="vision"' in dockerfile


def test_preset_of_a_commit_is_locked_and_renders_without_its_repository(
    project: Project, index: Server, repository: Path
) -> None:
    reference = f"git+{ADDRESS}@{first_commit(repository)}#images/serve.toml"
    write_spec(project, reference, f"{index.url}/simple")

    assert project.envgen("lock").returncode == 4
    done = project.envgen("lock", "--accept-presets")
    repository.rename(repository.with_name("away"))

    assert done.returncode == 0, done.stderr
    assert "How the team serves." in done.stderr
    assert f"added {reference}" in done.stdout
    assert project.envgen("render").returncode == 0
    assert project.envgen("render", "--check").returncode == 0
    assert_kept(project)


def test_repository_of_a_hook_is_left_alone(
    project: Project, index: Server, repository: Path
) -> None:
    write_spec(
        project,
        f"git+{ADDRESS}@{first_commit(repository)}#images/serve.toml",
        f"{index.url}/simple",
    )
    git(project.root, "init", "--quiet")
    before = {path: data for path, data in project.files().items() if path.startswith(".git/")}

    done = project.envgen(
        "lock",
        "--accept-presets",
        GIT_DIR=str(project.root / ".git"),
        GIT_INDEX_FILE=str(project.root / ".git" / "index"),
    )

    assert done.returncode == 0, done.stderr
    after = {path: data for path, data in project.files().items() if path.startswith(".git/")}
    assert after == before


def test_commit_and_file_that_are_not_there_are_named(
    project: Project, index: Server, repository: Path
) -> None:
    commit = first_commit(repository)
    for wrong, code, word in (
        (f"{'0' * 40}#images/serve.toml", 5, "could not fetch 000000000000"),
        (f"{commit}#images/train.toml", 4, "has no file images/train.toml"),
        (f"{commit}#README.toml", 4, "has no file README.toml"),
    ):
        write_spec(project, f"git+{ADDRESS}@{wrong}", f"{index.url}/simple")

        done = project.envgen("lock", "--accept-presets")

        assert done.returncode == code, done.stderr
        assert word in done.stderr


def test_folder_that_looks_like_a_file_is_no_preset(
    project: Project, index: Server, repository: Path
) -> None:
    (repository / "folder.toml").mkdir()
    (repository / "folder.toml" / "x").write_text("")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "Folder")
    commit = git(repository, "rev-parse", "HEAD")
    write_spec(project, f"git+{ADDRESS}@{commit}#folder.toml", f"{index.url}/simple")

    done = project.envgen("lock", "--accept-presets")

    assert done.returncode == 4
    assert "has no file folder.toml" in done.stderr


def test_preset_of_a_wheel_is_read_and_nothing_of_it_is_run(
    project: Project, index: Server
) -> None:
    index.add_file("acme_presets-1.2.3-py3-none-any.whl", make_wheel(PRESET))
    write_spec(project, "package:acme-presets==1.2.3#serve", f"{index.url}/simple")

    done = project.envgen("render", "--accept-presets")

    assert done.returncode == 0, done.stderr
    assert_kept(project)


def test_wheel_that_is_not_the_recorded_one_is_refused(project: Project, index: Server) -> None:
    filename = "acme_presets-1.2.3-py3-none-any.whl"
    index.add_file(filename, make_wheel(PRESET))
    write_spec(project, "package:acme-presets==1.2.3#serve", f"{index.url}/simple")
    assert project.envgen("render", "--accept-presets").returncode == 0
    (kept,) = (project.root / "environments" / "presets").iterdir()
    kept.unlink()
    index.pages["/simple/acme-presets/"] = b""
    index.add_file(filename, make_wheel(PRESET.replace(b"vision", b"mining")))

    done = project.envgen("lock", "--accept-presets", UV_NO_CACHE="1")

    assert done.returncode == 4
    assert "not the one that was locked" in done.stderr


def test_preset_that_a_wheel_lacks_is_named_with_those_it_has(
    project: Project, index: Server
) -> None:
    index.add_file("acme_presets-1.2.3-py3-none-any.whl", make_wheel(PRESET))
    write_spec(project, "package:acme-presets==1.2.3#train", f"{index.url}/simple")

    done = project.envgen("lock", "--accept-presets")

    assert done.returncode == 4
    assert "has no preset 'train'" in done.stderr
    assert "envgen.presets: serve" in done.stderr


def test_version_that_the_index_lacks_is_named(project: Project, index: Server) -> None:
    write_spec(project, "package:acme-presets==1.2.3#serve", f"{index.url}/simple")

    done = project.envgen("lock", "--accept-presets")

    assert done.returncode in {4, 5}
    assert "acme-presets" in done.stderr


def test_package_that_an_index_is_named_for_comes_from_there(
    project: Project, index: Server, serve: Callable[..., Server]
) -> None:
    team = serve(login="reader:secret")
    team.add_file("acme_presets-1.2.3-py3-none-any.whl", make_wheel(PRESET))
    write_spec(project, "package:acme-presets==1.2.3#serve", f"{index.url}/simple")
    with project.spec.open("a", encoding="utf-8") as file:
        url = f"{team.url}/simple"
        file.write(f'[network.indexes.acme]\nurl = "{url}"\npackages = ["acme_presets"]\n')
    login = {"ENVGEN_INDEX_ACME_USERNAME": "reader", "ENVGEN_INDEX_ACME_PASSWORD": "secret"}

    done = project.envgen("render", "--accept-presets", "--verbose", **login)

    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stderr
    assert "/simple/acme-presets/" not in index.requests
    assert_kept(project)
