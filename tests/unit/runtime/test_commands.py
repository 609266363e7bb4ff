from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

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
    assert answer.code == 2
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


def test_help_tells_the_exit_codes(container: Container) -> None:
    answer = container.run("--help")
    assert answer.code == 0
    assert "2  no answer" in answer.text


def test_wrong_usage_gives_no_answer(container: Container) -> None:
    for arguments in (["run", "--yaml"], ["compare", "one"], ["matrix", "--format", "png"]):
        answer = container.run(*arguments)
        assert answer.code == 2
        assert answer.complaint.startswith("usage: ")


def test_recorded_machine_is_the_same_as_itself(container: Container, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    for file, name in zip(files, ("a", "b"), strict=True):
        done = container.run("record", "-o", file, "--name", name)
        assert done.code == 0
        assert done.text == ""
    answer = container.run("compare", *files)
    assert (answer.code, answer.text) == (0, "the same bits in all 4 results\n")
    matrix = json.loads(container.run("matrix", "--json", *files).text)
    assert [row["verdict"] for row in matrix["devices"]] == ["agrees", "agrees"]


def test_run_against_a_fingerprint_finds_the_defect(container: Container, tmp_path: Path) -> None:
    file = str(tmp_path / "before.json")
    container.run("record", "-o", file)
    assert container.run("run", "--against", file).code == 0
    before = json.loads((tmp_path / "before.json").read_text())
    before["results"][0]["sha256"] = "0" * 64
    (tmp_path / "before.json").write_text(json.dumps(before))
    answer = container.run("run", "--against", file)
    assert answer.code == 1
    assert "DEFECT: 1 results have other bits" in answer.text
    assert "plain: draws" in answer.text
    assert "0000000000000000" in answer.text


def test_drill_makes_the_container_unhealthy_and_names_both_hashes(container: Container) -> None:
    answer = container.run("probe", ENVGEN_SELFTEST_FLIP="draws")
    assert answer.code == 1
    assert "draws on cpu: not reproducible" in answer.first_line
    assert "expected " in answer.first_line
    assert "found " in answer.first_line
    assert "a drill" in answer.first_line
    assert container.run("probe").code == 0  # another verdict


def test_unhealthy_machine_is_recorded_with_its_state(container: Container) -> None:
    done = container.run("record", ENVGEN_SELFTEST_FLIP="draws")
    assert done.code == 1
    states = {row["name"]: row["status"] for row in json.loads(done.text)["results"]}
    assert states["draws"] == "not reproducible"
    assert states["text"] == "reproducible here"


def test_matrix_reads_lines_from_standard_input(container: Container) -> None:
    line = container.run("record", "--name", "a").text
    done = subprocess.run(
        container.argv("matrix", "--format", "markdown"),
        env=container.environment,
        input=line * 3,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "| a (3) | cpu | 1 | 4 | agrees |" in done.stdout


def test_what_is_no_fingerprint_gives_no_answer(container: Container, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"name": "left-pad"}')
    for arguments in (
        ["matrix", str(tmp_path / "other.json")],
        ["matrix", str(tmp_path / "missing.json")],
        ["run", "--against", str(tmp_path / "other.json")],
    ):
        answer = container.run(*arguments)
        assert answer.code == 2
        assert answer.complaint.count("\n") == 1


def test_work_that_takes_too_much_memory_is_busy(container: Container) -> None:
    container.replace_plain_workloads(
        f"{container.good_workload}\n"
        "def greedy(): held = bytearray(os.urandom(1) * (300 << 20)); time.sleep(30)"
    )
    answer = container.run("probe", ENVGEN_SELFTEST_MEMORY="200")
    assert answer.code == 0
    assert "greedy on cpu: busy" in answer.text
    assert "more than 200 MiB (ENVGEN_SELFTEST_MEMORY)" in answer.text
