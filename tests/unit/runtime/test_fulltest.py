"""The full test from outside: processes that crash, hang, flood or disagree."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.runtime.conftest import Container


def test_plain_python_is_tested_without_any_framework(container: Container) -> None:
    answer = container.run("run", "--json")
    report = json.loads(answer.text)
    assert answer.code == 0
    assert report["healthy"] is True
    assert [item["name"] for item in report["frameworks"]] == ["plain"]
    assert {w["status"] for w in report["frameworks"][0]["workloads"]} == {"reproducible here"}
    assert {w["control"] for w in report["frameworks"][0]["workloads"]} == {"caught"}


def test_numpy_is_tested_where_it_is_installed(container: Container) -> None:
    container.interpreter = [sys.executable]
    report = json.loads(container.run("run", "--json").text)
    numpy = next(item for item in report["frameworks"] if item["name"] == "numpy")
    assert numpy["error"] is None
    assert {work["status"] for work in numpy["workloads"]} == {"reproducible here"}


def test_report_names_machine_versions_and_environment(container: Container) -> None:
    report = json.loads(container.run("run", "--json", OMP_NUM_THREADS="2").text)
    assert report["environment"]["OMP_NUM_THREADS"] == "2"
    assert report["python"]["executable"] == sys.executable
    assert set(report["platform"]) == {"system", "machine", "libc", "cpu", "cpus"}


@pytest.mark.parametrize(
    ("body", "which"),
    [
        ("random.random()", "a second run in one process"),
        ("time.perf_counter()", "a second run in one process"),
        ("os.getpid()", "a fresh process"),
        ("sys.modules['threading'].active_count()", "other work beside it"),
    ],
)
def test_workload_that_varies_is_named(container: Container, body: str, which: str) -> None:
    container.replace_plain_workloads(
        f"{container.good_workload}\n"
        f"def vary(): return [Piece('x', 'repr', (), repr({body}).encode())]"
    )
    answer = container.run("run")
    assert answer.code == 1
    named = f"unhealthy: python 1: vary on cpu: not reproducible ({which} gives another result"
    assert answer.first_line.startswith(named)


def test_result_without_bytes_fails_the_control(container: Container) -> None:
    container.replace_plain_workloads("def hollow(): return []")
    answer = container.run("run")
    assert answer.code == 1
    assert "a flipped bit in hollow went unnoticed" in answer.first_line


def test_comparison_that_cannot_fail_is_found_out(container: Container) -> None:
    path = container.package / "workload.py"
    source = path.read_text()
    assert "return total.hexdigest()" in source
    path.write_text(source.replace("return total.hexdigest()", "return 'constant'"))
    answer = container.run("run")
    assert answer.code == 1
    assert "the self-test cannot be trusted" in answer.first_line


def test_order_of_sets_needs_a_hash_seed(container: Container) -> None:
    answer = container.run("run", PYTHONHASHSEED="")
    assert answer.code == 0
    assert "hash order on cpu: not supported" in answer.text
    assert "PYTHONHASHSEED is not set" in answer.text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import missing_library", "import numpy: ModuleNotFoundError: No module named"),
        (
            "raise ImportError('libcuda.so.1:\\n no such file')",
            "ImportError: libcuda.so.1: no such",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL (out of memory?)"),
        (
            "import os, sys; print('broken ABI', file=sys.stderr); os.abort()",
            "killed by SIGABRT: broken ABI",
        ),
        ("import os; os._exit(127)", "import numpy: the process ended with exit code 127"),
        ("raise SystemExit(0)", "import numpy: the process ended with exit code 0"),
    ],
)
def test_broken_import_is_one_line(container: Container, source: str, expected: str) -> None:
    container.install("numpy", {"__init__.py": source})
    answer = container.run("probe")
    assert answer.code == 1
    assert answer.first_line.startswith("unhealthy: numpy: ")
    assert expected in answer.first_line


def test_hanging_import_ends_with_the_time_limit_and_so_do_its_children(
    container: Container,
) -> None:
    children = container.directory / "children"
    container.install(
        "numpy",
        {
            "__init__.py": f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(children)!r}, "a").write(f"{{child.pid}} ")
time.sleep(600)
"""
        },
    )
    answer = container.run("probe", ENVGEN_SELFTEST_TIMEOUT="2")
    assert answer.code == 1
    assert answer.first_line == "unhealthy: numpy: import numpy: no answer within the time limit"
    assert children.read_text().split()
    for child in children.read_text().split():
        _assert_gone(int(child))


def _assert_gone(process: int) -> None:
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":  # killed; nobody reaps orphans in some containers
            return
        time.sleep(0.05)
    os.kill(process, signal.SIGKILL)
    pytest.fail(f"process {process} outlived the test")


def test_endless_chatter_ends_with_the_time_limit(container: Container) -> None:
    container.install("numpy", {"__init__.py": "import os\nwhile True: os.write(2, b'x' * 4096)"})
    answer = container.run("probe", ENVGEN_SELFTEST_TIMEOUT="1")
    assert answer.first_line == "unhealthy: numpy: import numpy: no answer within the time limit"


