"""pylock.toml (PEP 751): the packages of all layers in one file."""

from envgen.export import HEADER, LockedContent
from envgen.export.hashes import list_files, refuse_conda
from envgen.lock.pylock import render_pylock
from envgen.rendered import seal


def render(content: LockedContent) -> bytes:
    """Return a sealed pylock.toml.

    Raises:
        LockError: The image has conda packages, or a file has no SHA-256.

    """
    refuse_conda(content, "pylock.toml")
    for package in content.packages:
        if not package.git:
            list_files(package)
    return seal(HEADER, render_pylock(content.packages, content.python))
