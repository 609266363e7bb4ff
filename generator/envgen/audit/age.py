"""How long an image's packages have been as they are, by the repository's commits."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from envgen import process
from envgen.errors import ToolError

_TIMEOUT_S: Final = 60
_DAY_S: Final = 24 * 60 * 60


def age_in_days(root: Path, paths: Sequence[str]) -> int | None:
    """Return the whole days since a commit changed one of the files; None where none did.

    Args:
        root: The spec's folder.
        paths: Of the layers' files, relative to it. Only another package changes them.

    """
    try:
        git = process.find_program("git", why="commits tell how old a lock is", fix="install git")
        done = process.run(
            [git, "log", "-1", "--format=%ct", "--", *paths], cwd=root, timeout_s=_TIMEOUT_S
        )
    except ToolError:
        return None
    text = done.stdout.strip()
    if done.returncode or not text.isdigit():
        return None
    return max(0, int((time.time() - int(text)) // _DAY_S))
