"""What pre-commit runs: the projects of changed files, checked or rendered without network."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from envgen.commands.hook import find_roots

if TYPE_CHECKING:
    from tests.conftest import Project

DOCKERFILE = "environments/serve/Dockerfile"


def test_a_changed_file_belongs_to_the_nearest_spec_above_it(rendered: Project) -> None:
    inner = rendered.root / "inner"
    shutil.copytree(rendered.root, inner)
    files = [rendered.root / DOCKERFILE, inner / DOCKERFILE, inner / "gone" / "for" / "good.txt"]

    assert find_roots(files) == sorted([rendered.root, inner])


def test_a_file_that_no_spec_is_above_is_nobody_of_ours(rendered: Project) -> None:
    outcome = rendered.run("hook", "check", "../pyproject.toml")

    assert outcome.code == 0
    assert "no project has changed" in outcome.err + outcome.out


def test_check_tells_files_from_where_the_hook_runs(rendered: Project) -> None:
    inner = rendered.root / "services" / "inner"
    shutil.copytree(rendered.root, inner, ignore=shutil.ignore_patterns("services"))
    (inner / DOCKERFILE).unlink()

    outcome = rendered.run("hook", "check", "envgen.toml", f"services/inner/{DOCKERFILE}")

    assert outcome.code == 1
    assert f"services/inner/{DOCKERFILE}: is missing" in outcome.err


def test_render_mends_a_file_and_fails_so_that_it_is_staged(rendered: Project) -> None:
    (rendered.root / DOCKERFILE).unlink()

    first = rendered.run("hook", "render", "envgen.toml")
    second = rendered.run("hook", "render", "envgen.toml")

    assert first.code == 1
    assert f"{DOCKERFILE}: has been rendered again" in first.err
    assert second.code == 0


def test_render_keeps_an_edited_file(rendered: Project) -> None:
    rendered.write(DOCKERFILE, rendered.read(DOCKERFILE) + "# mine\n")

    outcome = rendered.run("hook", "render", "envgen.toml")

    assert outcome.code == 7
    assert rendered.read(DOCKERFILE).endswith("# mine\n")


def test_render_names_what_has_to_be_locked_and_writes_nothing(rendered: Project) -> None:
    spec = rendered.read("envgen.toml")
    rendered.write("envgen.toml", spec.replace("[images.serve]", "[images.other]\n[images.serve]"))
    before = rendered.files()

    outcome = rendered.run("hook", "render", "envgen.toml")

    assert outcome.code == 1
    assert "image other has to be locked again" in outcome.err
    assert rendered.files() == before


def test_all_projects_are_told_at_once_with_the_gravest_code(rendered: Project) -> None:
    for name in ("a", "b"):
        shutil.copytree(rendered.root, rendered.root / name, ignore=lambda *_: ["a", "b"])
    (rendered.root / "a" / DOCKERFILE).unlink()
    rendered.write("b/envgen.toml", "format = 1\n")

    outcome = rendered.run("hook", "check", "a/envgen.toml", "b/envgen.toml")

    assert outcome.code == 3
    assert f"a/{DOCKERFILE}: is missing" in outcome.err
    assert "b/envgen.toml" in outcome.err
