"""The workflows of the public home: valid, with least permissions, and with nothing unpinned."""

import re
import sys
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
GITLAB = ROOT / "ci" / "gitlab.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def check(program: str, *options: str, files: list[Path] = WORKFLOWS) -> CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(program)), *options, *map(str, files)]
    return run(command, capture_output=True, text=True, check=False)


def test_there_is_a_workflow() -> None:
    assert WORKFLOWS


def test_workflows_fit_their_schema() -> None:
    done = check("check-jsonschema", "--builtin-schema", "vendor.github-workflows")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("path", "schema"), [(ACTION, "github-actions"), (GITLAB, "gitlab-ci")])
def test_what_users_include_fits_its_schema(path: Path, schema: str) -> None:
    done = check("check-jsonschema", "--builtin-schema", f"vendor.{schema}", files=[path])

    assert done.returncode == 0, done.stdout


def test_workflows_and_action_have_no_security_finding() -> None:
    options = ("--offline", "--strict-collection", "--no-progress")
    done = check("zizmor", *options, files=[*WORKFLOWS, ACTION])

    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_has_no_objection() -> None:
    done = check("actionlint", "-shellcheck=", "-pyflakes=")

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version(path: Path) -> None:
    used = re.findall(r"^ +(?:- )?uses: (.+)", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert used
    for action in used:
        if action == "$/.":  # the repository's own, at the commit that runs
            continue
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", action)
