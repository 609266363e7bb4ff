"""Every preset's requirements resolve with what the package index has today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tomli_w
from tests.integration.conftest import Project

from envgen.presets import preset_names, read_preset

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("package_index")]


def test_every_preset_locks(tmp_path: Path) -> None:
    images = {name: {"preset": name} for name in preset_names()}
    spec = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "presets", "python": "3.13"},
        "images": images,
    }
    (tmp_path / "envgen.toml").write_text(tomli_w.dumps(spec), encoding="utf-8")
    for name in images:
        for path in read_preset(name)["image"].get("copy", []):
            (tmp_path / path).mkdir(exist_ok=True)

    done = Project(tmp_path).envgen("lock")

    assert done.returncode == 0, done.stderr
    for name in images:
        assert f"{name}: " in done.stdout + done.stderr
