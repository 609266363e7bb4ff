"""Which code a run ran: commit and difference, by git where it is there, else from its files."""

from __future__ import annotations

import hashlib
import os
import subprocess

from envgen_runtime.manifest.document import missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLES = ("ENVGEN_REVISION", "GIT_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA")
"""Where a scheduler or a CI puts the commit (Jenkins, GitHub Actions, GitLab CI)."""

_LIMIT_S = 20


def describe_code(folder: str) -> dict[str, Any]:
    """Return commit, whether the tree differs from it, and a hash of the difference."""
    top = _find_repository(folder)
    if top:
        return _ask_git(top) or _read_head(top)
    for name in VARIABLES:
        if os.environ.get(name):
            return {
                "commit": os.environ[name],
                "source": name,
                "dirty": missing("there is no repository to compare with"),
            }
    named = " or ".join(VARIABLES[:2])
    return missing(f"{folder} is in no git repository, and none of {named} is set")


def _find_repository(folder: str) -> str:
    folder = os.path.abspath(folder)
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above
    return folder


def _ask_git(top: str) -> dict[str, Any] | None:
    commit = _git(top, "rev-parse", "HEAD")
    status = _git(top, "status", "--porcelain=v1", "-z", "--untracked-files=all")
    if commit is None or status is None:
        return None
    found: dict[str, Any] = {
        "commit": commit.decode().strip(),
        "source": "git",
        "dirty": bool(status),
    }
    if status:
        difference = _git(top, "diff", "--binary", "--no-ext-diff", "--no-textconv", "HEAD") or b""
        # Untracked files are in the status alone; what is in them counts as well.
        digest = hashlib.sha256(status + difference)
        for entry in status.split(b"\0"):
            if entry.startswith(b"?? "):
                digest.update(_content(os.path.join(os.fsencode(top), entry[3:])))
        found["difference"] = f"sha256:{digest.hexdigest()}"
        found["changed_files"] = len([entry for entry in status.split(b"\0") if entry])
    return found


def _git(top: str, *arguments: str) -> bytes | None:
    # A repository in a container often belongs to another user; reading it is all that is done.
    command = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", top, *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _content(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).digest()
    except OSError:
        return b""


def _read_head(top: str) -> dict[str, Any]:
    """Return the commit that .git names, for images without git."""
    folder = os.path.join(top, ".git")
    head = _text(os.path.join(folder, "HEAD"))
    if head.startswith("ref: "):
        name = head[5:]
        head = _text(os.path.join(folder, *name.split("/"))) or _packed(folder, name)
    if not head:
        return missing("its repository names no commit")
    return {
        "commit": head,
        "source": ".git/HEAD",
        "dirty": missing("there is no git to compare with"),
    }


def _packed(folder: str, name: str) -> str:
    for line in _text(os.path.join(folder, "packed-refs")).splitlines():
        commit, _, reference = line.partition(" ")
        if reference == name:
            return commit
    return ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
