"""The bundled presets: each is told, and renders what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import MINIMAL

from envgen.presets import preset_names, read_preset

if TYPE_CHECKING:
    from tests.conftest import Project

DOCS = Path(__file__).parents[2] / "docs" / "presets.md"


@pytest.mark.parametrize("name", preset_names())
def test_reference_has_every_preset_in_its_own_words(name: str) -> None:
    line = (
        f"| [`{name}`](../presets/environments/{name}.toml) | {read_preset(name)['description']} |"
    )

    assert line in DOCS.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", preset_names())
def test_preset_renders_a_container_that_starts_something(name: str, project: Project) -> None:
    project.write("envgen.toml", f'{MINIMAL}preset = "{name}"\n')
    for path in read_preset(name)["image"].get("copy", []):
        project.write(f"{path}main.py", "")

    outcome = project.render_offline()

    assert outcome.code == 0, outcome.err
    dockerfile = project.read("environments/serve/Dockerfile")
    # A base is there for other images, which start something.
    assert ("\nCMD [" in dockerfile) != ("shared" in read_preset(name)["image"])
    assert ("EXPOSE" in dockerfile) == ("port" in read_preset(name)["image"])
