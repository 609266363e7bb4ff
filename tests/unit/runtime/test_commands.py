from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.runtime.conftest import Container


def test_run_lists_every_workload_with_its_hash(container: Container) -> None:
    answer = container.run("run")
    assert answer.code == 0
    works = json.loads(container.run("run", "--json").text)["frameworks"][0]["workloads"]
    for work in works:
        assert work["name"] in answer.text
        assert work["sha256"][:16] in answer.text


def test_run_leaves_the_verdict_alone(container: Container) -> None:
    container.run("probe")
    (path,) = container.verdicts()
    before = path.read_bytes()
    container.replace_plain_workloads("def bad(): raise RuntimeError('bad')")
    assert container.run("run").code == 1
    assert path.read_bytes() == before
    assert container.run("probe").code == 0


def test_run_refuses_a_meaningless_limit(container: Container) -> None:
    answer = container.run("run", ENVGEN_SELFTEST_TIMEOUT="soon")
    assert answer.code == 1
    assert "ENVGEN_SELFTEST_TIMEOUT='soon' means nothing" in answer.complaint


def test_explain_tells_what_would_run_without_running_it(container: Container) -> None:
    container.interpreter = [sys.executable]
    container.replace_plain_workloads(
        f"{container.good_workload}\ndef bad(): raise RuntimeError('this ran')"
    )
    answer = container.run("explain", OMP_NUM_THREADS="3")
    assert answer.code == 0
    assert "cpu (test): good; bad" in answer.text
    assert "numpy/__init__.py" in answer.text
    assert "linear algebra" in answer.text
    assert "OMP_NUM_THREADS=3" in answer.text
    assert "MKL_CBWR is not set" in answer.text
    assert "verdict: none yet" in answer.text
    assert "this ran" not in answer.text


def test_explain_shows_the_kept_verdict_and_where_it_is(container: Container) -> None:
    text = container.run("probe").first_line
    answer = container.run("explain")
    assert f"verdict: {text}" in answer.text
    assert str(container.verdicts()[0]) in answer.text


def test_explain_survives_a_framework_that_does_not_import(container: Container) -> None:
    container.install("numpy", {"__init__.py": "raise ImportError('no libfoo')"})
    answer = container.run("explain")
    assert answer.code == 0
    assert "import numpy: ImportError: no libfoo" in answer.text
