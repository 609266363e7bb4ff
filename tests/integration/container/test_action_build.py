"""The action builds an image and tells what it built."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from tests.integration.action_runner import Runner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Project
    from tests.integration.container.conftest import Engine


@pytest.mark.usefixtures("image")
def test_build_tells_what_it_built(iris: Project, engine: Engine, tmp_path: Path) -> None:
    runner = Runner(tmp_path / "job", iris.root, images="serve")
    done = runner.run("Install envgen")
    assert done.returncode == 0, done.stderr

    done = runner.run("Build")

    assert done.returncode == 0, done.stderr
    outputs = runner.outputs()
    engine.own_image(outputs["image"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", outputs["digest"])
    assert outputs["image"] == "iris-serve"
    assert outputs["lock-hash"].startswith("sha256:")
    assert outputs["spec-hash"].startswith("sha256:")
    assert json.loads(outputs["record"])["images"][0]["image"] == "serve"
