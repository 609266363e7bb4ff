"""CUDA variants and further indexes: what comes from where, with real uv."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
import uv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project, Server

FOLDER = "environments/serve"
LOCKERS = ["uv", "pip"]
CU128 = "whl/cu128"
TAGS = [f"cp313-cp313-manylinux_2_28_{machine}" for machine in ("x86_64", "aarch64")]


@pytest.fixture
def index(serve: Callable[..., Server]) -> Server:
    """Return what stands in for PyPI and, in folders of its own, for PyTorch's index."""
    server = serve()
    server.add_wheel("numpy", "2.0")
    server.add_wheel("torch", "2.10.0", "numpy")
    server.add_wheel("lightning", "1.0", "torch")
    for variant, version in (("cu128", "2.9.1"), ("cpu", "2.10.0")):
        for tag in TAGS:
            server.add_wheel(
                "torch", f"{version}+{variant}", "numpy", tag=tag, index=f"whl/{variant}"
            )
    server.add_wheel("torchvision", "0.24.1+cu128", "torch==2.9.1", index=CU128)
    # The index has copies of what torch needs, which must not be taken.
    server.add_wheel("numpy", "99.0", index=CU128)
    return server


@pytest.fixture
def project(
    index: Server,
    serve: Callable[..., Server],
    copy_example: Callable[[Path], Project],
    tmp_path: Path,
) -> Project:
    registry = serve()
    platforms = [{"os": "linux", "architecture": name} for name in ("amd64", "arm64")]
    images = [{"digest": f"sha256:{'1' * 64}", "platform": platform} for platform in platforms]
    page = "/v2/library/python/manifests/3.13-slim-trixie"
    registry.pages[page] = json.dumps({"manifests": images}).encode()
    project = copy_example(tmp_path / "project")
    project.env.update(
        ENVGEN_REGISTRY_MIRRORS=f"docker.io={registry.host}",
        NO_PROXY="127.0.0.1",
        UV_CACHE_DIR=str(tmp_path / "cache"),
    )
    write_spec(project, index)
    return project


def write_spec(
    project: Project,
    index: Server,
    *requirements: str,
    network: dict[str, Any] | None = None,
    **image: Any,
) -> None:
    mirror = {"pytorch": {"url": f"{index.url}/whl"}}
    defaults: dict[str, Any] = {"gpu": {"cuda": "12.8"}} if "cpu_only" not in image else {}
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {
            "serve": {"dependencies": list(requirements or ["torch", "torchvision"])}
            | defaults
            | {key.replace("_", "-"): value for key, value in image.items()}
        },
        "network": {"index": f"{index.url}/simple", "indexes": mirror} | (network or {}),
    }
    project.spec.write_text(tomli_w.dumps(spec), encoding="utf-8")


def lock(project: Project, *arguments: str, **env: str) -> str:
    done = project.envgen("lock", *arguments, **env)
    assert done.returncode == 0, done.stderr
    return done.stderr


def read_packages(project: Project) -> dict[str, dict[str, Any]]:
    """Return the packages of all layers."""
    return {
        package["name"]: package
        for path in (project.root / FOLDER).glob("pylock.*.toml")
        for package in tomllib.loads(path.read_text(encoding="utf-8"))["packages"]
    }


def versions(project: Project) -> dict[str, str]:
    return {name: package["version"] for name, package in read_packages(project).items()}


def refused(project: Project, *arguments: str) -> str:
    done = project.envgen(*(arguments or ("lock",)))
    assert done.returncode == 4, done.stderr
    return done.stderr


@pytest.mark.parametrize("locker", LOCKERS)
def test_cuda_of_the_spec_chooses_the_builds(project: Project, index: Server, locker: str) -> None:
    write_spec(project, index, locker=locker)

    lock(project)

    assert versions(project) == {
        "numpy": "2.0",
        "torch": "2.9.1+cu128",
        "torchvision": "0.24.1+cu128",
    }
    torch = read_packages(project)["torch"]
    assert [wheel["url"].partition("/files/")[2] for wheel in torch["wheels"]] == [
        f"torch-2.9.1%2Bcu128-{TAGS[0]}.whl"
    ]
    assert project.envgen("render").returncode == 0
    assert project.envgen("render", "--check").returncode == 0


@pytest.mark.parametrize("locker", LOCKERS)
def test_auto_leaves_the_choice_to_the_default_index(
    project: Project, index: Server, locker: str
) -> None:
    write_spec(project, index, "torch", locker=locker, gpu={"cuda": "auto"})

    lock(project)

    assert versions(project)["torch"] == "2.10.0"
    given = "pyproject.toml" if locker == "uv" else "requirements.in"
    assert b"/whl" not in project.files()[f"{FOLDER}/{given}"]


@pytest.mark.parametrize("locker", LOCKERS)
def test_image_without_cuda_gets_the_builds_for_cpus(
    project: Project, index: Server, locker: str
) -> None:
    write_spec(project, index, "torch", locker=locker, cpu_only=True)

    lock(project)

    assert versions(project)["torch"] == "2.10.0+cpu"


