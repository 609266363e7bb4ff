"""conda's explicit file: the URL of every package with its SHA-256, for one platform, no solver.

SHA-256 after the `#` is read by conda since 24.9 (conda/conda#14048) and by mamba since
mamba-org/mamba#3866; an older conda refuses the file.
"""

from collections.abc import Iterable, Iterator

from envgen.errors import LockError, UsageError
from envgen.export import HEADER, LockedContent
from envgen.export.conda_lock import CondaPackage, read_conda_lock
from envgen.platforms import SUBDIRS
from envgen.rendered import seal


def render(content: LockedContent) -> bytes:
    """Return a sealed explicit file.

    Raises:
        LockError: conda-lock did not lock the image, or its lock is damaged.
        UsageError: The image is for several platforms.

    """
    if not content.conda_lock:
        raise LockError.single(
            f"{content.image} has no conda packages",
            why="conda-lock did not lock it, and an explicit file names packages of conda channels",
            fix="export requirements.txt or pylock.toml, or let conda-lock lock the image",
        )
    if len(content.platforms) > 1:
        raise UsageError.single(
            "an explicit file is for one platform",
            why=f"{content.image} is for {' and '.join(content.platforms)}",
            fix=f"name one: --platform {content.platforms[0]}",
        )
    platform = SUBDIRS[content.platforms[0]]
    found = [p for p in read_conda_lock(content.conda_lock) if p.platform == platform]
    header = f"{HEADER}\nplatform: {platform}"
    conda = [p for p in found if p.manager == "conda"]
    # As `conda-lock render` writes them: conda reads comments, people and scripts install the rest.
    pip = sorted(
        f"# pip {p.name} @ {p.url} --hash=sha256:{p.sha256}" for p in found if p not in conda
    )
    lines = ["@EXPLICIT", *(f"{p.url}#{p.sha256}" for p in sort_by_need(conda)), *pip]
    return seal(header, "\n".join(lines) + "\n")


def sort_by_need(packages: Iterable[CondaPackage]) -> Iterator[CondaPackage]:
    """Yield packages so that what a package needs comes first; names decide the rest.

    Packages may need each other in a circle, as python and pip do; a circle is cut where it is
    entered.
    """
    by_name = {package.name: package for package in packages}
    seen: set[str] = set()
    for first in sorted(by_name):
        # An own stack: a chain of needs may be longer than Python's.
        stack = [(first, iter(sorted(by_name[first].dependencies)))] if first not in seen else []
        seen.add(first)
        while stack:
            name, needs = stack[-1]
            need = next((n for n in needs if n in by_name and n not in seen), None)
            if need is None:
                stack.pop()
                yield by_name[name]
            else:
                seen.add(need)
                stack.append((need, iter(sorted(by_name[need].dependencies))))
