"""What is rendered of the health check, and that it agrees with what the runtime does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from envgen_runtime import probe, switches

from envgen.plan import health
from envgen.rendered import is_untouched

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """\
format = 1
epoch = "2026.11"

[project]
name = "demo"
python = "3.13"
dependencies = [{dependencies}]

[images.serve]
{image}
"""
FOLDER = "environments/serve"


def render(project: Project, image: str = "", dependencies: str = '"numpy"') -> str:
    project.write("envgen.toml", SPEC.format(dependencies=dependencies, image=image))
    outcome = project.render_offline()
    assert outcome.code == 0, outcome.err
    return project.read(f"{FOLDER}/Dockerfile")


def start_period(dockerfile: str) -> int:
    found = re.search(r"^HEALTHCHECK .*--start-period=(\d+)s", dockerfile, re.MULTILINE)
    assert found is not None
    return int(found[1])


def limit(dockerfile: str) -> int:
    found = re.search(r'^ENV ENVGEN_SELFTEST_TIMEOUT="?(\d+)', dockerfile, re.MULTILINE)
    return int(found[1]) if found else health._RUNTIME_DEFAULT_S


def test_no_failure_counts_while_the_full_test_may_run(project: Project) -> None:
    for dependencies in ('"numpy"', '"torch"', '"torch", "numpy"', ""):
        dockerfile = render(project, dependencies=dependencies)
        assert start_period(dockerfile) > limit(dockerfile)


def test_heavier_framework_gets_more_time(project: Project) -> None:
    numpy, torch = (start_period(render(project, dependencies=d)) for d in ('"numpy"', '"torch"'))
    assert numpy < torch


def test_users_own_limit_moves_the_start_period(project: Project) -> None:
    dockerfile = render(project, 'env = { ENVGEN_SELFTEST_TIMEOUT = "700" }')
    assert start_period(dockerfile) == 710
    assert "ENVGEN_SELFTEST_TIMEOUT says 700 s" in project.run("explain", "serve").out


def test_times_agree_with_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(health.TIMEOUT_VARIABLE, raising=False)
    assert switches.limit_s() == health._RUNTIME_DEFAULT_S
    assert health._TIMEOUT_S > probe.WAIT_S
    assert probe.WAIT_S > probe.GPU_S


def test_lock_is_named_in_the_image(project: Project) -> None:
    render(project)
    path = f"{FOLDER}/runtime/lock.txt"
    assert is_untouched(project.files()[path])
    assert re.search(r"^sha256 [0-9a-f]{64}$", project.read(path), re.MULTILINE)
    assert re.search(r"^framework numpy \S+$", project.read(path), re.MULTILINE)


def test_note_tells_where_the_health_check_is_dropped(project: Project) -> None:
    dockerfile = render(project)
    note = dockerfile.partition("\nHEALTHCHECK")[0].rpartition("\n\n")[2]
    told = project.run("explain", "serve").out
    for place in ("Kubernetes", "Amazon ECS", "OCI format"):
        assert place in note
        assert place in told


def test_without_self_test_nothing_is_said_of_it(project: Project) -> None:
    dockerfile = render(project, 'determinism = "off"')
    assert "Kubernetes" not in dockerfile
    assert f"{FOLDER}/runtime/lock.txt" not in project.files()
    assert "health check" not in project.run("explain", "serve").out


def test_image_that_tests_at_its_start_has_an_entrypoint(project: Project) -> None:
    dockerfile = render(project, 'env = { ENVGEN_SELFTEST_AT = "start" }\ncommand = ["python"]')
    assert "envgen_runtime/start.py" in dockerfile.partition("\nENTRYPOINT ")[2]
    assert "before the command" in project.run("explain", "serve").out
