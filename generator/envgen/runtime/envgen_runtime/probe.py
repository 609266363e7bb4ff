"""The health check: answer from the verdict on this start of the container, or make one.

The test runs in a process of its own (`test`), and the probe waits for it. Whoever asks may have
little patience: Docker kills a probe after 30 s unless told otherwise, Kubernetes after 1 s. Were
the test to die with its probe, a short timeout would mean a test that always starts and never
ends. So it goes on, and a later probe finds its verdict.
"""

from __future__ import annotations

import os
import time

from envgen_runtime.state import Store, open_store
from envgen_runtime.switches import AT_START, SwitchError, limit_s, memory_mib, mode, tested_at

WAIT_S = 25.0
"""How long a probe waits for the test: less than Docker's default timeout of 30 s, so that the
answer is `starting` and not a killed probe. Docker counts both as a failure, unless they come
within the start period; waiting makes fewer of them than answering at once would, and with the
defaults (interval 30 s, three retries) a test of 120 s ends before the third."""

GPU_S = 10.0
"""How long NVML may take for a sign of life of every GPU; one that is sick may take for ever."""

LOCKED = 3
"""Exit code of `test` while another process is testing."""

NEVER_TESTED = (
    "unhealthy: there is no verdict, and probes may not test (ENVGEN_SELFTEST_AT=start); "
    "start the container with `start -- COMMAND` of envgen_runtime, and a place that it may write"
)


def probe(port: int = 0) -> int:
    """Print the verdict; return 0 for healthy and 1 otherwise (2 is reserved by Docker).

    With a port, somebody has to listen on it as well, whatever the self-test's mode: an application
    that is not up is not healthy.
    """
    healthy, text = _answer()
    if healthy and port and not listens(port):
        healthy, text = False, f"unhealthy: nothing listens on port {port}"
    print(text)
    return 0 if healthy else 1


def _answer() -> tuple[bool, str]:
    try:
        selected = mode()
    except SwitchError as error:
        return False, f"unhealthy: {error}"
    if selected == "off":
        return True, "healthy: the self-test is switched off (ENVGEN_SELFTEST=off)"
    deadline = time.monotonic() + WAIT_S
    try:
        fault, gpus = look_at_gpus(GPU_S)
        text = f"unhealthy: {fault}" if fault else _verdict(gpus, deadline)
    except SwitchError as error:
        text = f"unhealthy: {error}"
    except Exception as error:  # noqa: BLE001 a health check answers, whatever happens
        text = f"unhealthy: the self-test itself broke: {type(error).__name__}: {error}"[:1000]
    if text.startswith("healthy:"):
        return True, text
    if selected == "warn":
        return True, f"not enforced (ENVGEN_SELFTEST=warn): {text}"
    return False, text


def look_at_gpus(limit: float) -> tuple[str, str]:
    """Return what is wrong with the GPUs by now, and a name for driver and GPUs.

    Both are empty for an image that uses none. A GPU that answers is named by its UUID, so that a
    verdict does not outlive the driver or the GPU that it is on.
    """
    from envgen_runtime.requirement import REQUIREMENT, read_requirement

    requirement = read_requirement(REQUIREMENT, os.uname().machine)
    if requirement is None or not (requirement.required or requirement.parts):
        return "", ""
    from envgen_runtime.gpu import find_fault, look

    seen = look(limit_s=limit)
    gpus = [f"{gpu.uuid}/{gpu.slices}" for gpu in seen.gpus]
    return find_fault(seen, required=requirement.required), " ".join([seen.driver, *gpus])


def listens(port: int) -> bool:
    """Tell whether a TCP socket listens on a port, by the kernel's own list.

    Connecting would say the same and leave a line in the application's log each time.
    """
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                next(lines)  # the heading
                for line in lines:
                    _, local, _, state = line.split()[:4]
                    if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                        return True
        except (OSError, StopIteration):
            continue
    return False


def _verdict(gpus: str, deadline: float) -> str:
    limit, only_at_start = limit_s(), tested_at() == AT_START
    memory_mib()  # raises where it means nothing: here, and not in the process that tests
    store, reason = open_store(gpus)
    if store is None:
        return f"{NEVER_TESTED} ({reason})" if only_at_start else _unkept(limit, reason)
    kept = store.read()
    if kept is not None:
        return kept
    return NEVER_TESTED if only_at_start else _test(store, limit, gpus, deadline)


def _test(store: Store, limit: float, gpus: str, deadline: float) -> str:
    """Start the test, unless it runs already, and wait for its verdict."""
    import subprocess

    from envgen_runtime.fulltest import PACKAGE, interpreter
    from envgen_runtime.workload import one_line

    starting = f"starting: the self-test has not ended yet; it may take up to {limit:g} s"
    # Pipes, not our own output: Docker would wait for the test to close that.
    tester = subprocess.Popen(
        [*interpreter(), PACKAGE, "test", gpus],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        answer, complaint = tester.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return starting
    if tester.returncode == 0:
        return answer.decode("utf-8", "replace").rstrip("\n")
    if tester.returncode == LOCKED:
        return _await(store, deadline) or starting
    last_words = one_line(complaint.decode("utf-8", "replace")[-300:])
    return f"unhealthy: the self-test ended with exit code {tester.returncode}: {last_words}"


def _await(store: Store, deadline: float) -> str | None:
    while time.monotonic() < deadline:
        text = store.read()
        if text is not None:
            return text
        time.sleep(0.1)
    return None


def test(gpus: str) -> int:
    """Make the verdict on this start and print it; the lock keeps a second test from running."""
    import json

    from envgen_runtime.fulltest import run

    limit = limit_s()
    store, reason = open_store(gpus)
    if store is None:
        print(_unkept(limit, reason))
        return 0
    try:
        if not store.lock():  # held until this process ends
            return LOCKED
    except OSError as error:
        print(_unkept(limit, f"{store.directory}: {error.strerror}"))
        return 0
    text = store.read()  # another test may have ended since the probe looked
    if text is None:
        report = run(limit)
        text = report.text
        try:
            store.write(text, json.dumps(report.document))
        except OSError as error:
            text = _with_note(text, f"{store.directory}: {error.strerror}")
    print(text)
    return 0


def _unkept(limit: float, reason: str) -> str:
    """Test here and now. Nothing could tell a later probe of a test that outlives this one."""
    from envgen_runtime.fulltest import run

    return _with_note(run(limit).text, reason)


def _with_note(text: str, reason: str) -> str:
    first, newline, rest = text.partition("\n")
    note = f"(every probe tests anew, the verdict cannot be kept: {reason[:300]})"
    return f"{first} {note}{newline}{rest}"
