"""What a record lacks is named, and what could explain a difference comes in order."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from envgen.runs.checklist import check_run
from envgen.runs.compare import compare_runs

if TYPE_CHECKING:
    from tests.conftest import Project

MISSING = {"missing": "nobody knows"}
WHOLE: dict[str, Any] = {
    "format": 1,
    "run": {"state": "ended"},
    "code": {"commit": "0" * 40, "source": "git", "dirty": False},
    "data": [{"path": "data", "sha256": "a" * 64, "files": 1, "bytes": 1}],
    "parameters": {"arguments": ["train.py", "--lr", "0.1"]},
    "seeds": [{"seed": 7, "generators": ["random"], "where": "train.py:1", "process": 1}],
    "environment": {
        "image_digest": "sha256:" + "b" * 64,
        "lock": "sha256:" + "c" * 64,
        "python": "3.13.1",
        "packages": {"numpy": "2.1.0"},
        "variables": {},
    },
    "determinism": {"mode": "strict", "verdict": "healthy: reproducible here"},
    "hardware": {"cpu": "x", "gpus": [{"name": "H100", "uuid": "GPU-1"}], "driver": "570.1"},
}


def change(path: str, value: object) -> dict[str, Any]:
    run = copy.deepcopy(WHOLE)
    *folders, name = path.split(".")
    place = run
    for folder in folders:
        place = place[folder]
    place[name] = value
    return run


def test_a_whole_record_is_seven_of_seven() -> None:
    assert [point.answer for point in check_run(WHOLE)] == ["yes"] * 7


@pytest.mark.parametrize(
    ("path", "value", "name", "answer"),
    [
        ("code", MISSING, "code", "no"),
        ("code.dirty", True, "code", "partly"),
        ("code.dirty", MISSING, "code", "partly"),
        ("data", MISSING, "data", "no"),
        ("data", [{"path": "x", "sha256": MISSING}], "data", "partly"),
        ("parameters.arguments", [], "parameters", "partly"),
        ("seeds", MISSING, "seeds", "no"),
        ("environment.image_digest", MISSING, "environment", "partly"),
        ("determinism.mode", MISSING, "determinism", "no"),
        ("determinism.mode", "warn", "determinism", "partly"),
        ("determinism.verdict", MISSING, "determinism", "partly"),
        ("determinism.verdict", "unhealthy: gemm", "determinism", "partly"),
        ("hardware", MISSING, "hardware", "no"),
    ],
)
def test_what_is_lacking_is_one_point_less(
    path: str, value: object, name: str, answer: str
) -> None:
    points = {point.name: point for point in check_run(change(path, value))}

    assert points.pop(name).answer == answer
    assert all(point.answer == "yes" for point in points.values())


def test_an_image_without_lock_or_digest_is_a_no() -> None:
    run = change("environment.image_digest", MISSING)
    run["environment"]["lock"] = MISSING

    assert {point.name: point.answer for point in check_run(run)}["environment"] == "no"


def test_equal_runs_explain_nothing() -> None:
    assert compare_runs(WHOLE, copy.deepcopy(WHOLE)) == ()


def test_another_gpu_of_the_same_model_explains_nothing() -> None:
    gpus = [{"name": "H100", "uuid": "GPU-2"}]

    assert compare_runs(WHOLE, change("hardware.gpus", gpus)) == ()


def test_the_likely_comes_before_the_unlikely_and_the_known_before_the_unknown() -> None:
    other = change("hardware.driver", "580.1")
    other["parameters"]["arguments"] = ["train.py", "--lr", "0.2"]
    other["environment"]["packages"] = {"numpy": "2.2.0"}
    other["code"] = MISSING

    found = compare_runs(WHOLE, other)

    assert [each.about for each in found] == [
        "parameters.arguments",
        "environment.packages",
        "hardware.driver",
        "code",
    ]
    assert found[1].what == "numpy 2.1.0 → 2.2.0"
    assert not found[-1].certain
    assert found[-1].what == "second: nobody knows"


class TestCommands:
    def test_checklist_counts_and_says_what_to_do(self, project: Project) -> None:
        project.write("run.json", json.dumps(change("seeds", MISSING)))

        outcome = project.run("checklist", "run.json")

        assert outcome.code == 0
        assert "✗ seeds: nobody knows" in outcome.out
        assert "6 of 7" in outcome.out
        assert project.run("checklist", "run.json", "--strict").code == 1

    def test_compare_names_what_cannot_be_ruled_out(self, project: Project) -> None:
        project.write("a.json", json.dumps(WHOLE))
        project.write("b.json", json.dumps(change("data", MISSING)))

        outcome = project.run("compare", "a.json", "b.json")

        assert "nothing that both records hold differs" in outcome.out
        assert "?  data: second: nobody knows" in outcome.out

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            ("{", "is not JSON"),
            ("[]", "is no record of a run"),
            ('{"run": {}, "format": 2}', "has format 2"),
        ],
    )
    def test_another_file_is_refused(self, project: Project, content: str, what: str) -> None:
        project.write("run.json", content)

        outcome = project.run("checklist", "run.json")

        assert outcome.code == 3
        assert what in outcome.err

    def test_a_file_that_is_not_there_is_told(self, project: Project) -> None:
        assert project.run("checklist", "run.json").code == 8
