"""The action's own steps, run as a runner runs them: bash, files for outputs and for the summary.

What is not here is GitHub: `gh` is a program of the test's that keeps what it was asked.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Project

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}
GH = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$GH_ASKED"
case "$*" in *--paginate*) cat "$GH_COMMENTS" ;; esac
"""


class Runner:
    """One job on a machine of GitHub's."""

    def __init__(self, folder: Path, workspace: Path, **inputs: str) -> None:
        self.workspace = workspace
        self.inputs = {name: str(i.get("default", "")) for name, i in ACTION["inputs"].items()}
        self.inputs |= {name.replace("_", "-"): value for name, value in inputs.items()}
        self.event: dict[str, str] = {}
        self.folder = folder
        (folder / "temp").mkdir(parents=True)
        (folder / "bin").mkdir()
        gh = folder / "bin" / "gh"
        gh.write_text(GH)
        gh.chmod(0o755)
        for name in ("summary", "output", "asked"):
            (folder / name).touch()
        (folder / "comments").write_text("[]")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.read("output").splitlines())

    def expand(self, text: str) -> str:
        """Return what the runner makes of an expression; the action's are plain ones."""

        def look_up(found: re.Match[str]) -> str:
            for name in re.split(r"\s*\|\|\s*", found[1]):
                value = self.event.get(name) or self.inputs.get(name.removeprefix("inputs."), "")
                if value:
                    return value
            return ""

        return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", look_up, text)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        step: dict[str, Any] = STEPS[name]
        env = {key: self.expand(value) for key, value in step.get("env", {}).items()}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
        return subprocess.run(
            # As the runner starts `shell: bash`.
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env=kept
            | {
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_OUTPUT": str(self.folder / "output"),
                "GITHUB_REPOSITORY": "owner/name",
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
                "GH_ASKED": str(self.folder / "asked"),
                "GH_COMMENTS": str(self.folder / "comments"),
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "RUNNER_TEMP": str(self.folder / "temp"),
            }
            | env,
            capture_output=True,
            text=True,
            check=False,
        )


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


@pytest.mark.container
def test_build_tells_what_it_built(runner: Runner) -> None:
    done = runner.run("Build")

    assert done.returncode == 0, done.stderr
    outputs = runner.outputs()
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", outputs["digest"])
    assert outputs["image"] == "iris-serve"
    assert outputs["lock-hash"].startswith("sha256:")
    assert outputs["spec-hash"].startswith("sha256:")
    assert json.loads(outputs["record"])["images"][0]["image"] == "serve"