def test_uv_accepts_its_lock(project: Project, index: Server) -> None:
    network = {
        "indexes": {"pytorch": {"url": f"{index.url}/whl"}},
        "exclude-newer": "2026-01-01T00:00:00Z",
    }
    index.add_wheel("torch", "2.9.1+cu126", index="whl/cu126", tag=TAGS[0])
    write_spec(project, index, "torch", network=network, gpu={"cuda": "12.6"})

    said = lock(project)

    assert "exclude-newer does not hold for torch, whose index" in " ".join(said.split())
    assert "exclude-newer passes over them" in project.envgen("explain").stdout
    for command in (["lock", "--check"], ["export", "--frozen", "--quiet"]):
        done = subprocess.run(
            [uv.find_uv_bin(), *command, "--python", sys.executable],
            cwd=project.root / FOLDER,
            env=project.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("locker", LOCKERS)
def test_both_platforms_get_their_wheels(project: Project, index: Server, locker: str) -> None:
    write_spec(project, index, locker=locker, platforms=["linux/amd64", "linux/arm64"])

    lock(project)

    names = [wheel["name"] for wheel in read_packages(project)["torch"]["wheels"]]
    assert names == sorted(f"torch-2.9.1+cu128-{tag}.whl" for tag in TAGS)
    assert project.envgen("render", "--check").returncode == 1  # not rendered, but not stale
    assert project.envgen("render", "--locked").returncode == 0


class TestWithoutHashes:
    """An index that gives none, as PyTorch's does for some files."""

    @pytest.fixture(autouse=True)
    def _forget_hashes(self, project: Project, index: Server) -> None:
        index.pages = {path: page for path, page in index.pages.items() if CU128 not in path}
        for tag in (*TAGS, "cp312-cp312-manylinux_2_28_x86_64"):
            index.add_wheel("torch", "2.9.1+cu128", tag=tag, index=CU128, hashed=False)
        write_spec(project, index, "torch")

    @pytest.mark.parametrize("locker", LOCKERS)
    def test_file_is_fetched_and_its_hash_recorded(
        self, project: Project, index: Server, locker: str
    ) -> None:
        write_spec(project, index, "torch", locker=locker)
        name = f"torch-2.9.1+cu128-{TAGS[0]}.whl"
        digest = hashlib.sha256(index.pages[f"/files/{name.replace('+', '%2B')}"]).hexdigest()

        said = lock(project)

        assert f"gives no hash for {name}" in said
        (wheel,) = read_packages(project)["torch"]["wheels"]
        assert wheel["hashes"] == {"sha256": digest}
        native = "uv.lock" if locker == "uv" else "requirements.txt"
        assert digest in project.files()[f"{FOLDER}/{native}"].decode()
        assert f"hash of {name}" in project.envgen("explain").stdout

    def test_only_what_the_image_can_install_is_fetched(
        self, project: Project, index: Server
    ) -> None:
        index.requests.clear()

        lock(project)

        fetched = {path for path in index.requests if path.startswith("/files/torch")}
        assert fetched == {f"/files/torch-2.9.1%2Bcu128-{TAGS[0]}.whl"} | {
            path for path in fetched if "cp312" in path and index.requests.count(path) <= 2
        }

    def test_hash_is_kept_and_not_computed_again(self, project: Project, index: Server) -> None:
        lock(project)
        before = project.files()
        index.requests.clear()

        said = lock(project)

        assert "gives no hash" not in said
        assert project.files() == before
        assert not [path for path in index.requests if path.startswith("/files/")]

    def test_uv_accepts_the_lock_and_keeps_the_hash(self, project: Project) -> None:
        lock(project)
        before = project.files()[f"{FOLDER}/uv.lock"]

        for command in (["lock", "--check"], ["lock"]):
            subprocess.run(
                [uv.find_uv_bin(), *command, "--python", sys.executable],
                cwd=project.root / FOLDER,
                env=project.environment(),
                check=True,
                capture_output=True,
            )
        assert project.files()[f"{FOLDER}/uv.lock"] == before

    def test_export_has_the_hash(self, project: Project) -> None:
        lock(project)

        done = project.envgen("export", "serve", "--format", "requirements.txt")

        assert done.returncode == 0, done.stderr
        assert "torch==2.9.1+cu128" in done.stdout
        assert "--hash=sha256:" in done.stdout


def test_export_names_the_index(project: Project, index: Server) -> None:
    lock(project)

    done = project.envgen("export", "serve", "--format", "requirements.txt")

    assert done.returncode == 0, done.stderr
    assert f"--extra-index-url {index.url}/whl/cu128" in done.stdout.splitlines()


@pytest.mark.parametrize("locker", LOCKERS)
def test_package_that_only_another_asks_for_is_not_taken_from_elsewhere(
    project: Project, index: Server, locker: str
) -> None:
    write_spec(project, index, "lightning", locker=locker)

    said = refused(project)

    assert "torch came from the default index, with other builds than the cu128" in said
    assert 'add "torch" to the dependencies' in said


@pytest.mark.parametrize("locker", LOCKERS)
def test_declared_index_is_asked_for_its_packages_alone(
    project: Project, index: Server, serve: Callable[..., Server], locker: str
) -> None:
    own = serve(login="ann:s3cret")
    own.add_wheel("acme_models", "1.0", "numpy")
    own.add_wheel("numpy", "99.0")
    index.add_wheel("acme_models", "66.6")
    declared = {"acme": {"url": f"{own.url}/simple", "packages": ["acme-models"]}}
    write_spec(project, index, "acme-models", locker=locker, network={"indexes": declared})
    login = {"ENVGEN_INDEX_ACME_USERNAME": "ann", "ENVGEN_INDEX_ACME_PASSWORD": "s3cret"}

    done = project.envgen("lock")
    assert done.returncode == 4, done.stderr
    assert "no fitting 'acme-models' on the index acme" in done.stderr
    assert "ENVGEN_INDEX_ACME_USERNAME and ENVGEN_INDEX_ACME_PASSWORD" in done.stderr
    lock(project, **login)

    assert versions(project) == {"acme-models": "1.0", "numpy": "2.0"}
    assert not [path for path, content in project.files().items() if b"s3cret" in content]


def test_unknown_cuda_is_told(project: Project, index: Server) -> None:
    index.add_wheel("torch", "2.9.1+cu127", index="whl/cu127")
    write_spec(project, index, "torch", gpu={"cuda": "12.7"})

    assert "PyTorch is not known to have builds for CUDA 12.7" in lock(project)


@pytest.mark.parametrize("locker", LOCKERS)
def test_settings_of_the_user_change_no_lock(
    project: Project, index: Server, serve: Callable[..., Server], locker: str, tmp_path: Path
) -> None:
    write_spec(project, index, "torch", "lightning", locker=locker)
    index.add_wheel("lightning", "0.9", "torch")
    index.add_wheel("lightning", "2.0rc1", "torch")
    lock(project)
    before = project.files()
    stranger = serve()
    for name in ("torch", "lightning", "numpy"):
        stranger.add_wheel(name, "66.6")
    home = tmp_path / "home"
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("lightning<1\n", encoding="utf-8")
    uv_toml = f'resolution = "lowest"\nindex = [{{ url = "{stranger.url}/simple" }}]\n'
    settings = {
        ".config/uv/uv.toml": uv_toml,
        ".config/pip/pip.conf": f"[global]\nindex-url = {stranger.url}/simple\n",
    }
    for path, text in settings.items():
        (home / path).parent.mkdir(parents=True)
        (home / path).write_text(text, encoding="utf-8")
    env = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "UV_CONFIG_FILE": str(home / ".config/uv/uv.toml"),
        "UV_CONSTRAINT": str(constraints),
        "UV_DEFAULT_INDEX": f"{stranger.url}/simple",
        "UV_EXCLUDE_NEWER": "2001-01-01T00:00:00Z",
        "UV_FIND_LINKS": f"{stranger.url}/simple/lightning/",
        "UV_INDEX": f"{stranger.url}/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_NO_SOURCES": "1",
        "UV_OVERRIDE": str(constraints),
        "UV_PRERELEASE": "allow",
        "UV_PYTHON": "3.99",
        "UV_RESOLUTION": "lowest",
        "UV_TORCH_BACKEND": "cpu",
        "PIP_INDEX_URL": f"{stranger.url}/simple",
        "PIP_PRE": "1",
    }

    lock(project, "--upgrade", **env)

    assert project.files() == before
    assert stranger.requests == []