def test_device_that_only_one_process_sees_is_named_as_the_reason(container: Container) -> None:
    container.replace_plain_workloads(
        f"{container.good_workload}\n"
        f"_mark = {str(container.directory / 'mark')!r}\n"
        "if os.path.exists(_mark): extra = good\n"
        "open(_mark, 'w').close()"
    )
    assert container.run("run").first_line == (
        "unhealthy: python: a fresh process sees other devices"
    )


def test_framework_after_a_hang_is_said_to_be_untested(container: Container) -> None:
    hang = {"__init__.py": "import time; time.sleep(600)"}
    container.install("numpy", hang)
    container.install("torch", hang)
    answer = container.run("run", ENVGEN_SELFTEST_TIMEOUT="1")
    assert "torch: not tested, the time limit was used up before" in answer.text


def test_crash_of_one_workload_leaves_the_others_their_result(container: Container) -> None:
    container.replace_plain_workloads(
        "import signal\n"
        "def crash(): os.kill(os.getpid(), signal.SIGILL)\n"
        f"{container.good_workload}"
    )
    report = json.loads(container.run("run", "--json").text)
    statuses = {w["name"]: w["status"] for w in report["frameworks"][0]["workloads"]}
    assert statuses == {"crash": "crashed", "good": "reproducible here"}
    assert report["summary"].startswith(
        "unhealthy: python 1: crash on cpu: crashed (the process was killed by SIGILL; use ONEDNN"
    )


def test_crash_of_what_few_need_is_said_and_condemns_nothing(container: Container) -> None:
    container.replace_plain_workloads(
        "import signal\n"
        "def crash(): os.kill(os.getpid(), signal.SIGSEGV)\n"
        f"{container.good_workload}"
    )
    path = container.package / "plain_workloads.py"
    source = path.read_text()
    assert "Workload(n, 'cpu', f)" in source or 'Workload(n, "cpu", f)' in source
    path.write_text(
        source.replace('Workload(n, "cpu", f)', 'Workload(n, "cpu", f, essential=n == "good")')
    )
    answer = container.run("probe")
    assert answer.code == 0
    assert answer.first_line.startswith("healthy: 1 workloads reproducible here, 1 crashed")
    assert "crash on cpu: crashed (the process was killed by SIGSEGV)" in answer.text


def test_work_that_runs_out_of_memory_is_busy_not_crashed(container: Container) -> None:
    container.replace_plain_workloads(
        f"def large(): os.kill(os.getpid(), 9)\n{container.good_workload}"
    )
    report = json.loads(container.run("run", "--json").text)
    statuses = {w["name"]: w["status"] for w in report["frameworks"][0]["workloads"]}
    assert statuses == {"large": "busy", "good": "reproducible here"}


def test_memory_that_was_never_written_is_found(container: Container) -> None:
    container.replace_plain_workloads(
        "import ctypes\n"
        "_libc = ctypes.CDLL(None)\n"
        "_libc.malloc.restype = ctypes.c_void_p\n"
        "def unwritten():\n"
        # More than glibc ever keeps: it comes from the kernel, full of zeros.
        "    return [Piece('x', 'bytes', (9,), ctypes.string_at(_libc.malloc(1 << 26), 9))]"
    )
    answer = container.run("run")
    assert answer.code == 1
    assert "memory that holds rubbish gives another result" in answer.first_line


def test_many_crashes_end_the_attempts(container: Container) -> None:
    container.replace_plain_workloads("\n".join(f"def crash{i}(): os._exit({i})" for i in range(7)))
    answer = container.run("run")
    assert answer.code == 1
    assert "crash0 on cpu: the process ended with exit code 0" in answer.first_line
    assert "workload after workload crashes" in answer.first_line


def test_chatter_of_a_framework_does_not_disturb_the_result(container: Container) -> None:
    container.replace_plain_workloads(
        f"{container.good_workload}\n"
        "print('welcome'); os.write(1, b'banner')\n"
        "for _ in range(20_000): print('noise ' * 20, file=sys.stderr)"
    )
    answer = container.run("run")
    assert answer.code == 0
    assert "welcome" not in answer.text
    assert "noise" not in answer.text


def test_process_that_stays_behind_does_not_delay_the_verdict(container: Container) -> None:
    container.replace_plain_workloads(
        f"import subprocess\n{container.good_workload}\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    )
    assert container.run("run", ENVGEN_SELFTEST_TIMEOUT="60").code == 0


def test_processes_have_the_flags_of_the_first(container: Container) -> None:
    container.interpreter = [sys.executable, "-S", "-O", "-X", "utf8"]
    container.replace_plain_workloads(
        "def flags(): return [Piece('x', 'text', (), str(sys.flags).encode())]\n"
        "assert sys.flags.optimize == 0, 'optimised away'\n"
        "if sys.flags.utf8_mode != 1: raise RuntimeError(sys.flags)"
    )
    assert container.run("run").code == 0


def test_namespace_directory_is_no_framework(container: Container) -> None:
    container.install("torch", {"weights/readme.txt": ""})
    report = json.loads(container.run("run", "--json").text)
    assert [item["name"] for item in report["frameworks"]] == ["plain"]
