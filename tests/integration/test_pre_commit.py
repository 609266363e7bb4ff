"""The hooks under real pre-commit, from a clean cache, in a git repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Project

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]

ROOT = Path(__file__).parents[2]
HOOKS = ("envgen-check", "envgen-render")
GIT = (
    "git",
    *("-c", "user.name=envgen", "-c", "user.email=envgen@packages.example"),
    *("-c", "commit.gpgsign=false", "-c", "core.hooksPath=/nowhere"),
)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def pre_commit(folder: Path, home: Path, hook: str) -> subprocess.CompletedProcess[str]:
    # Inside of a hook of git itself, these would lead pre-commit to another repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", hook, "--color=never"],
        cwd=folder,
        env=kept | {"PRE_COMMIT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pre-commit home")


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a git repository of this tree, as pre-commit clones one."""
    folder = tmp_path_factory.mktemp("envgen")
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if not (ROOT / name).is_file() or name.startswith(("tests/", "docs/", "benchmarks/")):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", "hooks")
    return folder


@pytest.fixture
def repository(tmp_path: Path, hooks: Path, copy_example: Callable[[Path], Project]) -> Project:
    """Return a repository on a path with spaces whose project, in a folder, is up to date."""
    root = tmp_path / "a repository"
    root.mkdir()
    config = "\n".join(f"      - id: {hook}" for hook in HOOKS)
    (root / ".pre-commit-config.yaml").write_text(
        f"repos:\n  - repo: {hooks}\n    rev: {git(hooks, 'rev-parse', 'HEAD')}\n"
        f"    hooks:\n{config}\n"
    )
    project = copy_example(root / "services" / "iris")
    done = project.envgen("render")
    assert done.returncode == 0, done.stderr
    git(root, "init", "--quiet")
    git(root, "add", "--all", "--force")
    return project


def test_hooks_pass_and_mend_and_name_what_they_cannot_mend(
    repository: Project, home: Path
) -> None:
    root = repository.root.parents[1]
    for hook in HOOKS:
        done = pre_commit(root, home, hook)
        assert done.returncode == 0, done.stdout + done.stderr
    git(root, "commit", "--quiet", "--message", "up to date")

    edit(repository, "port = 8000", "port = 8001")
    git(root, "add", "--all")
    done = pre_commit(root, home, "envgen-check")
    assert done.returncode == 1
    assert "services/iris/environments/serve/Dockerfile: is not what" in done.stdout

    done = pre_commit(root, home, "envgen-render")
    assert done.returncode == 1
    assert "services/iris/environments/serve/Dockerfile: has been rendered again" in done.stdout
    git(root, "add", "--all")
    for hook in HOOKS:
        done = pre_commit(root, home, hook)
        assert done.returncode == 0, done.stdout + done.stderr
    git(root, "commit", "--quiet", "--message", "another port")

    edit(repository, '"uvicorn', '"starlette", "uvicorn')
    git(root, "add", "--all")
    for hook in HOOKS:
        done = pre_commit(root, home, hook)
        assert done.returncode == 1
        assert "services/iris/envgen.lock: image serve has to be locked again" in done.stdout


def test_hooks_pass_over_commits_that_touch_no_project(repository: Project, home: Path) -> None:
    root = repository.root.parents[1]
    git(root, "commit", "--quiet", "--message", "up to date")
    (root / "notes.md").write_text("nothing of envgen's\n")
    git(root, "add", "--all")

    done = pre_commit(root, home, "envgen-check")

    assert done.returncode == 0
    assert "no files to check" in done.stdout


def edit(project: Project, old: str, new: str) -> None:
    text = project.spec.read_text(encoding="utf-8")
    assert old in text
    project.spec.write_text(text.replace(old, new), encoding="utf-8")