def test_python_that_does_not_exist_is_one_problem(project: Project, index: Server) -> None:
    write_spec(project, index, "torch", "torchvision", "numpy")
    text = project.spec.read_text(encoding="utf-8")
    project.spec.write_text(text.replace('"3.13"', '"3.99"'), encoding="utf-8")

    done = project.envgen("lock")

    assert done.returncode == 3, done.stderr
    assert done.stderr.count("envgen.toml:") == 1
    assert "project.python: there is no known image with Python 3.99" in done.stderr
    assert "has no wheel" not in done.stderr


def test_images_agree_on_a_version_across_builds(project: Project, index: Server) -> None:
    index.add_wheel("torch", "2.9.1+cpu", "numpy", tag=TAGS[0], index="whl/cpu")
    write_spec(project, index, "torch")
    text = project.spec.read_text(encoding="utf-8")
    text = text.replace("[project]\n", '[project]\nagree = ["torch"]\n')
    text += '\n[images.small]\ncpu-only = true\ndependencies = ["torch"]\n'
    project.spec.write_text(text, encoding="utf-8")

    lock(project)

    path = project.root / "environments/small/pylock.packages.toml"
    small = tomllib.loads(path.read_text(encoding="utf-8"))["packages"]
    assert {package["name"]: package["version"] for package in small}["torch"] == "2.9.1+cpu"
    assert versions(project)["torch"] == "2.9.1+cu128"
