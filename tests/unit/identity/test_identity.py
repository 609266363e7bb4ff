"""An identity survives the way into a registry and back, and leads to its commit."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envgen.identity.model import Identity, from_tags
from envgen.identity.targets import MlflowVersion, ModelCard, find_target

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Project

texts = st.text(st.characters(categories=["L", "N"]), max_size=20)


@given(st.builds(Identity, image=texts.filter(bool), digest=texts, lock=texts, cuda=texts))
def test_tags_hold_all_of_it(identity: Identity) -> None:
    assert from_tags({**identity.to_tags(), "mine": 1}) == identity


def test_tags_of_somebody_else_are_nobody_of_ours() -> None:
    assert from_tags({"owner": "me", "envgen.later": "x"}) is None


@pytest.mark.parametrize("text", ["mlflow:sentiment/3", "mlflow:sentiment@champion"])
def test_model_versions_are_named_by_number_or_alias(text: str) -> None:
    assert isinstance(find_target(text), MlflowVersion)


@pytest.mark.parametrize("text", ["registry.example/a:1", "sha256:00", "4f1c2a7b9d10"])
def test_images_are_no_model_versions(text: str) -> None:
    assert find_target(text) is None


class TestModelCard:
    @pytest.mark.parametrize(
        ("before", "body"),
        [
            ("---\nlicense: mit\ntags: [a, ä]\n---\n# Model\n", "# Model\n"),
            ("---\n---\ntext\n", "text\n"),
            ("# Model\n---\nno metadata\n", "# Model\n---\nno metadata\n"),
        ],
    )
    def test_what_was_there_stays(self, tmp_path: Path, before: str, body: str) -> None:
        path = tmp_path / "README.md"
        path.write_text(before, encoding="utf-8")
        card = ModelCard(str(path))

        card.write({"envgen.image": "train", "envgen.lock": "sha256:1"})

        assert card.read() == {"envgen.image": "train", "envgen.lock": "sha256:1"}
        after = path.read_text(encoding="utf-8")
        assert after.endswith("---\n" + body)
        if "license" in before:
            metadata = yaml.safe_load(after.split("---\n")[1])
            assert metadata["license"] == "mit"
            assert metadata["tags"] == ["a", "ä"]


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@packages.example")
    command = ["git", *identity, "-c", "commit.gpgsign=false", *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(project: Project) -> str:
    git(project.root, "add", "--all", "--force")
    git(project.root, "commit", "--quiet", "--allow-empty", "--message", "x")
    return git(project.root, "rev-parse", "HEAD")


class TestCommands:
    @pytest.fixture
    def repository(self, rendered: Project) -> Project:
        git(rendered.root, "init", "--quiet")
        rendered.write("README.md", "# Model\n")
        return rendered

    def test_a_model_leads_back_to_the_commit(self, repository: Project) -> None:
        card = f"card:{repository.root / 'README.md'}"
        first = commit(repository)
        assert repository.run("register", "serve", card).code == 0
        repository.write("envgen.toml", repository.read("envgen.toml") + 'dependencies = ["a"]\n')
        assert repository.render_offline().code == 0
        commit(repository)

        outcome = repository.run("identify", card)

        assert outcome.code == 0, outcome.err
        assert f"commit: {first} (with this spec and this lock)" in outcome.out

    def test_another_spec_with_the_same_lock_is_said(self, repository: Project) -> None:
        card = f"card:{repository.root / 'README.md'}"
        repository.run("register", "serve", card)
        repository.write("envgen.toml", "# a comment\n" + repository.read("envgen.toml"))
        only = commit(repository)

        outcome = repository.run("identify", card)

        assert f"commit: {only} (with this lock and another spec)" in outcome.out

    def test_an_unknown_lock_is_not_found(self, repository: Project) -> None:
        repository.write("README.md", "---\nenvgen: {image: serve, lock: 'sha256:1'}\n---\n")
        commit(repository)

        outcome = repository.run("identify", f"card:{repository.root / 'README.md'}")

        assert "commit: not found; no commit here has this lock" in outcome.out

    def record(self, project: Project, **image: Any) -> str:
        document = {"format": 1, "images": [{"image": "serve", **image}]}
        return str(project.write("digests.json", json.dumps(document)))

    def test_digests_come_from_the_record_of_the_build(self, repository: Project) -> None:
        record = self.record(repository, digest="sha256:1", canonical={"digest": "sha256:2"})
        card = f"card:{repository.root / 'README.md'}"

        outcome = repository.run("register", "serve", card, "--record", record, "--json")

        assert outcome.json["envgen.digest"] == "sha256:1"
        assert outcome.json["envgen.canonical"] == "sha256:2"

    def test_a_record_of_another_lock_is_refused(self, repository: Project) -> None:
        record = self.record(repository, lock="sha256:1")

        outcome = repository.run("register", "serve", "card:README.md", "--record", record)

        assert outcome.code == 2
        assert "is of another lock" in outcome.err
        assert repository.read("README.md") == "# Model\n"

    @pytest.mark.parametrize("model", ["README.md", "mlflow:sentiment", "wandb:x"])
    def test_what_is_no_model_version_is_refused(self, repository: Project, model: str) -> None:
        outcome = repository.run("register", "serve", model)

        assert outcome.code == 2
        assert "mlflow:" in outcome.err or "wandb:" in outcome.err

    def test_a_card_that_tells_nothing_is_said(self, repository: Project) -> None:
        outcome = repository.run("identify", f"card:{repository.root / 'README.md'}")

        assert outcome.code == 2
        assert "does not tell its environment" in outcome.err
