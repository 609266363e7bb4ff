"""What Docker is asked, and what it never gets to see on its command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_subprocess import FakeProcess
    from tests.conftest import Project

NETWORK = """
[network]
index = "https://packages.example/simple"
ca-certificates = "corp.pem"
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a docker on PATH and return it."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return str(program)


@pytest.fixture
def docker(fp: FakeProcess, program: str) -> list[Any]:
    """Let builds succeed and return those that are asked for."""
    asked: list[Any] = []

    def build(process: Any) -> None:
        asked.append(process)
        argv = process.args
        Path(argv[argv.index("--iidfile") + 1]).write_text("sha256:abc\n", encoding="utf-8")

    fp.keep_last_process(keep=True)
    fp.register([program, "build", fp.any()], callback=build)
    fp.register(["git", "rev-parse", "HEAD"], stdout="0123abc\n")
    return asked


def options(process: Any, name: str) -> list[str]:
    argv = list(process.args)
    return [argv[n + 1] for n, word in enumerate(argv) if word == name]


def test_image_is_named_after_project_and_image(rendered: Project, docker: list[Any]) -> None:
    outcome = rendered.run("build", "--json")

    assert outcome.json == [{"image": "serve", "tags": ["demo-serve"], "id": "sha256:abc"}]
    assert options(docker[0], "--file") == ["environments/serve/Dockerfile"]
    assert options(docker[0], "--tag") == ["demo-serve"]
    assert docker[0].args[-1] == "."


def test_tags_of_the_user_are_taken(rendered: Project, docker: list[Any]) -> None:
    rendered.run("build", "-t", "a:1", "--tag", "b:2", "--no-cache")

    assert options(docker[0], "--tag") == ["a:1", "b:2"]
    assert "--no-cache" in docker[0].args


def test_commit_and_spec_are_labels(rendered: Project, docker: list[Any]) -> None:
    rendered.run("build")

    labels = options(docker[0], "--label")
    assert "org.opencontainers.image.revision=0123abc" in labels
    assert any(label.startswith("org.envgen.spec=sha256:") for label in labels)


def test_secrets_are_on_no_command_line(
    project: Project, docker: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVGEN_INDEX_USERNAME", "user")
    monkeypatch.setenv("ENVGEN_INDEX_PASSWORD", "hunter2")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@proxy.example:3128")
    project.write("envgen.toml", project.read("envgen.toml") + NETWORK)
    project.write("corp.pem", "")
    assert project.render_offline().code == 0

    outcome = project.run("build", "--verbose")

    assert outcome.code == 0
    assert "hunter2" not in " ".join(docker[0].args)
    assert "hunter2" not in outcome.out + outcome.err
    assert "HTTPS_PROXY" in options(docker[0], "--build-arg")
    assert options(docker[0], "--secret") == [
        f'id=ca,"src={project.root / "corp.pem"}"',
        "id=netrc,env=ENVGEN_NETRC",
    ]
    assert not any(b"hunter2" in content for content in project.files().values())


def test_logins_of_all_indexes_reach_the_build(
    project: Project, docker: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVGEN_INDEX_ACME_TOOLS_USERNAME", "ann")
    monkeypatch.setenv("ENVGEN_INDEX_ACME_TOOLS_PASSWORD", "hunter2")
    index = '[network.indexes.acme-tools]\nurl = "https://acme.example/s"\npackages = ["x"]\n'
    project.write("envgen.toml", project.read("envgen.toml") + 'dependencies = ["x"]\n' + index)
    assert project.render_offline().code == 0

    assert project.run("build").code == 0

    assert options(docker[0], "--secret") == ["id=netrc,env=ENVGEN_NETRC"]
    environment = docker[0]._FakePopen__kwargs["env"]
    assert environment["ENVGEN_NETRC"] == "machine acme.example login ann password hunter2\n"


def test_one_tag_for_several_images_is_wrong_usage(project: Project) -> None:
    project.write("envgen.toml", project.read("envgen.toml") + "[images.train]\n")

    outcome = project.run("build", "--tag", "x")

    assert outcome.code == 2
    assert "--tag names one image" in outcome.err


def test_missing_docker_is_told(rendered: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    outcome = rendered.run("build")

    assert outcome.code == 6
    assert "docker is not on PATH" in outcome.err
    assert "another builder" in outcome.err


@pytest.mark.parametrize(("info", "hint"), [(1, "no Docker Engine answers"), (0, "")])
def test_failing_build_is_told_with_its_last_lines(
    rendered: Project, fp: FakeProcess, program: str, info: int, hint: str
) -> None:
    fp.register(["git", fp.any()], returncode=128)
    fp.register([program, "build", fp.any()], stderr="one\ntwo\n", returncode=1)
    fp.register([program, "info"], returncode=info)

    outcome = rendered.run("build", "--json")

    assert outcome.code == 6
    (problem,) = outcome.json["problems"]
    assert problem["what"] == "docker build failed for image serve"
    assert problem["why"].endswith("two")
    assert hint in problem["fix"]


def test_push_without_a_repository_or_a_name_is_wrong_usage(
    project: Project, docker: list[Any]
) -> None:
    project.write("envgen.toml", project.read("envgen.toml") + "[images.train]\n")

    outcome = project.run("build", "--push", "--json")

    assert outcome.code == 2
    assert [problem["key"] for problem in outcome.json["problems"]] == [
        "images.serve.repository",
        "images.train.repository",
    ]
    assert docker == []


def test_builder_builds_all_images_in_one_run(
    project: Project, fp: FakeProcess, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVGEN_INDEX_USERNAME", "user")
    monkeypatch.setenv("ENVGEN_INDEX_PASSWORD", "hunter2")
    project.write("envgen.toml", project.read("envgen.toml") + "[images.train]\n" + NETWORK)
    project.write("corp.pem", "")
    assert project.render_offline().code == 0
    asked: list[Any] = []

    def bake(process: Any) -> None:
        asked.append(process)
        argv = process.args
        built = {"containerimage.config.digest": "sha256:abc", "containerimage.digest": "sha256:x"}
        Path(argv[argv.index("--metadata-file") + 1]).write_text(
            json.dumps({"serve": built, "train": {"containerimage.digest": "sha256:def"}}),
            encoding="utf-8",
        )

    fp.register([program, "buildx", "bake", fp.any()], callback=bake)
    fp.register(["git", "rev-parse", "HEAD"], stdout="0123abc\n")

    outcome = project.run("build", "--builder", "far", "--no-cache", "--json")

    assert [each["id"] for each in outcome.json] == ["sha256:abc", "sha256:def"]
    assert options(asked[0], "--builder") == ["far"]
    assert "--no-cache" in asked[0].args
    assert "hunter2" not in " ".join(asked[0].args)


def test_bundle_is_of_no_use_to_another_builder(rendered: Project, docker: list[Any]) -> None:
    outcome = rendered.run("build", "--bundle", "bundles", "--builder", "far")

    assert outcome.code == 2
    assert "do not go together" in outcome.err
    assert docker == []
