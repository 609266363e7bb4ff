"""Locks with an index and registries of this process, which answer as they are told."""

from __future__ import annotations

import http
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import tomli_w
import uv

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Project, Server

FOLDER = "environments/serve"
PYLOCK = f"{FOLDER}/pylock.packages.toml"


@pytest.fixture
def index(serve: Callable[..., Server]) -> Server:
    """Return an index with two versions of `demo`, and `other` that wants the older one."""
    server = serve()
    server.add_wheel("demo", "1.0")
    server.add_wheel("demo", "2.0")
    server.add_wheel("other", "1.0", "demo<2")
    return server


@pytest.fixture
def registry(serve: Callable[..., Server]) -> Server:
    server = serve()
    server.add_base("library/python", "3.13-slim-trixie")
    return server


@pytest.fixture
def project(
    index: Server, registry: Server, copy_example: Callable[[Path], Project], tmp_path: Path
) -> Project:
    project = copy_example(tmp_path / "project")
    project.env.update(
        ENVGEN_REGISTRY_MIRRORS=f"docker.io={registry.host}",
        NO_PROXY="127.0.0.1",
        UV_CACHE_DIR=str(tmp_path / "cache"),
        UV_HTTP_RETRIES="0",
        UV_HTTP_TIMEOUT="2",
    )
    require(project, index, "demo")
    return project


def require(project: Project, index: Server, *requirements: str, base: str = "auto") -> None:
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "example", "python": "3.13", "dependencies": list(requirements)},
        "images": {"serve": {"base": base, "copy": ["app/"]}},
        "network": {"index": f"{index.url}/simple"},
    }
    project.spec.write_text(tomli_w.dumps(spec), encoding="utf-8")


def lock(project: Project) -> None:
    done = project.envgen("lock")
    assert done.returncode == 0, done.stderr


def test_packages_come_from_the_index_and_the_digest_from_the_mirror(
    project: Project, index: Server, registry: Server
) -> None:
    lock(project)

    assert f"{index.url}/files/demo-2.0-py3-none-any.whl".encode() in project.files()[PYLOCK]
    digest = registry.add_base("library/python", "3.13-slim-trixie")
    assert digest.encode() in project.files()["envgen.lock"]


def test_mirror_of_this_machine_is_in_no_file(project: Project, registry: Server) -> None:
    done = project.envgen("render")

    assert done.returncode == 0, done.stderr
    assert not [path for path, data in project.files().items() if registry.host.encode() in data]


