"""Images that stand on an image of envgen, from a registry on this machine."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import tomli_w
from tests.integration.conftest import MIRROR, Project

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.container.conftest import Build, Engine

SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
LIST = (
    "import importlib.metadata as m, json; "
    "print(json.dumps(sorted((d.name.lower(), d.version) for d in m.distributions())))"
)


@pytest.fixture(scope="module")
def make_project(
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Project]:
    """Return a function from an image's table to a project."""
    del package_index  # it skips
    if not mirrors:
        pytest.skip("there is no registry on this machine")

    def make(image: dict[str, Any], python: str = "3.13", **network: Any) -> Project:
        root = tmp_path_factory.mktemp("project")
        shutil.copyfile(ca_bundle, root / "corp.pem")
        document = {
            "format": 1,
            "epoch": "2026.11",
            "project": {"name": "demo", "python": python},
            "images": {"serve": {"command": ["python", "-V"], **image}},
            "network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors, **network},
        }
        (root / "envgen.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
        return Project(root)

    return make


class Shared:
    """The base, pushed under two tags."""

    def __init__(self, build: Build, name: str, digest: str) -> None:
        self.build = build
        self.name = name
        self.digest = digest

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.digest}"


@pytest.fixture(scope="module")
def shared(engine: Engine, make_project: Callable[..., Project]) -> Shared:
    name = f"{MIRROR}/envgen-test/{uuid4().hex}"
    build = engine.build(make_project({"shared": True, "dependencies": ["idna==3.7", "packaging"]}))
    engine.docker("tag", build.id, f"{name}:1")
    engine.own_image(f"{name}:1")
    engine.docker("push", "--quiet", f"{name}:1")
    # The same content may have been pushed elsewhere before: builds are reproducible.
    known = json.loads(engine.docker("inspect", "--format", "{{json .RepoDigests}}", f"{name}:1"))
    (digest,) = (entry.partition("@")[2] for entry in known if entry.startswith(f"{name}@"))
    return Shared(build, f"{name}:1", digest)


@pytest.fixture(scope="module")
def extending(shared: Shared, make_project: Callable[..., Project]) -> Project:
    return make_project(
        {
            "base": shared.reference,
            "dependencies": ["requests", "idna"],
            "command": ["sleep", "infinity"],
        }
    )


@pytest.fixture(scope="module")
def extended(engine: Engine, extending: Project) -> Build:
    return engine.build(extending)


def installed(engine: Engine, image: str) -> dict[str, str]:
    """Return the packages of an image; one that is there twice fails."""
    rows = json.loads(engine.docker("run", "--rm", image, "python", "-c", LIST))
    found = dict(rows)
    assert len(found) == len(rows), rows
    return found


def test_base_says_what_it_has(engine: Engine, shared: Shared) -> None:
    labels = shared.build.config["Labels"]
    pins = dict(pin.split("==") for pin in labels["org.envgen.packages"].split())

    assert pins == installed(engine, shared.build.id)
    assert labels["org.envgen.python"] == "3.13"


def test_what_the_base_has_stays_and_only_the_rest_is_installed(
    engine: Engine, shared: Shared, extended: Build, extending: Project
) -> None:
    below, above = installed(engine, shared.build.id), installed(engine, extended.id)
    pylock = (extending.root / "environments/serve/pylock.packages.toml").read_text()

    assert above.items() >= below.items()
    assert above["idna"] == "3.7"
    assert "requests" in above
    assert 'name = "requests"' in pylock
    assert 'name = "idna"' not in pylock
    # The base's layers as they are, and what is added on top of them.
    assert extended.layers[: len(shared.build.layers)] == shared.build.layers


def test_extended_image_works_and_tells_all_that_it_has(engine: Engine, extended: Build) -> None:
    pins = dict(pin.split("==") for pin in extended.config["Labels"]["org.envgen.packages"].split())

    assert pins == installed(engine, extended.id)
    assert extended.config["User"] == "10001:10001"
    engine.docker("run", "--rm", extended.id, "python", "-c", "import requests, idna, packaging")
    passwd = engine.docker("run", "--rm", extended.id, "cat", "/etc/passwd")
    assert passwd.count("\napp:x:") == 1
    with engine.start(extended.id, "--network", "none") as container:
        assert container.wait_for_health() == "healthy"


