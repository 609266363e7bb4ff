"""What is rendered for the start of an image that is meant for a GPU."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from envgen.rendered import is_untouched

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.13"
dependencies = ["torch"]

[images.serve]
"""
ENTRYPOINT = ["/opt/venv/bin/python", "-I", "-S", "/opt/envgen/envgen_runtime/start.py"]
OWN_BASE = 'base = "registry.example/base:1@sha256:' + "0" * 64 + '"\n'
DOCKERFILE = "environments/serve/Dockerfile"
CUDA = "environments/serve/runtime/cuda.txt"


def render(project: Project, image: str) -> str:
    project.write("envgen.toml", SPEC + image)
    outcome = project.render_offline()
    assert outcome.code == 0, outcome.err
    return project.read(DOCKERFILE)


def entrypoint(dockerfile: str) -> list[str]:
    lines = [line for line in dockerfile.splitlines() if line.startswith("ENTRYPOINT ")]
    return json.loads(lines[0].removeprefix("ENTRYPOINT ")) if lines else []


def test_image_without_gpu_stays_as_it_is(project: Project) -> None:
    assert entrypoint(render(project, 'command = ["python"]\n')) == []
    assert CUDA not in project.files()


def test_image_with_gpu_starts_with_the_check(project: Project) -> None:
    dockerfile = render(project, 'gpu = {}\ncommand = ["python"]\n')
    assert entrypoint(dockerfile) == ENTRYPOINT
    assert dockerfile.index("ENTRYPOINT") < dockerfile.index('CMD ["python"]')
    assert is_untouched(project.files()[CUDA])
    assert "required no\n" in project.read(CUDA)


def test_check_is_there_without_a_self_test(project: Project) -> None:
    dockerfile = render(project, 'determinism = "off"\ngpu = { required = true }\n')
    assert entrypoint(dockerfile) == ENTRYPOINT
    assert "HEALTHCHECK" not in dockerfile
    assert "COPY --from=selftest" in dockerfile
    assert "!environments/serve/runtime\n" in project.read(f"{DOCKERFILE}.dockerignore")
    assert "required yes\n" in project.read(CUDA)


@pytest.mark.parametrize(
    ("command", "expected"), [("", []), ('command = ["python"]\n', ENTRYPOINT)]
)
def test_own_base_keeps_its_entrypoint_unless_the_command_is_ours(
    project: Project, command: str, expected: list[str]
) -> None:
    dockerfile = render(project, f"{OWN_BASE}gpu = {{}}\n{command}")
    assert entrypoint(dockerfile) == expected
    told = project.run("explain", "serve").out
    assert ("unchecked" in told) == (not expected)


def test_explain_tells_what_happens_without_a_gpu(project: Project) -> None:
    render(project, "gpu = { required = true }\n")
    assert "a machine without GPU ends the start" in " ".join(
        project.run("explain", "serve").out.split()
    )
