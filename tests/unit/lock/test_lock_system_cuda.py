"""What locking adds to an image about CUDA, and when the lock is stale because of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from envgen.errors import NetworkError
from envgen.lock.bases import read_environment
from envgen.lock.gpu_code import read_gpu_code
from envgen.lock.model import Lock, LockedBase, read_lock
from envgen.lock.packages import Artifact, LockedPackage

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.12"

[images.serve]
dependencies = ["onnxruntime-gpu==1.26.0"]
"""
AMD, ARM = "linux/amd64", "linux/arm64"
GPU = "gpu = {}\n"


def lock(project: Project, spec: str) -> Lock:
    project.write("envgen.toml", spec)
    outcome = project.render_offline()
    assert outcome.code == 0, outcome.err
    return read_lock(project.read("envgen.lock").encode())


def source(found: Lock) -> str:
    chosen = found.images["serve"].system_cuda
    return chosen.image if chosen else ""


def test_image_that_cuda_comes_from_is_pinned(project: Project) -> None:
    found = lock(project, SPEC + GPU)

    assert source(found).startswith("docker.io/nvidia/cuda:12.")
    assert found.find_base(source(found)) is not None
    assert found.images["serve"].links == ("onnxruntime-gpu==1.26.0",)
    assert f"FROM {source(found)}@sha256:" in project.read("environments/serve/Dockerfile")


def test_lock_is_stale_when_the_spec_asks_for_other_libraries(project: Project) -> None:
    assert source(lock(project, SPEC)) == ""

    for line, release in ((GPU, "12.9.1"), ('gpu = { cuda = "12.6" }\n', "12.6.3")):
        project.write("envgen.toml", SPEC + line)
        assert "its CUDA libraries are not those" in project.run("render", "--check").err
        assert f":{release}-cudnn-runtime-" in source(lock(project, SPEC + line))

    slim = SPEC + GPU + 'base = "slim"\n'
    project.write("envgen.toml", slim)
    assert project.run("render", "--check").code != 0
    relocked = lock(project, slim)
    assert source(relocked) == ""
    assert [base.image for base in relocked.bases] == [relocked.images["serve"].base]


def test_spec_may_ask_for_libraries_that_no_package_loads(project: Project) -> None:
    spec = SPEC.replace("onnxruntime-gpu==1.26.0", "flask") + 'base = "cuda-runtime"\n'

    found = lock(project, spec)

    assert "-runtime-" in source(found)
    assert found.images["serve"].base_cuda
    assert project.run("render", "--check").code == 0


@pytest.mark.usefixtures("_offline")
def test_choice_is_kept_until_an_upgrade(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = source(lock(project, SPEC + GPU))
    monkeypatch.setattr("envgen.plan.system_cuda._preference", lambda row, _: row.image != first)

    kept = source(lock(project, SPEC.replace("1.26.0", "1.25.0") + GPU))
    assert project.run("lock", "--upgrade").code == 0
    upgraded = source(read_lock(project.read("envgen.lock").encode()))

    assert kept == first
    assert upgraded not in {"", first}


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, logger="envgen.lock.gpu_code")
    return caplog


def wheel(name: str) -> Artifact:
    return Artifact(filename=name, url=f"https://packages.example/{name}", sha256="0" * 64)


def package(name: str, version: str, *platforms: str, marker: str = "") -> LockedPackage:
    files = {each: wheel(f"{name}-{version}-py3-none-{each[-5:]}.whl") for each in platforms}
    return LockedPackage(
        name=name, version=version, wheels=tuple(files.values()), downloads=files, marker=marker
    )


def test_each_platform_is_judged_by_what_is_installed_there(
    warnings: pytest.LogCaptureFixture,
) -> None:
    packages = (
        package("torch", "2.9.1", AMD, ARM),
        package("nvidia-cuda-runtime-cu12", "12.8.90", AMD),
        package("nvidia-cudnn-cu12", "9.10.2.21", AMD, marker="platform_machine == 'x86_64'"),
    )

    (code,) = read_gpu_code("train", packages, (AMD, ARM), wants_gpu=True)

    assert (code.package, code.cuda, code.platforms) == ("torch", "12.8", (AMD,))
    (message,) = warnings.messages
    assert message.startswith(f"train on {ARM}: torch 2.9.1 is a build without CUDA")


def test_code_that_is_the_same_everywhere_names_no_platform() -> None:
    packages = (
        package("torch", "2.11.0", AMD, ARM),
        package("nvidia-cuda-runtime", "13.0.96", AMD, ARM),
    )

    (code,) = read_gpu_code("train", packages, (AMD, ARM), wants_gpu=True)

    assert (code.cuda, code.platforms) == ("13.0", ())


BASE = LockedBase(
    image="registry.example/team/gpu:1",
    digest="sha256:" + "a" * 64,
    platforms=(ARM,),
    origin="registry",
)


def test_variables_about_cuda_are_kept_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(reference: object, *, platform: str, **_: object) -> dict[str, object]:
        asked.append((str(reference), platform))
        return {"config": {"Env": ["PATH=/bin", "CUDA_VERSION=12.8.1", "API_TOKEN=secret"]}}

    monkeypatch.setattr("envgen.lock.bases.fetch_config", fetch)

    found = read_environment(BASE, mirrors={}, ca_certificates=None)

    assert found.environment == {"CUDA_VERSION": "12.8.1"}
    ((reference, platform),) = asked
    assert reference.endswith(f"@{BASE.digest}")
    assert platform == ARM


def test_base_whose_registry_is_silent_is_judged_by_its_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> dict[str, object]:
        raise NetworkError.single("no answer")

    monkeypatch.setattr("envgen.lock.bases.fetch_config", fail)

    assert read_environment(BASE, mirrors={}, ca_certificates=None) == BASE
    assert "judged by its name" in caplog.text