def test_image_on_an_extended_one_is_extended_as_well(
    engine: Engine, extended: Build, make_project: Callable[..., Project]
) -> None:
    name = f"{MIRROR}/envgen-test/{uuid4().hex}"
    engine.docker("tag", extended.id, f"{name}:1")
    engine.own_image(f"{name}:1")
    engine.docker("push", "--quiet", f"{name}:1")

    image = {"base": f"{name}:1", "dependencies": ["six"], "determinism": "off"}
    top = engine.build(make_project(image))

    assert installed(engine, top.id).items() >= installed(engine, extended.id).items()
    # The base's health check is not this image's.
    assert top.config["Healthcheck"] == {"Test": ["NONE"]}


def test_packages_of_the_distribution_and_folders_of_volumes_are_added_as_well(
    engine: Engine, shared: Shared, make_project: Callable[..., Project]
) -> None:
    uris = re.findall(
        r"^URIs: *(\S+)", SOURCES.read_text("utf-8") if SOURCES.is_file() else "", re.MULTILINE
    )
    if not uris:
        pytest.skip("this machine has no archive of Debian")
    image = {
        "base": shared.reference,
        "apt": ["libgomp1"],
        "targets": ["compose"],
        "repository": "registry.example/demo",
        "run": {"volumes": {"data": {"path": "/data", "size": "1GiB"}}},
    }
    archives = {"debian": uris[0], "debian-security": uris[-1]}

    build = engine.build(make_project(image, **{"apt-archives": archives}))

    def run(*command: str) -> str:
        return engine.docker("run", "--rm", "--network=none", build.id, *command)

    assert "libgomp.so.1" in run("/sbin/ldconfig", "--print-cache")
    assert run("dpkg", "--audit") == ""
    assert run("cat", "/etc/passwd").count("\napp:x:") == 1
    assert run("stat", "--format=%u:%g", "/data") == "10001:10001"


def test_drift_is_told(shared: Shared, extending: Project, extended: Build) -> None:
    del extended  # it is locked
    told = extending.envgen("explain").stdout

    assert "drift of idna" in told
    assert "base packages" in told
    done = extending.envgen("lock")
    assert f"{shared.name} holds idna 3.7 (not 3." in done.stderr


def test_tag_that_has_moved_on_is_told(
    engine: Engine, shared: Shared, extended: Build, make_project: Callable[..., Project]
) -> None:
    moved = f"{MIRROR}/envgen-test/{uuid4().hex}:1"
    for image in (shared.build.id, extended.id):
        engine.docker("tag", image, moved)
        engine.docker("push", "--quiet", moved)
    engine.own_image(moved)
    project = make_project({"base": f"{moved}@{shared.digest}", "dependencies": ["idna"]})

    done = project.envgen("lock")

    assert done.returncode == 0, done.stderr
    assert f"{moved} is sha256:" in done.stderr
    assert "base drift" in project.envgen("explain").stdout
    assert project.envgen("render").returncode == 0
    assert project.envgen("render", "--check").returncode == 0


@pytest.mark.parametrize(
    ("image", "python", "word"),
    [
        ({"dependencies": ["idna>=3.8"]}, "3.13", "holds it to 2 packages"),
        ({"dependencies": ["six"]}, "3.12", "has Python 3.13, and the project 3.12"),
        ({"dependencies": ["six"], "locker": "poetry"}, "3.13", "poetry cannot extend"),
    ],
)
def test_what_does_not_fit_the_base_is_refused(
    shared: Shared,
    make_project: Callable[..., Project],
    image: dict[str, Any],
    python: str,
    word: str,
) -> None:
    done = make_project({"base": shared.reference, **image}, python).envgen("lock")

    assert done.returncode == 4, done.stderr
    assert word in done.stderr


def test_image_that_does_not_say_what_it_has_is_no_base(
    engine: Engine, make_project: Callable[..., Project]
) -> None:
    name = f"{MIRROR}/envgen-test/{uuid4().hex}:1"
    build = engine.build(make_project({"dependencies": ["idna"]}))
    engine.docker("tag", build.id, name)
    engine.own_image(name)
    engine.docker("push", "--quiet", name)

    done = make_project({"base": name}).envgen("lock")

    assert done.returncode == 4
    assert "shared = true" in done.stderr
