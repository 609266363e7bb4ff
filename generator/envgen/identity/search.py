"""From an identity back to the commit that holds its spec and its lock."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from envgen import process
from envgen.errors import EnvgenError
from envgen.identity.model import Identity
from envgen.lock.model import LOCK_FILE, read_lock
from envgen.lock.revision import read_at
from envgen.spec.load import PYPROJECT, SPEC_FILE

_TIMEOUT_S: Final = 60
_MOST: Final = 2000
"""Commits of the lock that are looked at, newest first."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A commit whose lock of the image is the one that an identity names.

    Attributes:
        commit: Its hash.
        lock: That it is, for readers of JSON.
        spec: Whether its spec is the one, too.

    """

    commit: str
    lock: bool = True
    spec: bool


def find_commit(root: Path, identity: Identity) -> Found | None:
    """Return the newest commit with this lock, one with the spec too if there is one.

    Args:
        root: A folder with a spec, in a git repository.
        identity: What to look for.

    Raises:
        ToolError: git is missing.

    """
    git = process.find_program("git", why="commits are read with it", fix="install git")
    best: Found | None = None
    for commit in _commits(git, root):
        if not _has_lock(git, root, commit, identity):
            continue
        found = Found(commit=commit, spec=_has_spec(git, root, commit, identity.spec))
        if found.spec:
            return found
        best = best or found
    return best


def _commits(git: str, root: Path) -> Iterator[str]:
    files = (LOCK_FILE, SPEC_FILE, PYPROJECT)
    command = [git, "log", "--all", f"--max-count={_MOST}", "--format=%H", "--", *files]
    done = process.run(command, cwd=root, timeout_s=_TIMEOUT_S)
    yield from done.stdout.split() if done.returncode == 0 else ()


def _has_lock(git: str, root: Path, commit: str, identity: Identity) -> bool:
    content = read_at(git, root, commit, LOCK_FILE)
    if content is None:
        return False
    try:
        image = read_lock(content).images.get(identity.image)
    except EnvgenError:
        return False
    return image is not None and f"sha256:{image.lock_sha256}" == identity.lock


def _has_spec(git: str, root: Path, commit: str, wanted: str) -> bool:
    contents = (read_at(git, root, commit, name) for name in (SPEC_FILE, PYPROJECT))
    return any(
        f"sha256:{hashlib.sha256(content).hexdigest()}" == wanted
        for content in contents
        if content is not None
    )
