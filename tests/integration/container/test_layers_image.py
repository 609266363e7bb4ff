"""What moves when a package changes, and what the images of a spec share."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import tomli_w

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Build, Engine

HEAVY = ["scikit-learn", "pyarrow"]


def spec(mirrors: dict[str, str], light: str) -> dict[str, Any]:
    return {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "layers", "python": "3.13", "dependencies": [*HEAVY, light]},
        "images": {
            "serve": {"determinism": "off"},
            "train": {"determinism": "off", "dependencies": ["idna"]},
        },
        "network": {"ca-certificates": "corp.pem", "registry-mirrors": mirrors},
    }


@pytest.fixture(scope="module")
def project(
    copy_example: Callable[[Path], Project],
    mirrors: dict[str, str],
    ca_bundle: Path,
    package_index: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    del package_index  # it skips
    project = copy_example(tmp_path_factory.mktemp("layers") / "layers")
    (project.root / "corp.pem").write_bytes(ca_bundle.read_bytes())
    project.spec.write_text(tomli_w.dumps(spec(mirrors, "tqdm<4.67")), encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def built(engine: Engine, project: Project) -> dict[str, Build]:
    """Return both images, built in one run, side by side."""
    done = project.envgen("build", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    images = {entry["image"]: entry["tags"][0] for entry in json.loads(done.stdout)}
    for tag in images.values():
        engine.own_image(tag)
    return {name: engine.inspect_image(tag) for name, tag in images.items()}


class Registry:
    """The registry of this machine, as far as tests write to it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.repository = f"envgen-test/{uuid4().hex}"

    def layers(self, tag: str) -> dict[str, int]:
        """Return the compressed sizes of the layers that an image has there, by digest."""
        accepted = (
            "application/vnd.docker.distribution.manifest.v2+json, "
            "application/vnd.oci.image.manifest.v1+json"
        )
        path = f"/v2/{self.repository}/manifests/{tag}"
        with closing(http.client.HTTPConnection(self.address, timeout=10)) as connection:
            connection.request("GET", path, headers={"Accept": accepted})
            with connection.getresponse() as answer:
                manifest = json.load(answer)
        return {layer["digest"]: layer["size"] for layer in manifest["layers"]}


@pytest.fixture(scope="module")
def registry(mirrors: dict[str, str]) -> Registry:
    if not mirrors:
        pytest.skip("there is no registry here that may be written to")
    return Registry(next(iter(mirrors.values())))


def push(engine: Engine, registry: Registry, image: str, tag: str) -> dict[str, int]:
    name = f"{registry.address}/{registry.repository}:{tag}"
    engine.docker("tag", image, name)
    engine.own_image(name)
    engine.docker("push", "--quiet", name)
    return registry.layers(tag)


def test_images_of_a_spec_store_what_they_share_once(
    engine: Engine, registry: Registry, built: dict[str, Build]
) -> None:
    serve = push(engine, registry, built["serve"].id, "serve")
    train = push(engine, registry, built["train"].id, "train")

    own = train.keys() - serve.keys()
    assert len(own) == 1
    assert sum(train[digest] for digest in own) < 5_000_000
    assert max(train.values()) > 20_000_000


def test_light_change_moves_the_light_layer_alone(
    engine: Engine,
    registry: Registry,
    project: Project,
    built: dict[str, Build],
    mirrors: dict[str, str],
) -> None:
    before = push(engine, registry, built["serve"].id, "before")
    heavy = project.files()["environments/serve/pylock.heavy.toml"]
    project.spec.write_text(tomli_w.dumps(spec(mirrors, "tqdm<4.66")), encoding="utf-8")

    changed = engine.build(project)

    assert project.files()["environments/serve/pylock.heavy.toml"] == heavy
    stages = {step.split()[0] for step in changed.executed if not step.startswith("stage-")}
    assert "heavy" not in stages
    after = push(engine, registry, changed.id, "after")
    moved = {digest: size for digest, size in after.items() if digest not in before}
    assert len(moved) == 1
    assert sum(moved.values()) < 5_000_000


def test_packages_of_all_layers_are_one_environment(
    engine: Engine, built: dict[str, Build]
) -> None:
    code = "import idna, pyarrow, sklearn, tqdm; print(tqdm.__file__)"

    said = engine.docker("run", "--rm", "--network=none", built["train"].id, "python", "-c", code)

    assert said.startswith("/opt/venv/lib/python3.13/site-packages/")
