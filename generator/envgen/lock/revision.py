"""Files as a git revision has them."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Final

from envgen import process
from envgen.errors import UsageError

_TIMEOUT_S: Final = 60


def open_revision(root: Path, revision: str) -> Callable[[str], bytes | None]:
    """Return a reader of the files below `root` as a revision has them.

    Args:
        root: The spec's folder, somewhere in a git repository.
        revision: As git takes it: `HEAD`, `main~2`, a tag, a hash.

    Raises:
        ToolError: git is missing.
        UsageError: The folder is in no repository, or there is no such revision.

    """
    git = process.find_program(
        "git", why="locks of earlier revisions are read with it", fix="install git"
    )
    commit = _resolve(git, root, revision)

    return functools.partial(read_at, git, root, commit)


def read_at(git: str, root: Path, commit: str, path: str) -> bytes | None:
    """Return a file below `root` as a commit has it; None where it has none."""
    # `./` makes git look from the folder it runs in, not from the repository's top.
    done = process.run(
        [git, "show", "--no-textconv", f"{commit}:./{path}"], cwd=root, timeout_s=_TIMEOUT_S
    )
    return None if done.returncode else done.stdout.encode()


def _resolve(git: str, root: Path, revision: str) -> str:
    if not revision or revision.startswith("-"):
        raise UsageError.single(f"{revision!r} is not a revision", fix="as HEAD~1 or origin/main")
    done = process.run(
        [git, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"],
        cwd=root,
        timeout_s=_TIMEOUT_S,
    )
    if done.returncode == 0:
        return done.stdout.strip()
    inside = process.run([git, "rev-parse", "--git-dir"], cwd=root, timeout_s=_TIMEOUT_S)
    if inside.returncode:
        raise UsageError.single(
            "there is no git repository to compare with",
            why=inside.stderr.strip().splitlines()[0] if inside.stderr.strip() else "",
            fix="run it in a clone of the repository",
        )
    raise UsageError.single(
        f"there is no revision {revision!r}",
        why="the repository has no commit yet"
        if revision == "HEAD"
        else "git knows no such commit here; a shallow clone has only the newest ones",
        fix="commit first" if revision == "HEAD" else f"fetch it: git fetch origin {revision}",
    )
