"""What the builder is asked: caches, platforms, output, pushes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envgen.build.options import add_builder_options, list_builder_options, read_builder_options
from envgen.errors import UsageError
from envgen.plan.image import make_plan
from envgen.spec.parse import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_subprocess import FakeProcess
    from tests.conftest import Project

    from envgen.lock.model import Lock
    from envgen.plan.model import ImagePlan
    from envgen.spec.model import Spec

BOTH = ["linux/amd64", "linux/arm64"]


def read(*words: str) -> Any:
    parser = argparse.ArgumentParser()
    add_builder_options(parser)
    return read_builder_options(parser.parse_args(words))


@pytest.fixture
def plan(make_lock: Callable[[Spec], Lock]) -> ImagePlan:
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13"},
        "images": {"serve": {"platforms": BOTH}},
    }
    spec = parse_spec(document, file="envgen.toml")
    return make_plan(spec, make_lock(spec), spec_file="envgen.toml").images[0]


def words(plan: ImagePlan, *given: str) -> list[str]:
    return list(list_builder_options(read(*given), plan, ("r.example/a:1",)))


def test_caches_are_read_and_written_whole(plan: ImagePlan) -> None:
    assert words(plan, "--cache-from", "r.example/c", "--cache-to", "r.example/c") == [
        "--cache-from",
        "type=registry,ref=r.example/c",
        "--cache-to",
        "type=registry,ref=r.example/c,mode=max",
        "--tag",
        "r.example/a:1",
    ]


@pytest.mark.parametrize(
    ("given", "asked"), [("inline", "type=inline"), ("type=gha,scope=x", "type=gha,scope=x")]
)
def test_other_caches_are_passed_on(plan: ImagePlan, given: str, asked: str) -> None:
    assert words(plan, "--cache-to", given)[:2] == ["--cache-to", asked]


def test_builder_pushes_what_the_engine_cannot_hold(plan: ImagePlan) -> None:
    asked = words(plan, "--push", *(f"--platform={name}" for name in BOTH))

    assert asked[:2] == ["--platform", "linux/amd64,linux/arm64"]
    assert asked[2:] == ["--output", "type=image,name=r.example/a:1,push=true"]


def test_several_tags_are_one_field_of_csv(plan: ImagePlan) -> None:
    options = read("--push", "--compression=zstd")
    asked = list(list_builder_options(options, plan, ("a:1", "a:2")))

    assert asked[0] == "--output"
    assert asked[1].startswith('type=image,"name=a:1,a:2",push=true,compression=zstd,')


@pytest.mark.parametrize(
    "given", [("--compression=zstd",), tuple(f"--platform={name}" for name in BOTH), ("--jobs=0",)]
)
def test_what_would_be_lost_is_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        read(*given)


@pytest.fixture
def docker(fp: FakeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Let docker succeed, weigh every image 3 GB, and return what it was asked."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    asked: list[list[str]] = []

    def build(process: Any) -> None:
        argv = list(process.args)
        asked.append(argv[1:])
        if "--iidfile" in argv:
            Path(argv[argv.index("--iidfile") + 1]).write_text("sha256:abc\n", encoding="utf-8")

    fp.keep_last_process(keep=True)
    fp.register([str(program), "build", fp.any()], callback=build)
    fp.register([str(program), "push", fp.any()], callback=build)
    fp.register([str(program), "image", fp.any()], stdout="3000000000\n")
    fp.register(["git", fp.any()], returncode=128)
    return asked


def test_every_tag_is_pushed_after_the_build(rendered: Project, docker: list[list[str]]) -> None:
    outcome = rendered.run("build", "-t", "r.example/a:1", "-t", "r.example/a:2", "--push")

    assert outcome.code == 0, outcome.err
    assert docker[1:] == [["push", "r.example/a:1"], ["push", "r.example/a:2"]]


def test_image_above_its_size_is_built_and_not_pushed(
    project: Project, docker: list[list[str]]
) -> None:
    project.write("envgen.toml", project.read("envgen.toml") + 'max-size = "2GB"\n')
    assert project.render_offline().code == 0

    outcome = project.run("build", "-t", "r.example/a:1", "--push")

    assert outcome.code == 4
    assert "the image weighs 3.00 GB, and the spec allows 2.00 GB" in outcome.err
    assert [words[0] for words in docker] == ["build"]


def test_platform_that_is_not_locked_is_refused(rendered: Project, docker: list[list[str]]) -> None:
    outcome = rendered.run("build", "--platform", "linux/arm64")

    assert outcome.code == 2
    assert "not locked for linux/arm64" in outcome.err
    assert docker == []


def test_thirty_images_are_built_a_few_at_a_time(
    project: Project, docker: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from envgen.build import batch

    running, most = 0, 0
    guard, full = threading.Lock(), threading.Barrier(3, timeout=10)

    def build_image(*_: object, **__: object) -> str:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        full.wait()
        with guard:
            running -= 1
        return "sha256:abc"

    monkeypatch.setattr(batch, "build_image", build_image)
    more = "".join(f"[images.more-{number}]\n" for number in range(29))
    project.write("envgen.toml", project.read("envgen.toml") + more)
    assert project.render_offline().code == 0

    outcome = project.run("build", "--jobs", "3", "--json")

    assert len(outcome.json) == 30
    assert most == 3
    assert docker == []
