from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.runtime.conftest import Container


Count = Callable[[], int]
HEALTHY = "healthy: 1 workloads reproducible here (python 1); the control was caught; "
ONE_TEST = 2  # processes: one runs the workloads twice, one is fresh


def test_second_probe_answers_from_the_first(container: Container, counted: Count) -> None:
    first, second = container.run("probe"), container.run("probe")
    assert (first.code, second.code) == (0, 0)
    assert first.text == second.text
    assert first.text.startswith(HEALTHY)
    assert counted() == ONE_TEST


def test_unhealthy_verdict_is_kept_too(container: Container) -> None:
    container.replace_plain_workloads("def vary(): return [Piece('x', 't', (), os.urandom(8))]")
    first = container.run("probe")
    container.replace_plain_workloads(container.good_workload)
    assert (first.code, container.run("probe").code) == (1, 1)


def test_cached_probe_imports_no_framework_and_starts_no_process(container: Container) -> None:
    container.interpreter = [sys.executable]
    container.run("probe")
    container.interpreter = [sys.executable, "-X", "importtime"]
    answer = container.run("probe")
    assert answer.code == 0
    imported = {line.rpartition("|")[2].strip() for line in answer.complaint.splitlines()}
    assert "envgen_runtime.state" in imported
    assert not imported & {"numpy", "subprocess", "json", "re", "typing", "pathlib", "tempfile"}


def test_other_environment_is_tested_anew_and_both_verdicts_stay(
    container: Container, counted: Count
) -> None:
    for threads in ("1", "2", "1", "2"):
        assert container.run("probe", OMP_NUM_THREADS=threads).code == 0
    assert counted() == 2 * ONE_TEST
    assert len(container.verdicts()) == 2


def test_changed_library_is_tested_anew(container: Container) -> None:
    container.install("numpy", {"__init__.py": "raise ImportError('first')"})
    assert "first" in container.run("probe").first_line
    container.install("numpy", {"__init__.py": "raise ImportError('then another')"})
    assert "then another" in container.run("probe").first_line


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda text: text.replace("unhealthy:", "healthy:", 1), id="edited"),
        pytest.param(lambda text: text[:100], id="truncated"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: '{"healthy": true}', id="something else"),
    ],
)
def test_spoilt_verdict_is_replaced_by_a_test(
    container: Container, spoil: Callable[[str], str]
) -> None:
    container.replace_plain_workloads("def vary(): return [Piece('x', 't', (), os.urandom(8))]")
    container.run("probe")
    (path,) = container.verdicts()
    path.write_text(spoil(path.read_text()))
    answer = container.run("probe")
    assert answer.code == 1
    assert answer.text.startswith("unhealthy: ")


def test_off_tests_nothing_and_says_so(container: Container, counted: Count) -> None:
    answer = container.run("probe", ENVGEN_SELFTEST="off")
    assert answer == (0, "healthy: the self-test is switched off (ENVGEN_SELFTEST=off)\n", "")
    assert counted() == 0


def test_warn_reports_a_failure_and_lets_it_pass(container: Container) -> None:
    container.replace_plain_workloads("def vary(): return [Piece('x', 't', (), os.urandom(8))]")
    for _ in range(2):  # tested, then cached
        answer = container.run("probe", ENVGEN_SELFTEST="warn")
        assert answer.code == 0
        assert answer.first_line.startswith("not enforced (ENVGEN_SELFTEST=warn): unhealthy: ")
    assert container.run("probe").code == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVGEN_SELFTEST", "Off"),
        ("ENVGEN_SELFTEST", "0"),
        ("ENVGEN_SELFTEST_AT", "noon"),
        ("ENVGEN_SELFTEST_MEMORY", "4G"),
        *(("ENVGEN_SELFTEST_TIMEOUT", value) for value in ("0", "-5", "nan", "inf", "2m", "1e9")),
    ],
)
def test_meaningless_switch_is_unhealthy_and_says_what_it_can_be(
    container: Container, name: str, value: str
) -> None:
    answer = container.run("probe", **{name: value})
    assert answer.code == 1
    assert answer.first_line.startswith(f"unhealthy: {name}='{value}' means nothing; it ")


