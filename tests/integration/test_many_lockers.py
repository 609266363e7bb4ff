"""Images of one project locked by uv, pip, poetry and conda-lock: agreement, numbers, failures."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
import tomli_w
from tests.integration.conda_channel import Channel, Package

from envgen import process
from envgen.lock import resolve
from envgen.lock.model import LockedBase
from envgen.lockers import conda_lock_program
from envgen.lockers.tool_environment import ensure_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Server

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index", "own_tools")]

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
LOCKERS = ("uv", "pip", "poetry", "conda-lock")
VERSIONS = ("1.0", "1.5", "2.0")


@pytest.fixture
def own_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let lockers have caches of their own, and no conda of this machine; answer for registries."""

    def pin_base(image: str, **_: object) -> LockedBase:
        return LockedBase(image=image, digest=f"sha256:{'a' * 64}", origin="registry")

    for tool in ("poetry", "conda-lock"):
        ensure_tool(tool)
    monkeypatch.setenv("POETRY_CACHE_DIR", str(tmp_path / "poetry"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setattr(resolve, "pin_base", pin_base)
    monkeypatch.setattr(conda_lock_program, "_SOLVERS", ())
    conda_lock_program._find_solver.cache_clear()
    yield
    conda_lock_program._find_solver.cache_clear()


@pytest.fixture
def index(serve: Callable[..., Server]) -> Server:
    """Return an index with a package in three versions and one that holds it down."""
    server = serve()
    for version in VERSIONS:
        server.add_wheel("shared", version)
    server.add_wheel("holds", "1.0", "shared<2")
    return server


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[str]:
    """Serve a channel with the same package in the same versions."""
    made = Channel(tmp_path / "channel")
    made.add(Package("python", f"{PYTHON}.7", "h1_0"))
    for version in VERSIONS:
        needs = (f"python >={PYTHON}",)
        made.add(Package("shared", version, "pyh_0", "noarch", needs, noarch="python"))
    with made.serve() as address:
        yield address


def write_spec(project: Any, index: Server, images: dict[str, Any], **more: Any) -> None:
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": PYTHON, **more},
        "images": images,
        "network": {"index": f"{index.url}/simple"},
    }
    project.write("envgen.toml", tomli_w.dumps(spec))


def find_versions(project: Any, image: str) -> dict[str, str]:
    import tomllib

    found: dict[str, str] = {}
    for file in ("pylock.packages.toml", "conda.toml"):
        path = project.root / "environments" / image / file
        if path.is_file():
            packages = tomllib.loads(path.read_text()).get("packages", [])
            found |= {package["name"]: package["version"] for package in packages}
    return found


def images_of_all_lockers(channel: str) -> dict[str, dict[str, Any]]:
    return {
        "train": {"locker": "conda-lock", "conda": ["shared"], "channels": [channel]},
        "serve": {"locker": "uv", "dependencies": ["shared"]},
        "batch": {"locker": "poetry", "dependencies": ["shared", "holds"]},
        "old": {"locker": "pip", "dependencies": ["shared"]},
    }


def test_all_lockers_agree_on_what_one_of_them_can_have(
    project: Any, index: Server, channel: str
) -> None:
    images = images_of_all_lockers(channel)
    write_spec(project, index, images, agree=["shared"])

    outcome = project.run("lock")

    assert outcome.code == 0, outcome.err
    assert {find_versions(project, name)["shared"] for name in images} == {"1.5"}
    assert project.run("lock").out == "nothing changed\n"


def test_conda_that_cannot_follow_is_named_with_the_other(
    project: Any, index: Server, channel: str
) -> None:
    images = images_of_all_lockers(channel)
    images["train"]["conda"] = ["shared >=2"]
    write_spec(project, index, images, agree=["shared"])
    before = project.files()

    outcome = project.run("lock")

    assert outcome.code == 4
    assert "project.agree: shared is 2.0 in train" in outcome.err
    assert "1.5 in batch" in outcome.err
    assert project.files() == before


class Programs:
    """What runs at a time, below this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lockers = 0
        self.most_lockers = 0
        self.most_bytes = 0
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._run = process.run
        monkeypatch.setattr(process, "run", self.run)

    def run(self, argv: Any, **options: Any) -> process.Finished:
        beside = any("conda_records.py" in str(word) for word in argv)
        with self._guard:
            self.lockers += not beside
            self.most_lockers = max(self.most_lockers, self.lockers)
        try:
            return self._run(argv, **options)
        finally:
            with self._guard:
                self.lockers -= not beside

    def __enter__(self) -> Self:
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            self.most_bytes = max(self.most_bytes, _measure_children())
            time.sleep(0.1)


def _measure_children() -> int:
    """Return the resident memory of all programs below this process, shared pages counted twice."""
    parents: dict[int, list[int]] = {}
    pages: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(folder.name)
        parents.setdefault(int(fields[1]), []).append(number)
        pages[number] = int(fields[21])
    below, found = list(parents.get(os.getpid(), [])), 0
    while below:
        number = below.pop()
        found += pages[number]
        below += parents.get(number, [])
    return found * os.sysconf("SC_PAGE_SIZE")


def many_images(channel: str) -> dict[str, dict[str, Any]]:
    chosen = images_of_all_lockers(channel)
    by_locker = {image["locker"]: image for image in chosen.values()}
    return {f"image{n}": dict(by_locker[LOCKERS[n % len(LOCKERS)]]) for n in range(40)}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to read")
def test_forty_images_are_locked_by_a_bounded_number_of_programs(
    project: Any, index: Server, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = many_images(channel)
    write_spec(project, index, images)

    with Programs(monkeypatch) as programs:
        outcome = project.run("lock")

    assert outcome.code == 0, outcome.err
    assert all(find_versions(project, name)["shared"] for name in images)
    assert 1 < programs.most_lockers <= resolve._PARALLEL
    # A conda-lock with its solver and checker takes less than 200 MB here, and others half of it.
    assert 0 < programs.most_bytes < resolve._PARALLEL * 400_000_000


def test_one_of_forty_that_fails_leaves_every_file_as_it_was(
    project: Any, index: Server, channel: str
) -> None:
    images = many_images(channel)
    write_spec(project, index, {name: images[name] for name in list(images)[:4]})
    assert project.run("render").code == 0
    images["image38"]["dependencies"] = ["no-such-thing"]
    write_spec(project, index, images)
    before = project.files()

    outcome = project.run("render")

    assert outcome.code == 4
    assert "images.image38" in outcome.err
    assert project.files() == before
