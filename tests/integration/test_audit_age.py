"""The age of a lock is that of the commit that last changed its packages."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from envgen.audit.age import age_in_days

if TYPE_CHECKING:
    from pathlib import Path

_DAY_S = 24 * 60 * 60


def commit(folder: Path, days_ago: float) -> None:
    moment = f"{int(time.time() - days_ago * _DAY_S)} +0000"
    identity = ("-c", "user.name=a", "-c", "user.email=a@packages.example")
    for command in (["add", "--all"], ["commit", "--quiet", "--message", "a"]):
        subprocess.run(
            ["git", *identity, "-c", "commit.gpgsign=false", *command],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "GIT_COMMITTER_DATE": moment, "GIT_AUTHOR_DATE": moment},
            check=True,
            capture_output=True,
        )


def test_only_a_commit_of_these_files_counts(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert age_in_days(tmp_path, ["pylock.toml"]) is None
    (tmp_path / "pylock.toml").write_text("1")
    assert age_in_days(tmp_path, ["pylock.toml"]) is None
    commit(tmp_path, days_ago=100.5)
    (tmp_path / "README.md").write_text("1")
    commit(tmp_path, days_ago=3)

    assert age_in_days(tmp_path, ["pylock.toml"]) == 100
    assert age_in_days(tmp_path, ["README.md", "pylock.toml"]) == 3


def test_without_a_repository_there_is_no_age(tmp_path: Path) -> None:
    assert age_in_days(tmp_path, ["pylock.toml"]) is None
