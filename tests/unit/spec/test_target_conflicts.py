"""Targets, containers and deployments that do not go together, each told with its key path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

from envgen.errors import SpecError
from envgen.spec.load import load_spec

HEAD = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.13"

"""
SERVE = """\
[images.serve]
port = 8080
command = ["serve"]
repository = "registry.example/team/serve"
"""


def load(root: Path, text: str) -> dict[str, str]:
    """Return what is wrong, by key path."""
    (root / "envgen.toml").write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(root)
    assert all(problem.fix or problem.why for problem in caught.value.problems)
    return {problem.key: problem.what for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        ('[images.a]\ntargets = ["compose"]', "images.a.repository", "is missing"),
        (
            '[images.a]\ntargets = ["kubernets"]',
            "images.a.targets[0]",
            "'kubernets' is not a choice",
        ),
        ('[images.a]\nrepository = "team/a"', "images.a.repository", "is not a repository"),
        ('[images.a]\nrepository = "r.example/a:1"', "images.a.repository", "is not a repository"),
        ('[images.a.run]\ncpus = "0"', "images.a.run.cpus", "is not a number of processors"),
        ("[images.a.run]\ncpus = 2", "images.a.run.cpus", "is the number 2"),
        ('[images.a.run]\nmemory = "4"', "images.a.run.memory", "is not a size"),
        ("[images.a.run]\ngpus = 1", "images.a.run.gpus", "the image has no `gpu`"),
        ("[images.a.run]\ngpus = -1", "images.a.run.gpus", "out of range"),
        ("[images.a.run]\nreplicas = 2", "images.a.run.replicas", "are for an image that serves"),
        (
            '[images.a.run]\ncheckpoints = "/data/x"',
            "images.a.run.checkpoints",
            "is not a place in object storage",
        ),
        (
            '[images.a.run]\ncheckpoints = "s3://user:secret@b/x"',
            "images.a.run.checkpoints",
            "is not a place in object storage",
        ),
        (
            '[images.a.run.env]\nENVGEN_IMAGE_DIGEST = "x"',
            "images.a.run.env.ENVGEN_IMAGE_DIGEST",
            "is set by manifests",
        ),
        (
            '[images.a.run.volumes]\ntmp = { path = "/x", size = "1GB" }',
            "images.a.run.volumes.tmp",
            "cannot name a volume",
        ),
        (
            '[images.a.run.volumes]\ndata = { path = "/opt/venv", size = "1GB" }',
            "images.a.run.volumes.data.path",
            "/opt/venv hides /opt/venv",
        ),
        (
            "[images.a.run.volumes]\n"
            + "\n".join(f'{name} = {{ path = "/d", size = "1GB" }}' for name in "ab"),
            "images.a.run.volumes.b.path",
            "is the place of a already",
        ),
        ("[images.a]\n[deployments.prod.b]", "deployments.prod.b", "there is no image 'b'"),
        ("[images.a]\n[deployments.production.a]", "deployments.production", "unknown key"),
        (
            "[images.a]\n[deployments.prod.a]\nreplica = 2",
            "deployments.prod.a.replica",
            "unknown key",
        ),
        (
            SERVE.replace("8080", "8000") + 'targets = ["sagemaker"]',
            "images.serve.port",
            "8000 is not where SageMaker looks",
        ),
        (
            SERVE.replace('command = ["serve"]', "") + 'targets = ["sagemaker"]',
            "images.serve.command",
            "is missing",
        ),
        (SERVE + 'targets = ["ecs"]', "images.serve.run.memory", "is missing"),
        (
            SERVE + 'run = { checkpoints = "s3://b/x" }',
            "images.serve.run.checkpoints",
            "are for a job",
        ),
        (
            SERVE + 'targets = ["devcontainer"]\nrun = { env = { A = "${localEnv:HOME}" } }',
            "images.serve.run.env.A",
            "holds ${",
        ),
        (
            SERVE
            + 'run = { volumes = { d = { path = "/d", size = "1GB" } } }\n'
            + '[deployments.prod.serve.volumes]\nd = { path = "/e", size = "1GB" }',
            "deployments.prod.serve.volumes.d.path",
            "is another path",
        ),
        (
            f'[images.{"long-" * 11}er]\ntargets = ["kubernetes"]\nrepository = "r.example/a"',
            f"images.{'long-' * 11}er",
            "too long a name",
        ),
    ],
)
def test_fault_is_told_where_it_is(tmp_path: Path, text: str, key: str, what: str) -> None:
    assert what in load(tmp_path, text)[key]


def test_memory_that_deployments_say_is_enough_for_ecs(tmp_path: Path) -> None:
    deployments = "".join(
        f'[deployments.{name}.serve]\nmemory = "1GB"\n' for name in ("dev", "test", "prod")
    )
    text = HEAD + SERVE + 'targets = ["ecs"]\n' + deployments
    (tmp_path / "envgen.toml").write_text(text, encoding="utf-8")

    assert load_spec(tmp_path).spec.deployments.prod["serve"].memory == "1GB"


def test_all_targets_go_together(tmp_path: Path) -> None:
    names = ["compose", "kubernetes", "sagemaker", "apptainer", "ecs", "devcontainer"]
    text = f'{HEAD}{SERVE}targets = {names}\nrun = {{ memory = "1GB", replicas = 2 }}\n'
    (tmp_path / "envgen.toml").write_text(text, encoding="utf-8")

    assert load_spec(tmp_path).spec.images["serve"].targets == tuple(names)
