"""The workflows of the public home: valid, with least permissions, and with nothing unpinned."""

import re
import sys
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def check(program: str, *options: str) -> CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(program)), *options, *map(str, WORKFLOWS)]
    return run(command, capture_output=True, text=True, check=False)


def test_there_is_a_workflow() -> None:
    assert WORKFLOWS


def test_workflows_fit_their_schema() -> None:
    done = check("check-jsonschema", "--builtin-schema", "vendor.github-workflows")

    assert done.returncode == 0, done.stdout


def test_workflows_have_no_security_finding() -> None:
    done = check("zizmor", "--offline", "--strict-collection", "--no-progress")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))

    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", action)