def test_empty_switches_are_unset(container: Container) -> None:
    assert container.run("probe", ENVGEN_SELFTEST="", ENVGEN_SELFTEST_TIMEOUT="").code == 0


def test_without_a_place_for_the_verdict_every_probe_tests(
    container: Container, counted: Count
) -> None:
    for _ in range(2):
        answer = container.run("probe", ENVGEN_STATE_DIR=str(container.directory / "missing"))
        assert answer.code == 0
        assert answer.first_line.startswith(HEALTHY)
        assert "(every probe tests anew, the verdict cannot be kept:" in answer.first_line
    assert counted() == 2 * ONE_TEST


def test_verdict_that_does_not_fit_on_the_disk_is_still_answered(container: Container) -> None:
    container.run("probe")  # makes directory and lock
    (path,) = container.verdicts()
    path.unlink()
    # A limit on file sizes does to one process what a full disk does to all.
    done = subprocess.run(
        container.argv("probe"),
        env=container.environment,
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)),
    )
    assert done.returncode == 0
    assert b"the verdict cannot be kept" in done.stdout
    assert container.verdicts() == []


def test_probes_at_the_same_time_run_one_test(container: Container, counted: Count) -> None:
    probes = [
        subprocess.Popen(
            container.argv("probe"), env=container.environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    answers = {probe.communicate(timeout=120)[0] for probe in probes}
    assert {probe.returncode for probe in probes} == {0}
    assert len(answers) == 1
    assert counted() == ONE_TEST


def test_test_outlives_a_probe_that_is_killed(container: Container, counted: Count) -> None:
    source = container.package / "plain_workloads.py"
    source.write_text(
        source.read_text().replace("return [Piece(", "time.sleep(0.5); return [Piece(")
    )
    probe = subprocess.Popen(
        container.argv("probe"), env=container.environment, start_new_session=True
    )
    while counted() == 0:
        time.sleep(0.02)
    os.killpg(probe.pid, signal.SIGKILL)  # some container runtimes kill the group
    probe.wait()
    assert container.run("probe").text.startswith(HEALTHY)
    assert counted() == ONE_TEST


def test_probe_that_does_not_want_to_wait_answers_starting(container: Container) -> None:
    _shorten_wait(container, 0.3)
    container.replace_plain_workloads(container.good_workload + "\ntime.sleep(1)")
    answers = [container.run("probe"), container.run("probe")]  # its own test, then another's
    for answer in answers:
        assert answer.code == 1
        assert answer.first_line.startswith("starting: the self-test has not ended yet")
    assert container.run("probe", ENVGEN_SELFTEST="warn").code == 0
    _shorten_wait(container, 60)
    assert container.run("probe").code == 0


def _shorten_wait(container: Container, seconds: float) -> None:
    path = container.package / "probe.py"
    lines = path.read_text().splitlines()
    (index,) = (i for i, line in enumerate(lines) if line.startswith("WAIT_S = "))
    lines[index] = f"WAIT_S = {seconds}"
    path.write_text("\n".join(lines))


def test_broken_runtime_is_unhealthy_in_one_line(container: Container) -> None:
    (container.package / "fulltest.py").write_text("raise RuntimeError('half copied')")
    answer = container.run("probe")
    assert answer.code == 1
    assert answer.first_line.startswith("unhealthy: ")
    assert "half copied" in answer.first_line


def test_test_that_dies_without_a_verdict_is_unhealthy(container: Container) -> None:
    path = container.package / "probe.py"
    path.write_text(path.read_text().replace("report = run(limit)", "raise SystemExit('struck')"))
    answer = container.run("probe")
    assert answer.code == 1
    assert answer.first_line == "unhealthy: the self-test ended with exit code 1: struck"


def test_output_stays_below_what_docker_keeps(container: Container) -> None:
    container.replace_plain_workloads(
        "\n".join(f"def w{i}(): raise RuntimeError('é' * 5000)" for i in range(100))
    )
    for _ in range(2):
        answer = container.run("probe", ENVGEN_SELFTEST="warn")
        assert len(answer.text.encode()) < 4096
        assert "more lines" in answer.text


@pytest.mark.parametrize("mode", ["strict", "warn", "off"])
def test_port_has_to_be_listened_on(container: Container, mode: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert container.run("probe", "--port", port, ENVGEN_SELFTEST=mode).code == 0
    closed = container.run("probe", "--port", port, ENVGEN_SELFTEST=mode)
    assert closed.code == 1
    assert closed.text == f"unhealthy: nothing listens on port {port}\n"


def test_works_as_a_module_too(container: Container) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "envgen_runtime", "probe"],
        env=container.environment | {"PYTHONPATH": str(container.directory)},
        cwd="/",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_modules_of_the_runtime_shadow_nothing(container: Container) -> None:
    container.replace_plain_workloads(
        container.good_workload
        + "\nassert not any('envgen_runtime' in entry for entry in sys.path)"
    )
    answer = container.run("probe")
    assert answer.code == 0


def test_files_in_the_working_directory_are_not_imported(container: Container) -> None:
    trap = container.directory / "trap"
    trap.mkdir()
    for name in ("json", "numpy", "torch", "random"):
        (trap / f"{name}.py").write_text("raise SystemExit('imported from the working directory')")
    done = subprocess.run(
        container.argv("probe"),
        env=container.environment,
        cwd=trap,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [(), ("probe", "--now"), ("runs",)])
def test_unknown_command_shows_the_usage_and_avoids_exit_code_2(
    container: Container, arguments: tuple[str, ...]
) -> None:
    answer = container.run(*arguments)
    assert answer.code == 1
    assert answer.complaint.startswith("usage: ")


@pytest.fixture
def bare(container: Container) -> None:
    """Give a container a Python without packages: the start drops the flag that hides them."""
    venv.create(container.directory / "venv", symlinks=True)
    container.interpreter = [str(container.directory / "venv" / "bin" / "python")]


@pytest.mark.usefixtures("bare")
def test_probe_leaves_the_test_to_the_start(container: Container, counted: Count) -> None:
    at_start = {"ENVGEN_SELFTEST_AT": "start"}
    answer = container.run("probe", **at_start)
    assert answer.code == 1
    assert answer.first_line.startswith("unhealthy: there is no verdict, and probes may not test")
    assert counted() == 0
    code = "print('the command runs')"
    started = container.run("start", "--", sys.executable, "-c", code, **at_start)
    assert (started.code, started.text) == (0, "the command runs\n")
    assert f"envgen: self-test: {HEALTHY}" in started.complaint
    assert counted() == ONE_TEST
    assert container.run("probe", **at_start).first_line.startswith(HEALTHY)
    assert counted() == ONE_TEST


@pytest.mark.usefixtures("bare")
def test_failing_test_at_the_start_is_said_and_ends_no_start(container: Container) -> None:
    container.replace_plain_workloads("def vary(): return [Piece('x', 't', (), os.urandom(8))]")
    at_start = {"ENVGEN_SELFTEST_AT": "start"}
    started = container.run("start", "--", "echo", "ran", **at_start)
    assert (started.code, started.text) == (0, "ran\n")
    assert "vary on cpu: not reproducible" in started.complaint
    assert container.run("probe", **at_start).code == 1


def test_framework_that_is_locked_and_missing_is_named(container: Container) -> None:
    (container.directory / "lock.txt").write_text("sha256 abc\nframework numpy 2.3.1\n")
    answer = container.run("probe")
    assert answer.code == 1
    assert answer.first_line == (
        "unhealthy: numpy: version 2.3.1 is locked, and Python does not find it"
    )
