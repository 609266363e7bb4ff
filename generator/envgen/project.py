"""The flow that commands share: spec and lock of a folder, brought up to date, and its files."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from envgen.errors import LockError, Problem, StaleError, UsageError
from envgen.lock.changes import Change
from envgen.lock.model import EMPTY, LOCK_FILE, Lock, read_lock
from envgen.lock.request import make_request
from envgen.lock.staleness import find_stale
from envgen.lockers import load_locker
from envgen.output import hold, read
from envgen.plan.image import make_plan
from envgen.plan.model import Plan
from envgen.release.published import EMPTY as NOTHING_PUBLISHED
from envgen.release.published import PUBLISHED_FILE, Published, read_published
from envgen.rendered import RenderedFile
from envgen.spec.load import LoadedSpec, load_spec
from envgen.spec.suggest import suggest

if TYPE_CHECKING:
    from envgen.spec.pinned_presets import Fetch


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A spec, its lock, and the images that a command is about.

    Attributes:
        loaded: The spec and its folder.
        lock: The lock, as it is on disk or as it is about to be written.
        images: The names of the images in question.
        files: What locking made, not yet on disk.
        changes: What locking changed.

    """

    loaded: LoadedSpec
    lock: Lock
    images: tuple[str, ...]
    files: tuple[RenderedFile, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def root(self) -> Path:
        return self.loaded.root

    def read(self, path: str) -> bytes | None:
        return read(self.root, path)


def open_project(
    directory: Path, images: Iterable[str], *, fetch: "Fetch | None" = None
) -> Project:
    """Return the project of a folder.

    Args:
        directory: The spec's folder or one below it.
        images: Names that the user gave; none for all images.
        fetch: Fetches presets that are neither envgen's nor kept beside the lock.

    Raises:
        SpecError: There is no valid spec.
        LockError: envgen.lock cannot be read.
        StaleError: The spec has a preset that is not locked, and nothing to fetch it with.
        UsageError: An image is not in the spec.

    """
    loaded = load_spec(directory.absolute(), fetch=fetch)
    known = loaded.spec.images
    unknown = [name for name in images if name not in known]
    if unknown:
        raise UsageError(
            *(
                Problem(
                    what=f"there is no image {name!r}", file=loaded.file, fix=suggest(name, known)
                )
                for name in unknown
            )
        )
    content = read(loaded.root, LOCK_FILE)
    lock = EMPTY if content is None else read_lock(content)
    return Project(loaded=loaded, lock=lock, images=tuple(images) or tuple(known))


@contextlib.contextmanager
def hold_project(
    directory: Path, images: Iterable[str], *, fetch: "Fetch | None" = None
) -> Iterator[Project]:
    """Yield the project of a folder while no other envgen writes there.

    Spec and lock are read again once the folder is held: the one who held it may have changed them.
    """
    found = open_project(directory, images, fetch=fetch)
    with hold(found.root):
        yield open_project(directory, images, fetch=fetch)


def require_locked(project: Project) -> None:
    """Refuse a project whose lock does not answer its spec.

    Raises:
        StaleError: With every image whose lock is stale, or that is locked and no longer there.

    """
    stale = find_stale(project.loaded.spec, project.lock, project.read)
    fix = "run `python -m envgen render`"
    problems = [
        Problem(what=f"image {name} has to be locked again", file=LOCK_FILE, why=reason, fix=fix)
        for name, reason in stale.items()
        if name in project.images
    ]
    problems += [
        Problem(what=f"image {name} is locked but not in the spec", file=LOCK_FILE, fix=fix)
        for name in _dropped(project)
    ]
    if _has_other_presets(project):
        what = "the presets are not those that were locked"
        problems.append(Problem(what=what, file=LOCK_FILE, fix=fix))
    if problems:
        raise StaleError(*problems)


def _dropped(project: Project) -> list[str]:
    """Return the images that the lock has and the spec no longer."""
    return sorted(project.lock.images.keys() - project.loaded.spec.images.keys())


def _has_other_presets(project: Project) -> bool:
    """Return whether the lock lacks a preset of the spec, or has one that nothing asks for."""
    return project.lock.presets != tuple(preset.locked for preset in project.loaded.presets)


def require_lock(project: Project) -> None:
    """Refuse a project that has images without any lock.

    Raises:
        LockError: With every such image.

    """
    problems = [
        Problem(what=f"image {name} is not locked", fix="run `python -m envgen lock`")
        for name in project.images
        if name not in project.lock.images
    ]
    if problems:
        raise LockError(*problems)


def bring_up_to_date(project: Project, report: Callable[[str], None]) -> Project:
    """Return the project with every stale image of it locked."""
    stale = find_stale(project.loaded.spec, project.lock, project.read)
    names = [name for name in project.images if name in stale]
    if not (names or _dropped(project) or _has_other_presets(project)):
        return project
    return lock_project(project, names, upgrade=False, report=report)


def lock_project(
    project: Project,
    names: Iterable[str],
    *,
    upgrade: bool,
    packages: tuple[str, ...] = (),
    report: Callable[[str], None],
) -> Project:
    """Return the project with the named images locked; nothing is written."""
    from envgen.lock.resolve import lock_images  # noqa: PLC0415 - checks never lock

    outcome = lock_images(
        project.loaded,
        project.lock,
        names,
        upgrade=upgrade,
        packages=packages,
        read=project.read,
        report=report,
    )
    return msgspec.structs.replace(
        project, lock=outcome.lock, files=outcome.files, changes=outcome.changes
    )


def read_project_published(project: Project) -> Published:
    """Return what was published of a project, which is nothing at first."""
    content = project.read(PUBLISHED_FILE)
    return NOTHING_PUBLISHED if content is None else read_published(content)


def plan_project(project: Project) -> Plan:
    """Return the plan of the images in question."""
    plan = make_plan(
        project.loaded.spec,
        project.lock,
        spec_file=project.loaded.file,
        published=read_project_published(project),
    )
    chosen = tuple(image for image in plan.images if image.name in project.images)
    return msgspec.structs.replace(plan, images=chosen)


def list_files(project: Project, plan: Plan) -> tuple[RenderedFile, ...]:
    """Return every file that should be on disk: the lock's, and what the plan renders."""
    from envgen.render import render  # noqa: PLC0415 - `lock` does not render

    made = {file.path: file for file in _locker_inputs(project)}
    made |= {preset.file.path: preset.file for preset in project.loaded.presets}
    made |= {file.path: file for file in project.files}
    made |= {file.path: file for file in render(plan)}
    return tuple(made.values())


def _locker_inputs(project: Project) -> Iterable[RenderedFile]:
    spec = project.loaded.spec
    for name in project.images:
        if name in project.lock.images:
            yield from load_locker(spec.images[name].locker).render_inputs(make_request(spec, name))
