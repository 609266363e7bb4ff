"""What bots are told is valid, and what they then change is accepted."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

if TYPE_CHECKING:
    from tests.conftest import Project


def validate(document: Any, vendor: str) -> None:
    """Hold a document against the schema that check-jsonschema brings along."""
    folder = files("check_jsonschema").joinpath("builtin_schemas/vendor")
    schema = json.loads(folder.joinpath(f"{vendor}.json").read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(document)


def test_renovate_updates_digests_that_check_then_accepts(rendered: Project) -> None:
    config = rendered.run("bots", "renovate").json
    validate(config, "renovate")
    (pattern,) = config["customManagers"][0]["matchStrings"]
    lock = rendered.read("envgen.lock")

    found = re.search(pattern.replace("(?<", "(?P<"), lock)
    assert found
    assert found["depName"] == "docker.io/library/python"
    assert found["currentValue"] == "3.13-slim-trixie"
    rendered.write("envgen.lock", lock.replace(found["currentDigest"], "sha256:" + "1" * 64))

    assert rendered.run("render", "--check").code == 1
    assert rendered.run("render", "--locked").code == 0
    assert rendered.run("render", "--check").code == 0
    assert "1" * 64 in rendered.read("environments/serve/Dockerfile")


def test_renovate_leaves_generated_files_alone(rendered: Project) -> None:
    (rule,) = rendered.run("bots", "renovate").json["packageRules"]

    assert rule["matchFileNames"] == ["environments/**"]
    assert rule["enabled"] is False


@pytest.mark.parametrize("folder", ["", "services/a.b"])
def test_paths_are_those_of_the_repository(rendered: Project, folder: str) -> None:
    inner = rendered.root / folder
    inner.mkdir(parents=True, exist_ok=True)
    rendered.write(
        f"{folder}/envgen.toml" if folder else "envgen.toml", rendered.read("envgen.toml")
    )
    (rendered.root / ".git").mkdir()

    config = rendered.run("bots", "renovate", "-C", str(inner)).json

    (pattern,) = config["customManagers"][0]["managerFilePatterns"]
    path = f"{folder}/envgen.lock" if folder else "envgen.lock"
    assert re.fullmatch(pattern.strip("/"), path)
    assert not re.fullmatch(pattern.strip("/"), path.replace(".", "x"))


def test_dependabot_has_a_folder_for_each_image_that_it_can_update(project: Project) -> None:
    spec = project.read("envgen.toml")
    others = "".join(
        f'\n[images.{name}]\nlocker = "{locker}"\n'
        for name, locker in (("train", "poetry"), ("tools", "pip"), ("gpu", "conda-lock"))
    )
    project.write("envgen.toml", spec + others)

    outcome = project.run("bots", "dependabot")

    document = yaml.safe_load(outcome.out)
    validate(document, "dependabot")
    folders = {each["package-ecosystem"]: each["directories"] for each in document["updates"]}
    assert folders == {"pip": ["/environments/train"], "uv": ["/environments/serve"]}
    assert "cannot update tools, gpu" in outcome.err
