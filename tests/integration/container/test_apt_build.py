"""OS packages get into images as they are locked, and Python into bases that have none.

The base is Debian trixie; the archive is the test's own, and in one test the one that this machine
itself installs from.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import tomli_w
from tests.integration.apt_archive import Archive, Key, archive_key, make_deb

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Project, Server
    from tests.integration.container.conftest import Engine

__all__ = ["archive_key"]

SCRIPT = "#!/bin/sh\necho {}\n"
LIBRARY = make_deb("demo-data", "2.0-1", {"usr/share/demo/data": "data\n"})
TOOL = make_deb(
    "demo-tool", "1:1.0-1", {"usr/bin/demo": SCRIPT.format("sound")}, depends="demo-data (>= 2)"
)
EVIL = make_deb(
    "demo-tool", "1:1.0-1", {"usr/bin/demo": SCRIPT.format("evil!")}, depends="demo-data (>= 2)"
)
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")


@pytest.fixture
def server(engine: Engine, serve: Callable[..., Server]) -> Server:
    template = "{{(index .IPAM.Config 0).Gateway}}"
    gateway = engine.docker("network", "inspect", "bridge", "--format", template)
    try:
        return serve(gateway)
    except OSError as error:
        pytest.skip(f"the gateway of builds is not on this machine: {error}")


@pytest.fixture
def make_project(
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,
    copy_example: Callable[[Path], Project],
    tmp_path: Path,
) -> Callable[..., Project]:
    """Return a function from an image's table and more of the network to a project."""
    del package_index  # it skips

    def make(image: dict[str, object], **network: object) -> Project:
        project = copy_example(tmp_path / "project")
        shutil.copyfile(ca_bundle, project.root / "corp.pem")
        document = {
            "format": 1,
            "epoch": "2026.11",
            "project": {"name": "demo", "python": "3.13", "dependencies": ["idna"]},
            "images": {"serve": {"determinism": "off", "command": ["python", "-V"], **image}},
            "network": {
                "ca-certificates": "corp.pem",
                "registry-mirrors": mirrors,
                "isolate-builds": True,
                **network,
            },
        }
        project.spec.write_text(tomli_w.dumps(document), encoding="utf-8")
        return project

    return make


@pytest.fixture
def own_archive(
    server: Server, archive_key: Key, make_project: Callable[..., Project]
) -> tuple[Project, list[str]]:
    """Return a project whose image takes a tool of an own archive, and where its files are."""
    archive = Archive(server, archive_key)
    paths = archive.publish("20261101T000000Z", TOOL, LIBRARY)
    project = make_project(
        {"apt": ["demo-tool"]},
        **{
            "apt-snapshot": "2026-11-01T00:00:00Z",
            "apt-archives": archive.urls,
            "apt-keyring": "archive.gpg",
        },
    )
    shutil.copyfile(archive_key.keyring, project.root / "archive.gpg")
    return project, paths


def run(image: str, *command: str) -> str:
    done = subprocess.run(
        ["docker", "run", "--rm", "--network=none", image, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_two_cold_builds_are_one_image_with_what_is_locked(
    engine: Engine, own_archive: tuple[Project, list[str]]
) -> None:
    project, _ = own_archive

    built = [engine.build(project, "--no-cache") for _ in range(2)]

    assert built[0].id == built[1].id
    assert run(built[0].id, "demo") == "sound"
    packages = run(built[0].id, "dpkg-query", "--show", "demo-*").split()
    assert packages == ["demo-data", "2.0-1", "demo-tool", "1:1.0-1"]
    assert run(built[0].id, "id", "--user") == "10001"


def test_tampered_package_is_refused(
    engine: Engine, own_archive: tuple[Project, list[str]], server: Server
) -> None:
    del engine  # it skips
    project, paths = own_archive
    assert project.envgen("render").returncode == 0
    assert len(EVIL) == len(TOOL), "a size would give it away"
    server.pages[paths[0]] = EVIL

    tag = f"envgen-test:{uuid4().hex}"
    done = project.envgen("build", "--tag", tag, "--no-cache", "--frozen", "--verbose")

    assert done.returncode != 0
    assert re.search(r"hash mismatch for demo-tool 1:1\.0-1", done.stderr), done.stderr
    found = subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False)
    assert found.returncode != 0, "there is an image all the same"


def test_packages_of_debian_get_along_with_their_own_users_and_libraries(
    engine: Engine, make_project: Callable[..., Project]
) -> None:
    uris = re.findall(
        r"^URIs: *(\S+)", SOURCES.read_text("utf-8") if SOURCES.is_file() else "", re.MULTILINE
    )
    if not uris:
        pytest.skip("this machine has no archive of Debian")
    archives = {"debian": uris[0], "debian-security": uris[-1]}
    project = make_project({"apt": ["libgomp1", "tcpdump"]}, **{"apt-archives": archives})

    image = engine.build(project)

    assert "libgomp.so.1" in run(image.id, "/sbin/ldconfig", "--print-cache")
    users = run(image.id, "cat", "/etc/passwd")
    assert re.search(r"^tcpdump:", users, re.MULTILINE)
    assert re.search(r"^app:x:10001:", users, re.MULTILINE)
    assert run(image.id, "dpkg", "--audit") == ""


def test_python_is_copied_into_a_base_that_has_none(
    engine: Engine, make_project: Callable[..., Project]
) -> None:
    project = make_project({"base": "docker.io/library/debian:trixie-slim"})

    image = engine.build(project)

    assert engine.build(project, "--no-cache").id == image.id
    code = "import bz2, ctypes, idna, lzma, sqlite3, ssl, sys; print(*sys.version_info[:2])"
    assert run(image.id, "python", "-c", code) == "3 13"
