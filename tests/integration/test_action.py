"""The action's own steps, but for the build, which needs an engine."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.integration.action_runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@packages.example")
    done = subprocess.run(
        ["git", *identity, "-c", "commit.gpgsign=false", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def repository(
    copy_example: Callable[[Path], Project], tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return a repository whose second commit needs another package."""
    project = copy_example(tmp_path_factory.mktemp("action") / "a repository")
    assert project.envgen("render").returncode == 0
    git(project.root, "init", "--quiet")
    git(project.root, "add", "--all", "--force")
    git(project.root, "commit", "--quiet", "--message", "one")
    text = project.spec.read_text(encoding="utf-8")
    project.spec.write_text(text.replace('"uvicorn', '"idna", "itsdangerous", "uvicorn'))
    assert project.envgen("render").returncode == 0
    git(project.root, "add", "--all", "--force")
    git(project.root, "commit", "--quiet", "--message", "two")
    return project


@pytest.fixture(scope="module")
def runner(repository: Project, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Return a job in which envgen is installed as the action installs it."""
    runner = Runner(tmp_path_factory.mktemp("runner") / "job", repository.root, images="serve")
    runner.event["github.event.pull_request.base.sha"] = git(repository.root, "rev-parse", "HEAD~1")
    runner.event["github.event.pull_request.number"] = "7"
    done = runner.run("Install envgen")
    assert done.returncode == 0, done.stderr
    return runner


def test_check_passes_and_then_names_what_is_stale(runner: Runner, repository: Project) -> None:
    assert runner.run("Check").returncode == 0

    dockerfile = repository.root / "environments" / "serve" / "Dockerfile"
    before = dockerfile.read_bytes()
    dockerfile.unlink()
    done = runner.run("Check")
    dockerfile.write_bytes(before)

    assert done.returncode == 1
    assert "environments/serve/Dockerfile: is missing" in done.stderr


def test_summary_and_comment_tell_what_changed(runner: Runner) -> None:
    done = runner.run("Summarise")
    assert done.returncode == 0, done.stderr
    assert "| layer | packages | download | heaviest |" in runner.read("summary")
    assert "itsdangerous" in runner.read("summary")

    done = runner.run("Comment")
    assert done.returncode == 0, done.stderr
    assert "--method POST repos/owner/name/issues/7/comments" in runner.read("asked")
    body = (runner.folder / "temp" / "envgen-changes.md").read_text(encoding="utf-8")
    assert body.startswith("<!-- envgen . -->\n")
    assert "itsdangerous" in body

    comments = [{"id": 1, "body": "hello"}, {"id": 42, "body": body}]
    (runner.folder / "comments").write_text(json.dumps(comments))
    runner.run("Comment")
    assert "--method PATCH repos/owner/name/issues/comments/42" in runner.read("asked")


def test_a_base_that_cannot_be_had_is_no_failure(runner: Runner) -> None:
    known = runner.event["github.event.pull_request.base.sha"]
    runner.event["github.event.pull_request.base.sha"] = "1" * 40
    done = runner.run("Summarise")
    runner.event["github.event.pull_request.base.sha"] = known

    assert done.returncode == 0, done.stderr
