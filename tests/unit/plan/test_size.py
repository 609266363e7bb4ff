"""The size that a spec allows, and what images leave out to keep to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from envgen.plan.size import trim_rows
from envgen.spec.model import Trim

if TYPE_CHECKING:
    from tests.conftest import Project


def test_packages_above_the_size_fail_before_a_build(project: Project) -> None:
    spec = 'dependencies = ["numpy", "scipy"]\nmax-size = "1.5MB"\n'
    project.write("envgen.toml", project.read("envgen.toml") + spec)

    outcome = project.render_offline()

    assert outcome.code == 4
    assert "envgen.toml: images.serve.max-size: the packages of serve weigh" in outcome.err
    assert "layers: packages 2 MB" in outcome.err


def test_packages_within_the_size_pass(project: Project) -> None:
    project.write("envgen.toml", project.read("envgen.toml") + 'max-size = "1GiB"\n')

    assert project.render_offline().code == 0
    assert "the spec allows 1GiB for the image" in project.run("explain").out


def test_nonsense_for_a_size_is_told(project: Project) -> None:
    project.write("envgen.toml", project.read("envgen.toml") + 'max-size = "small"\n')

    outcome = project.render_offline()

    assert outcome.code == 3
    assert "'small' is not a size" in outcome.err


def test_every_trim_has_its_row_with_what_it_breaks() -> None:
    assert set(trim_rows()) == set(get_args(Trim))
    assert all(row.patterns and row.breaks and row.source for row in trim_rows().values())


def test_nothing_is_left_out_by_default(rendered: Project) -> None:
    assert "--drop" not in rendered.read("environments/serve/Dockerfile")


@pytest.mark.parametrize("name", get_args(Trim))
def test_what_is_left_out_is_in_the_stage_and_explained(project: Project, name: str) -> None:
    project.write("envgen.toml", project.read("envgen.toml") + f'trim = ["{name}"]\n')
    assert project.render_offline().code == 0

    dockerfile = project.read("environments/serve/Dockerfile")
    assert all(f'--drop="{pattern}"' in dockerfile for pattern in trim_rows()[name].patterns)
    assert trim_rows()[name].breaks in project.run("explain").out


def test_isolated_builds_have_no_network_where_nothing_is_downloaded(project: Project) -> None:
    spec = project.read("envgen.toml")
    project.write("envgen.toml", spec + "[network]\nisolate-builds = true\n")
    assert project.render_offline().code == 0

    dockerfile = project.read("environments/serve/Dockerfile")
    steps = dockerfile.replace("\\\n", " ").splitlines()
    runs = [step for step in steps if step.startswith("RUN ")]
    downloads = [step for step in runs if "pip install" in step]
    assert downloads
    assert all("--network=none" in step for step in runs if step not in downloads)
    assert not any("--network=none" in step for step in downloads)
