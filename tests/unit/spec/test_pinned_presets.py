"""Presets that do not come with envgen: shown before first use, kept beside the lock, checked."""

from __future__ import annotations

import hashlib
import tomllib
from typing import TYPE_CHECKING

import pytest
from tests.conftest import MINIMAL

from envgen.errors import SpecError
from envgen.spec.pinned_presets import parse_preset

if TYPE_CHECKING:
    from tests.conftest import Outcome, Project

REFERENCE = f"git+https://git.example/team/presets@{'0123456789abcdef' * 2}01234567#train.toml"
PRESET = b"""\
description = "How the team trains."

[image]
dependencies = ["numpy>=2"]
env = { TEAM = "vision" }
command = ["python", "-m", "fit"]
"""


class Source:
    """Stands in for the network: what it delivers, and how often it was asked."""

    def __init__(self) -> None:
        self.content = PRESET
        self.asked = 0

    def fetch(self, *_: object) -> bytes:
        self.asked += 1
        return self.content


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    made = Source()
    monkeypatch.setattr("envgen.lock.preset_source.fetch_preset", made.fetch)
    return made


@pytest.fixture
def project(project: Project, source: Source) -> Project:  # noqa: ARG001 - answers meanwhile
    project.write("envgen.toml", f'{MINIMAL}preset = "{REFERENCE}"\nenv = {{ MODE = "fast" }}\n')
    return project


STORED = f"environments/presets/train-{hashlib.sha256(PRESET).hexdigest()[:12]}.toml"


def accept(project: Project) -> Outcome:
    outcome = project.render_offline("--accept-presets")
    assert outcome.code == 0, outcome.err
    return outcome


def test_new_preset_is_shown_and_not_used_before_it_is_accepted(project: Project) -> None:
    before = project.files()

    outcome = project.render_offline()

    assert outcome.code == 4
    assert REFERENCE in outcome.err
    assert 'command = ["python", "-m", "fit"]' in outcome.err
    assert "--accept-presets" in outcome.err
    assert project.files() == before


def test_machines_get_the_content_of_a_new_preset_as_well(project: Project) -> None:
    outcome = project.render_offline("--json")

    (problem,) = outcome.json["problems"]
    assert PRESET.decode().strip() in problem["why"]


def test_accepted_preset_is_kept_and_recorded(project: Project) -> None:
    outcome = accept(project)

    assert "How the team trains." in outcome.err
    assert project.files()[STORED] == PRESET
    (row,) = tomllib.loads(project.read("envgen.lock"))["presets"]
    assert row == {"reference": REFERENCE, "sha256": hashlib.sha256(PRESET).hexdigest()}
    dockerfile = project.read("environments/serve/Dockerfile")
    assert 'ENV TEAM="vision"' in dockerfile
    assert 'ENV MODE="fast"' in dockerfile
    assert 'CMD ["python", "-m", "fit"]' in dockerfile


def test_kept_preset_needs_no_network_and_no_question(project: Project, source: Source) -> None:
    accept(project)

    assert project.render_offline().code == 0
    assert project.run("render", "--check").code == 0
    assert project.run("explain").code == 0
    assert source.asked == 1


def test_line_endings_of_a_checkout_do_not_count(project: Project) -> None:
    accept(project)
    project.write(STORED, PRESET.replace(b"\n", b"\r\n"))

    assert project.run("render", "--check").code == 0


@pytest.mark.parametrize("command", ["render", "lock"])
def test_edited_preset_is_refused(project: Project, command: str) -> None:
    accept(project)
    project.write(STORED, PRESET.replace(b"vision", b"other"))

    outcome = project.run(command)

    assert outcome.code == 4
    assert STORED in outcome.err
    assert "not the preset that was locked" in outcome.err


def test_check_does_not_fetch_what_is_not_locked(project: Project, source: Source) -> None:
    outcome = project.run("render", "--check")

    assert outcome.code == 1
    assert "python -m envgen lock" in outcome.err
    assert source.asked == 0


def test_missing_file_is_fetched_again_without_a_question(project: Project, source: Source) -> None:
    accept(project)
    (project.root / STORED).unlink()

    assert project.run("render", "--check").code == 1
    assert project.render_offline().code == 0
    assert project.files()[STORED] == PRESET
    assert source.asked == 2


def test_other_content_under_a_locked_reference_is_refused(
    project: Project, source: Source
) -> None:
    accept(project)
    (project.root / STORED).unlink()
    source.content = PRESET.replace(b"vision", b"mining")

    outcome = project.render_offline("--accept-presets")

    assert outcome.code == 4
    assert "not the one that was locked" in outcome.err


def test_preset_of_no_use_any_more_goes_with_its_row(project: Project) -> None:
    accept(project)
    project.write("envgen.toml", MINIMAL)

    assert project.run("render", "--check").code == 1
    assert project.render_offline().code == 0

    assert STORED not in project.files()
    assert "presets" not in tomllib.loads(project.read("envgen.lock"))


def test_pyproject_may_name_one_as_well(project: Project) -> None:
    (project.root / "envgen.toml").unlink()
    project.write(
        "pyproject.toml",
        '[project]\nname = "demo"\nrequires-python = ">=3.13"\n'
        '[tool.envgen]\nformat = 1\nepoch = "2026.11"\n'
        f'[tool.envgen.images.serve]\npreset = "{REFERENCE}"\n',
    )

    accept(project)

    assert 'ENV TEAM="vision"' in project.read("environments/serve/Dockerfile")


def test_yes_on_a_terminal_accepts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def confirm(_: object, question: str) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr("envgen.console.Console.confirm", confirm)

    assert project.render_offline().code == 0
    assert len(asked) == 1


def test_unknown_preset_suggests_the_nearest(project: Project) -> None:
    project.write("envgen.toml", f'{MINIMAL}preset = "sklearn-server"\n')

    outcome = project.run("lock")

    assert outcome.code == 3
    assert "envgen.toml: images.serve.preset: there is no preset 'sklearn-server'" in outcome.err
    assert "did you mean 'sklearn-serve'?" in outcome.err


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("description = ", "TOML"),
        ("[image]\n", "description"),
        ('description = ""\n', "image"),
        ('description = ""\nrun = 1\n[image]\n', "unknown key"),
        ('description = ""\n[image]\ninstall = ["."]\n', "not for presets"),
        ('description = ""\n[image]\nport = "x"\n', "image.port"),
        ('description = "\u202e"\n[image]\n', "U+202E"),
        (f'description = "{"x" * 70_000}"\n[image]\n', "64 KiB"),
    ],
)
def test_what_is_no_preset_is_refused(content: str, word: str) -> None:
    with pytest.raises(SpecError, match=r"preset\.toml") as caught:
        parse_preset(content.encode(), "preset.toml")

    assert word in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(SpecError, match="UTF-8"):
        parse_preset(b"\xff", "preset.toml")
