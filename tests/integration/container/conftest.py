"""The example as an image of a real Docker Engine, built once for all container tests.

Its base is docker.io's, or the stand-in for it that a registry on this machine has.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import tomli_w

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Project

MARK = f"# the certificates of one test run: {uuid4().hex}"
ODD_VALUES = {
    "QUOTES": '"it\'s"',
    "DOLLARS": "$HOME ${PATH:-x} $$ \\$",
    "BACKSLASHES": "C:\\new\\",
    "HASH": "# no comment",
    "BACKTICKS": "`id` $(id)",
    "SPACES": "  two  ",
    "UNICODE": "größe 漢字 🙂",
    "EMPTY": "",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.container)
            item.add_marker(pytest.mark.network)


class Engine:
    """A Docker Engine, and what these tests made in it."""

    def __init__(self, cleanup: ExitStack) -> None:
        self._cleanup = cleanup

    def docker(self, *arguments: str | Path) -> str:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def build(self, project: Project, *options: str, **env: str) -> Build:
        """Build the image `serve` of a project under a name of its own."""
        tag = f"envgen-test:{uuid4().hex}"
        done = project.envgen("build", "serve", "--tag", tag, *options, **env)
        assert done.returncode == 0, done.stderr
        self.own_image(tag)
        return self.inspect_image(tag, done.stderr)

    def own_image(self, tag: str) -> None:
        """Remove an image at the end."""
        self._cleanup.callback(self.docker, "image", "rm", "--force", tag)

    def inspect_image(self, tag: str, progress: str = "") -> Build:
        found = json.loads(self.docker("image", "inspect", tag))[0]
        return Build(
            id=found["Id"],
            config=found["Config"],
            layers=tuple(found["RootFS"]["Layers"]),
            progress=progress,
            executed=_executed_steps(progress),
        )

    @contextmanager
    def start(self, image: str, *options: str) -> Iterator[Container]:
        publish = () if "none" in options else ("--publish", "127.0.0.1::8000")
        container = self.docker("run", "--detach", *publish, *options, image)
        try:
            yield Container(engine=self, id=container)
        finally:
            self.docker("rm", "--force", "--volumes", container)


@dataclass(frozen=True)
class Build:
    """An image, what its build said, and the steps that it did not take from the cache."""

    id: str
    config: dict[str, Any]
    layers: tuple[str, ...]
    progress: str
    executed: tuple[str, ...]


def _executed_steps(progress: str) -> tuple[str, ...]:
    cached = set(re.findall(r"^#(\d+) CACHED$", progress, re.MULTILINE))
    shown = re.findall(r"^#(\d+) \[(?!internal)([^\]]+)\] (?!FROM )", progress, re.MULTILINE)
    return tuple(name for number, name in dict(shown).items() if number not in cached)


@dataclass(frozen=True)
class Container:
    """A running container."""

    engine: Engine
    id: str

    @property
    def address(self) -> str:
        return self.engine.docker("port", self.id, "8000").splitlines()[0]

    def post(self, path: str, data: dict[str, Any]) -> Any:
        """Return the server's JSON answer; it may take a moment until it listens."""
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            data=json.dumps(data).encode(),
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for left in reversed(range(120)):
            try:
                with opener.open(request, timeout=30) as response:
                    return json.load(response)
            except OSError:
                if not left:
                    raise
                time.sleep(0.5)
        return None

    def wait_for_health(self) -> str:
        """Return the first health that is not `starting`, with what the probe said."""
        deadline = time.monotonic() + 150
        while True:
            state = json.loads(self.engine.docker("inspect", self.id))[0]["State"]
            health = state["Health"]
            if health["Status"] != "starting" or not state["Running"]:
                break
            assert time.monotonic() < deadline, f"still starting: {health['Log'][-1:]}"
            time.sleep(0.5)
        if health["Status"] == "healthy":
            return "healthy"
        logs = self.engine.docker("logs", self.id)
        return f"{state['Status']}, {health['Status']}: {health['Log'][-1:]}\n{logs}"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Return the Docker Engine, skip where none answers."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not on PATH")
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no Docker Engine answers: {done.stderr.strip().splitlines()[-1:]}")
    with ExitStack() as cleanup:
        yield Engine(cleanup)


@pytest.fixture(scope="session")
def iris(
    copy_example: Callable[[Path], Project],
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,  # noqa: ARG001 - it skips
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return the example behind a network with its own certificates, with values hard to quote."""
    project = copy_example(tmp_path_factory.mktemp("container") / "iris à la carte")
    (project.root / "corp.pem").write_text(f"{MARK}\n{ca_bundle.read_text()}", encoding="utf-8")
    network = {"network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors}}
    values = tomli_w.dumps({"images": {"serve": {"env": ODD_VALUES}}})
    given = project.spec.read_text(encoding="utf-8").replace("env = {", "# env = {")
    project.spec.write_text("\n".join((given, values, tomli_w.dumps(network))), encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def image(engine: Engine, iris: Project) -> Build:
    return engine.build(iris)


@pytest.fixture(scope="session")
def mark() -> str:
    """Return a line of the CA bundle that no image may hold."""
    return MARK


@pytest.fixture(scope="session")
def odd_values() -> dict[str, str]:
    """Return the variables of the image, with values that are hard to quote."""
    return ODD_VALUES
