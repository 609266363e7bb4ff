"""The example by its digest, as its own compose.yaml runs it; and parity of what runs."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import tomli_w

from envgen.lock.model import read_lock
from envgen.release.published import PUBLISHED_FILE, Published, PublishedImage, write_published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Engine

FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
COMPOSE = "environments/serve/compose.yaml"
PORT = 18237


@pytest.fixture(scope="module")
def _compose() -> None:
    """Skip where Docker has no Compose, or no registry is here to push to."""
    for command, what in (
        (["docker", "compose", "version"], "Docker has no Compose"),
        (["docker", "manifest", "inspect", "--insecure", "127.0.0.1:5000/x"], ""),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and (what or "refused" in done.stderr):
            pytest.skip(what or "there is no registry on 127.0.0.1:5000")


@pytest.fixture(scope="module")
def published(  # noqa: PLR0917 - fixtures
    engine: Engine,
    copy_example: Callable[[Path], Project],
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,  # noqa: ARG001 - it skips
    _compose: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return the example with its image in a registry, and the digest in published.toml."""
    project = copy_example(tmp_path_factory.mktemp("compose") / "iris")
    repository = f"127.0.0.1:5000/envgen-test/{uuid4().hex}"
    (project.root / "corp.pem").write_text(ca_bundle.read_text(), encoding="utf-8")
    project.spec.write_text(_describe(project, repository, mirrors), encoding="utf-8")
    done = project.envgen("build", "serve", "--tag", f"{repository}:1")
    assert done.returncode == 0, done.stderr
    engine.own_image(f"{repository}:1")
    engine.docker("push", "--quiet", f"{repository}:1")
    found = json.loads(engine.docker("image", "inspect", f"{repository}:1"))[0]
    digest = found["RepoDigests"][0].partition("@")[2]
    lock = read_lock((project.root / "envgen.lock").read_bytes()).images["serve"].lock_sha256
    row = PublishedImage(
        repository=repository,
        digest=digest,
        canonical={},
        platforms=("linux/amd64",),
        lock=f"sha256:{lock}",
        inputs=f"sha256:{lock}",
    )
    (project.root / PUBLISHED_FILE).write_bytes(write_published(Published(images={"serve": row})))
    assert project.envgen("render").returncode == 0
    return project


def _describe(project: Project, repository: str, mirrors: dict[str, str]) -> str:
    """Return the example's spec with a target, and on a port that nobody else has."""
    given = project.spec.read_text(encoding="utf-8").replace("8000", str(PORT))
    table = {"targets": ["compose"], "repository": repository, "run": {"memory": "1GiB"}}
    head, line, tail = given.partition("[images.serve]\n")
    rows = "\n".join(tomli_w.dumps({key: value}) for key, value in table.items() if key != "run")
    run = '[images.serve.run]\nmemory = "1GiB"\ncpus = "1"\n'
    network = {"network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors}}
    return f"{head}{line}{rows}{tail}\n{run}\n{tomli_w.dumps(network)}"


@pytest.fixture(scope="module")
def service(engine: Engine, published: Project) -> Iterator[str]:
    """Return the name of the container that `docker compose up --wait` starts and finds healthy."""
    file = str(published.root / COMPOSE)
    try:
        engine.docker("compose", "--file", file, "up", "--wait", "--wait-timeout", "240")
        yield engine.docker("compose", "--file", file, "ps", "--format", "{{.Name}}")
    finally:
        engine.docker("compose", "--file", file, "down", "--volumes")


def ask(path: str, data: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}",
        data=json.dumps(data).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for left in reversed(range(40)):
        try:
            with opener.open(request, timeout=30) as response:
                return json.load(response)
        except OSError:
            if not left:
                raise
            time.sleep(0.5)
    return None


def test_service_is_healthy_and_answers(engine: Engine, service: str) -> None:
    state = json.loads(engine.docker("inspect", service))[0]["State"]

    assert state["Health"]["Status"] == "healthy"
    assert ask("/predict", FLOWER) == {"species": "setosa"}


def test_running_container_has_parity(published: Project, service: str) -> None:
    done = published.envgen("parity", "--against", f"dev={service}")

    assert done.returncode == 0, done.stdout + done.stderr


def test_drift_of_a_running_container_is_named(
    engine: Engine, published: Project, service: str
) -> None:
    engine.docker("update", "--memory", "2g", "--memory-swap", "2g", service)
    try:
        done = published.envgen("parity", "--against", service)
    finally:
        engine.docker("update", "--memory", "1g", "--memory-swap", "1g", service)

    assert done.returncode == 1
    assert "resource memory of serve (dev): found 2 GiB, expected 1 GiB" in done.stdout


def test_unpublished_image_does_not_run(published: Project) -> None:
    (published.root / PUBLISHED_FILE).rename(published.root / "kept.toml")
    try:
        assert published.envgen("render").returncode == 0
        text = (published.root / COMPOSE).read_text(encoding="utf-8")
        reference = next(line.split()[1] for line in text.splitlines() if "image:" in line)
        done = subprocess.run(
            ["docker", "pull", reference], capture_output=True, text=True, check=False
        )
    finally:
        (published.root / "kept.toml").rename(published.root / PUBLISHED_FILE)
        assert published.envgen("render").returncode == 0

    assert done.returncode != 0
    assert reference.endswith("0" * 64)
