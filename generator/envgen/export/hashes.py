"""What every form asks of a lock: files with their SHA-256, and whether conda is in it."""

from envgen.errors import LockError
from envgen.export import LockedContent
from envgen.lock.packages import Artifact, LockedPackage


def list_files(package: LockedPackage) -> tuple[Artifact, ...]:
    """Return the files that an installer may take for a package.

    Raises:
        LockError: One has no SHA-256, or the package has no file at all.

    """
    files = (*package.wheels, *((package.source,) if package.source else ()))
    who = f"{package.name} {package.version}"
    for file in files:
        if not file.sha256:
            raise LockError.single(f"{who} has no SHA-256 for {file.filename}", fix="lock again")
    if package.git:
        raise LockError.single(
            f"{who} comes from a repository and has no hash",
            why=f"it is pinned by the commit {package.git.commit}, and this form wants hashes",
            fix="export pylock.toml",
        )
    if not files:
        raise LockError.single(f"{who} has no file in the lock", fix="lock again")
    return files


def refuse_conda(content: LockedContent, form: str) -> None:
    """Refuse to export an image with conda packages to a form that has no place for them.

    Raises:
        LockError: conda-lock locked the image.

    """
    if content.conda_lock:
        raise LockError.single(
            f"{content.image} has conda packages, and {form} has no place for them",
            why="without them the file would not give the environment that was locked",
            fix="export conda-explicit or cyclonedx",
        )
