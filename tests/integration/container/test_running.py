"""Containers of the built image, as they are run in one place or another."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.container.conftest import Build, Container, Engine

WAYS = {
    "plain": (),
    "read-only": ("--read-only",),
    "other-user": ("--user", "12345"),
    "no-network": ("--network", "none"),
    "hardened": ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
}
FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


@pytest.fixture(scope="module", params=WAYS)
def container(engine: Engine, image: Build, request: pytest.FixtureRequest) -> Iterator[Container]:
    """Return a container for each way to run the image, one after the other."""
    with engine.start(image.id, *WAYS[request.param]) as container:
        yield container


@pytest.fixture(scope="module")
def _health_is_told(engine: Engine, image: Build) -> None:
    """Skip where `docker exec`, and with it the health check, does not reach into containers."""
    with engine.start(image.id, "--no-healthcheck", "--tmpfs", "/own") as container:
        command = ["docker", "exec", container.id, "test", "-d", "/own"]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("docker exec does not see the container's own files")


@pytest.mark.usefixtures("_health_is_told")
def test_container_becomes_healthy(container: Container) -> None:
    assert container.wait_for_health() == "healthy"


@pytest.mark.parametrize(
    "container", [way for way in WAYS if way != "no-network"], indirect=True, scope="module"
)
def test_container_answers(container: Container) -> None:
    assert container.post("/predict", FLOWER) == {"species": "setosa"}


def test_process_is_not_root(engine: Engine, image: Build) -> None:
    assert engine.docker("run", "--rm", image.id, "id", "-u") == "10001"


def test_application_cannot_change_its_own_code(engine: Engine, image: Build) -> None:
    written = "find / -xdev -writable -not -type l -not -path '/proc/*' -not -path '/dev/*'"
    found = engine.docker("run", "--rm", image.id, "sh", "-c", f"{written} 2>/dev/null; true")

    open_to_all = {"/home/app", "/tmp", "/var/tmp", "/run/lock"}  # noqa: S108 - they should be
    assert set(found.splitlines()) <= open_to_all