def test_upgrade_takes_what_a_plain_lock_leaves(project: Project, index: Server) -> None:
    require(project, index, "demo", "other")
    lock(project)
    require(project, index, "demo")

    kept = project.envgen("lock")
    assert kept.returncode == 0, kept.stderr
    assert "removed other" in kept.stdout
    assert "demo" not in kept.stdout.replace("other", "")

    upgraded = project.envgen("lock", "--upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    assert upgraded.stdout == "serve: demo 1.0 -> 2.0\n"


def test_upgrade_by_plain_uv_is_taken_up(project: Project, index: Server) -> None:
    require(project, index, "demo", "other")
    lock(project)
    require(project, index, "demo")
    lock(project)
    command = [uv.find_uv_bin(), "lock", "--upgrade-package", "demo"]
    env = project.environment()
    subprocess.run(command, cwd=project.root / FOLDER, env=env, check=True, capture_output=True)

    stale = project.envgen("render", "--check")
    assert stale.returncode == 1
    assert "uv.lock is not the one that was read" in stale.stderr

    rendered = project.envgen("render")
    assert rendered.returncode == 0, rendered.stderr
    assert b"demo-2.0" in project.files()[PYLOCK]
    assert project.envgen("render", "--check").returncode == 0


def test_requirements_that_exclude_each_other_leave_the_files_alone(
    project: Project, index: Server
) -> None:
    lock(project)
    require(project, index, "demo>=2", "other")
    before = project.files()

    done = project.envgen("lock")

    assert done.returncode == 4, done.stderr
    assert "demo<2" in done.stderr
    assert project.files() == before


def test_unknown_package_is_named(project: Project, index: Server) -> None:
    require(project, index, "no-such-package")

    done = project.envgen("lock")

    assert done.returncode == 4, done.stderr
    assert "there is no package 'no-such-package' on the index" in done.stderr


@pytest.mark.parametrize("status", [403, 429, 500, 502, 503])
def test_failing_index_is_told(project: Project, index: Server, status: int) -> None:
    index.status = http.HTTPStatus(status)

    done = project.envgen("lock")

    assert done.returncode == 5, done.stderr
    assert str(status) in done.stderr
    assert set(project.files()) == {"envgen.toml", *app(project)}


def app(project: Project) -> set[str]:
    return {path for path in project.files() if path.startswith("app/")}


def test_index_that_answers_garbage_is_told(project: Project, index: Server) -> None:
    index.garbage = True

    done = project.envgen("lock")

    assert done.returncode == 4, done.stderr
    assert "the index has no version of 'demo'" in done.stderr
    assert "check that network.index is a package index" in done.stderr


def test_index_that_never_answers_is_told(project: Project, index: Server) -> None:
    index.hangs = True

    done = project.envgen("lock")

    assert done.returncode == 5, done.stderr
    assert "the package index did not answer" in done.stderr


class TestLogin:
    """An index that wants a user name and a password."""

    PASSWORD = f"pass/{uuid4().hex}@word"

    @pytest.fixture(autouse=True)
    def _lock_index(self, index: Server) -> None:
        index.login = f"ann:{self.PASSWORD}"

    @pytest.fixture
    def login(self) -> dict[str, str]:
        return {"ENVGEN_INDEX_USERNAME": "ann", "ENVGEN_INDEX_PASSWORD": self.PASSWORD}

    def test_password_is_nowhere(
        self, project: Project, index: Server, login: dict[str, str]
    ) -> None:
        seen: list[str] = []
        index.on_request = lambda: seen.extend(command_lines())

        done = project.envgen("render", "--verbose", **login)

        assert done.returncode == 0, done.stderr
        assert any("uv lock" in line for line in seen)
        for text in (done.stdout, done.stderr, *seen, *map(repr, project.files().values())):
            assert self.PASSWORD not in text
            assert self.PASSWORD.rpartition("/")[2] not in text

    def test_missing_login_is_asked_for(self, project: Project) -> None:
        done = project.envgen("lock")

        assert done.returncode == 5, done.stderr
        assert "set ENVGEN_INDEX_USERNAME and ENVGEN_INDEX_PASSWORD" in done.stderr

    def test_wrong_password_is_told_without_it(self, project: Project) -> None:
        wrong = uuid4().hex

        done = project.envgen(
            "lock", "--verbose", ENVGEN_INDEX_USERNAME="ann", ENVGEN_INDEX_PASSWORD=wrong
        )

        assert done.returncode == 5, done.stderr
        assert "wants a login" in done.stderr
        assert wrong not in done.stdout + done.stderr


def command_lines() -> list[str]:
    """Return the command line of every process of this machine."""
    done = subprocess.run(["ps", "-Awwo", "args"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


class TestRegistry:
    """A base of registry.example, which is there only through a mirror."""

    @pytest.fixture
    def mirror(self, project: Project, index: Server, serve: Callable[..., Server]) -> Server:
        server = serve()
        server.add_base("team/python", "1")
        project.env["ENVGEN_REGISTRY_MIRRORS"] += f",registry.example={server.host}"
        require(project, index, "demo", base="registry.example/team/python:1")
        return server

    def test_mirror_answers(self, project: Project, mirror: Server) -> None:
        lock(project)

        digest = mirror.add_base("team/python", "1")
        assert digest.encode() in project.files()["envgen.lock"]

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            (401, "may not be read"),
            (404, "does not exist"),
            (429, "too many requests"),
            (500, "has a failure of its own (500)"),
        ],
    )
    def test_refusal_is_told(
        self, project: Project, mirror: Server, status: int, words: str
    ) -> None:
        mirror.status = http.HTTPStatus(status)

        done = project.envgen("lock")

        assert done.returncode == 5, done.stderr
        assert f"{mirror.host}/team/python:1" in done.stderr
        assert words in done.stderr
        assert set(project.files()) == {"envgen.toml", *app(project)}

    def test_garbage_is_told(self, project: Project, mirror: Server) -> None:
        mirror.garbage = True

        done = project.envgen("lock")

        assert done.returncode == 5, done.stderr
        assert "cannot be used" in done.stderr

    def test_silence_is_told(self, project: Project, mirror: Server) -> None:
        mirror.hangs = True

        done = project.envgen("lock")

        assert done.returncode == 5, done.stderr
        assert "did not answer in time" in done.stderr

    def test_registry_that_is_not_there_is_told(self, project: Project, mirror: Server) -> None:
        mirror.stop()

        done = project.envgen("lock")

        assert done.returncode == 5, done.stderr
        assert f"{mirror.host} cannot be reached" in done.stderr


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="children are found in /proc")
@pytest.mark.parametrize("hanging", ["index", "registry"])
def test_interrupted_lock_leaves_files_and_no_process(
    project: Project, index: Server, registry: Server, hanging: str
) -> None:
    lock(project)
    shutil.rmtree(project.env["UV_CACHE_DIR"])
    (project.root / FOLDER / "uv.lock").unlink()
    before = project.files()
    server = {"index": index, "registry": registry}[hanging]
    server.hangs = True
    server.requests.clear()

    # Only the process itself is signalled, as by a supervisor and not by a terminal.
    running = subprocess.Popen(
        [*project.command, "lock", "--upgrade"],
        cwd=project.root,
        env=project.environment(UV_HTTP_TIMEOUT="60"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not server.requests:
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)

    assert running.returncode == 130, stderr
    assert stderr.endswith("interrupted; the files are all old or all new\n")
    assert project.files() == before
    assert session_members(running.pid) == []


def session_members(session: int) -> list[int]:
    """Return the processes of a process session (setsid) that are still there."""
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                members.append(int(folder.name))
        except ProcessLookupError:
            continue
    return members
