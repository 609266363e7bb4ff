"""OS packages of a dated archive become exact versions with hashes, and stay what they are."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.apt_archive import Archive, Key, add_base, archive_key, make_deb

from envgen.apt.version import fits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project, Server

__all__ = ["archive_key"]

FIRST, LATER = "2026-11-01T00:00:00Z", "2026-11-08T00:00:00Z"
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12
"""
TOOL = make_deb("tool", "1.0-1", {"usr/bin/tool": "1"}, depends="libtool1 (>= 1), libc6 (>= 2.38)")
LIBRARY = make_deb("libtool1", "1.0-1", {"usr/lib/libtool.so.1": "1"})
NEWER = make_deb("tool", "1.1-1", {"usr/bin/tool": "2"}, depends="libtool1 (>= 1)")

versions = st.from_regex(r"\A([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?\Z", fullmatch=True)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not on PATH")
@settings(max_examples=100, deadline=None)
@given(versions, versions, st.sampled_from(["<<", "<=", "=", ">=", ">>"]))
def test_relations_hold_where_dpkg_says_so(left: str, right: str, operator: str) -> None:
    done = subprocess.run(
        ["dpkg", "--compare-versions", left, operator, right], check=False, capture_output=True
    )
    assert fits(left, operator, right) == (done.returncode == 0)


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    found = serve()
    add_base(found, "own/base", STATUS)
    found.add_base("library/python", "3.13-slim-trixie")
    found.add_wheel("demo_core", "1.0")
    return found


@pytest.fixture
def archive(server: Server, archive_key: Key) -> Archive:
    made = Archive(server, archive_key)
    made.publish("20261101T000000Z", TOOL, LIBRARY)
    made.publish("20261108T000000Z", NEWER, TOOL, LIBRARY)
    return made


@pytest.fixture
def make_project(
    server: Server,
    archive: Archive,
    archive_key: Key,
    copy_example: Callable[[Path], Project],
    tmp_path: Path,
) -> Callable[..., Project]:
    def make(moment: str = FIRST, *apt: str) -> Project:
        project = copy_example(tmp_path / "project")
        write_spec(project, server, archive, archive_key, moment, *apt)
        project.env["UV_CACHE_DIR"] = str(tmp_path / "uv")
        return project

    return make


def write_spec(
    project: Project, server: Server, archive: Archive, key: Key, moment: str, *apt: str
) -> None:
    shutil.copyfile(key.keyring, project.root / "archive.gpg")
    document = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "demo", "python": "3.13", "dependencies": ["demo-core"]},
        "images": {
            "serve": {
                "base": f"{server.host}/own/base:1",
                "apt": apt or ("tool",),
                "determinism": "off",
            }
        },
        "network": {
            "index": f"{server.url}/simple",
            "registry-mirrors": {"docker.io": server.host},
            "apt-snapshot": moment,
            "apt-archives": archive.urls,
            "apt-keyring": "archive.gpg",
        },
    }
    project.spec.write_text(tomli_w.dumps(document), encoding="utf-8")


def read_versions(project: Project) -> dict[str, str]:
    text = (project.root / "environments/serve/apt.toml").read_text(encoding="utf-8")
    return {row["name"]: row["version"] for row in tomllib.loads(text)["packages"]}


def test_closure_is_locked_with_hashes_and_who_signed_it(
    make_project: Callable[..., Project],
) -> None:
    project = make_project()

    done = project.envgen("lock")

    assert done.returncode == 0, done.stderr
    assert read_versions(project) == {"tool": "1.0-1", "libtool1": "1.0-1"}
    locked = tomllib.loads((project.root / "envgen.lock").read_text(encoding="utf-8"))
    apt = locked["images"]["serve"]["apt"]
    assert apt["moment"] == "20261101T000000Z"
    assert [suite["suite"] for suite in apt["suites"]] == [
        *("trixie", "trixie-updates", "trixie-security")
    ]
    assert all(re.fullmatch("[0-9A-F]{40}", suite["key"]) for suite in apt["suites"])


def test_lock_is_kept_without_asking_the_archive(
    make_project: Callable[..., Project], server: Server
) -> None:
    project = make_project()
    assert project.envgen("lock").returncode == 0
    before = project.files()
    server.requests.clear()

    done = project.envgen("lock")

    assert done.returncode == 0, done.stderr
    assert project.files() == before
    assert not any(path.startswith("/debian") for path in server.requests)


def test_later_moment_makes_the_lock_stale_and_moves_the_versions(
    make_project: Callable[..., Project], server: Server, archive: Archive, archive_key: Key
) -> None:
    project = make_project()
    assert project.envgen("render").returncode == 0
    write_spec(project, server, archive, archive_key, LATER)

    stale = project.envgen("render", "--check")
    done = project.envgen("render")

    assert "its OS packages were locked for another" in stale.stderr
    assert done.returncode == 0, done.stderr
    assert "tool 1.0-1 -> 1.1-1" in done.stdout + done.stderr
    assert read_versions(project)["tool"] == "1.1-1"


def test_version_that_is_named_is_taken(make_project: Callable[..., Project]) -> None:
    project = make_project(LATER, "tool=1.0-1")

    assert project.envgen("lock").returncode == 0
    assert read_versions(project)["tool"] == "1.0-1"


def test_package_that_does_not_exist_is_named_with_its_place(
    make_project: Callable[..., Project],
) -> None:
    done = make_project(FIRST, "tol").envgen("lock")

    assert done.returncode != 0
    assert "images.serve.apt" in done.stderr
    assert "there is no OS package tol" in done.stderr
    assert "did you mean 'tool'?" in done.stderr


def test_index_that_was_tampered_with_is_refused(
    make_project: Callable[..., Project], server: Server
) -> None:
    project = make_project()
    path = next(
        path
        for path in server.pages
        if path.endswith("01T000000Z/dists/trixie/main/binary-amd64/Packages.xz")
    )
    server.pages[path] = server.pages[path.replace("20261101", "20261108")]

    done = project.envgen("lock")

    assert done.returncode != 0
    assert "is not the file that was expected" in done.stderr


def test_list_that_was_tampered_with_is_refused(
    make_project: Callable[..., Project], server: Server
) -> None:
    project = make_project()
    path = next(path for path in server.pages if path.endswith("dists/trixie/InRelease"))
    server.pages[path] = server.pages[path].replace(b"Suite: trixie", b"Suite: Trixie")

    done = project.envgen("lock")

    assert done.returncode != 0
    assert "is not signed by a key of archive.gpg" in done.stderr
    assert "BAD signature" in done.stderr


def test_image_that_asks_for_none_any_more_loses_its_file(
    make_project: Callable[..., Project],
) -> None:
    project = make_project()
    assert project.envgen("render").returncode == 0
    text = project.spec.read_text(encoding="utf-8")
    project.spec.write_text(re.sub(r"apt = \[[^]]*\]\n", "", text), encoding="utf-8")

    done = project.envgen("render")

    assert done.returncode == 0, done.stderr
    assert not (project.root / "environments/serve/apt.toml").exists()
    assert not (project.root / "environments/serve/apt.py").exists()
