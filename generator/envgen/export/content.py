"""What exports tell of an image, from the project's files."""

from envgen.errors import UsageError
from envgen.export import LockedContent
from envgen.lock.request import make_request
from envgen.lock.stored import read_packages
from envgen.project import Project


def read_content(opened: Project, name: str, platform: str | None = None) -> LockedContent:
    """Return what the lock holds of an image that is locked.

    Args:
        opened: The project.
        name: The image.
        platform: The only one to tell of; all when not given.

    Raises:
        LockError: A file of the lock is missing or damaged.
        UsageError: The image is not locked for the platform.

    """
    locked = opened.lock.images[name]
    base = opened.lock.find_base(locked.base)
    assert base is not None  # noqa: S101 - a lock without it is stale
    request = make_request(opened.loaded.spec, name)
    if platform and platform not in request.platforms:
        raise UsageError.single(
            f"{name} is not locked for {platform}", fix=f"it is for {', '.join(request.platforms)}"
        )
    conda = (
        opened.read(f"{request.folder}/conda-lock.yml") if locked.locker == "conda-lock" else b""
    )
    return LockedContent(
        project=opened.loaded.spec.project.name,
        image=name,
        python=request.python,
        platforms=(platform,) if platform else request.platforms,
        index=request.index,
        indexes=tuple(index.url for index in request.indexes),
        packages=read_packages(name, locked, opened.read),
        base=base,
        lock_sha256=locked.lock_sha256,
        conda_lock=(conda or b"").decode(),
    )
