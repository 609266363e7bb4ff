"""What the self-test costs: time and memory of the full test and of the probe, as whole processes.

    python benchmarks/selftest.py [--python PATH] [--runs N]

Beside each stands what cannot be had for less: an empty Python for the probe, the import of the
frameworks for the full test. The runs of all take turns, so that what else the machine does meets
all of them, and all start from bytecode. Wall time is what a health check's timeout sees; memory is
the largest of the processes. The targets: a full test of at most 20 s on an H200, import included;
a probe of at most 50 ms that takes no GPU memory.
"""

import argparse
import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

RUNTIME: Final = Path(__file__).parents[1] / "generator" / "envgen" / "runtime" / "envgen_runtime"
FRAMEWORKS: Final = ("numpy", "torch", "tensorflow", "jax")
FULL_TARGET_S: Final = 20.0
PROBE_TARGET_S: Final = 0.050
PROBE_RUNS: Final = 10
"""A probe is run this many times as often as a full test, which takes hundreds of times as long."""


class Spent(NamedTuple):
    """What one run of a program took."""

    wall_s: float
    cpu_s: float
    memory_mib: float
    gpu_mib: float


class Gpu:
    """The memory in use on the first GPU, or nothing to ask where there is none."""

    def __init__(self) -> None:
        self.used: Callable[[], float] | None = None
        try:
            nvml = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            return
        gpu = ctypes.c_void_p()
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(gpu)):
            return
        room = (ctypes.c_ulonglong * 3)()  # nvmlMemory_t: total, free, used

        def used() -> float:
            nvml.nvmlDeviceGetMemoryInfo(gpu, ctypes.byref(room))
            return room[2] / 2**20

        self.used = used

    def watch(self, run: Callable[[], None]) -> float:
        """Return by how many MiB the memory in use grew at most while something ran."""
        if self.used is None:
            run()
            return 0.0
        before, most, done = self.used(), 0.0, threading.Event()

        def look(used: Callable[[], float]) -> None:
            nonlocal most
            while not done.is_set():
                most = max(most, used() - before)
                time.sleep(0.002)

        watcher = threading.Thread(target=look, args=(self.used,))
        watcher.start()
        run()
        done.set()
        watcher.join()
        return most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="whose packages are tested")
    parser.add_argument("--runs", type=int, default=5, help="of the full test")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="envgen-benchmark-") as scratch:
        env = {
            **os.environ,
            "ENVGEN_STATE_DIR": scratch,
            "ENVGEN_SELFTEST": "warn",
            "ENVGEN_SELFTEST_TIMEOUT": "600",
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": f"{scratch}/pyc",
        }
        python = arguments.python
        here = [name for name in FRAMEWORKS if has(python, name)]
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
        print(f"Python {version(python)}, {', '.join(here) or 'no framework'}, {load}")
        commands = {
            "python -c pass": (python, "-c", "pass"),
            "probe, verdict kept": (python, str(RUNTIME), "probe"),
            **{f"import {name}": (python, "-c", f"import {name}") for name in here},
            "full test": (python, str(RUNTIME), "run"),
        }
        # The verdict that the probes answer with.
        subprocess.run(commands["probe, verdict kept"], env=env, check=True, capture_output=True)
        gpu = Gpu()
        return report(measure(commands, arguments.runs, env, gpu), has_gpu=gpu.used is not None)


def has(python: str, name: str) -> bool:
    code = f"import importlib.util as u; raise SystemExit(u.find_spec({name!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def version(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout[
        :-1
    ]


def measure(
    commands: Mapping[str, tuple[str, ...]], runs: int, env: dict[str, str], gpu: Gpu
) -> dict[str, list[Spent]]:
    """Return what every run of every command took, after one run that warms caches."""
    spent: dict[str, list[Spent]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            often = PROBE_RUNS if turn and name.startswith(("python", "probe")) else 1
            for _ in range(often):
                taken = run(command, env, gpu)
                if turn:
                    spent[name].append(taken)
    return spent


def run(command: tuple[str, ...], env: dict[str, str], gpu: Gpu) -> Spent:
    quiet = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_WRONLY, 0) for n in (1, 2)]
    found: list[tuple[float, resource.struct_rusage]] = []

    def execute() -> None:
        started = time.perf_counter()
        child = os.posix_spawnp(command[0], command, env, file_actions=quiet)
        _, status, usage = os.wait4(child, 0)
        found.append((time.perf_counter() - started, usage))
        # 1: the full test found something, which takes as long.
        if os.waitstatus_to_exitcode(status) not in (0, 1):
            raise SystemExit(f"{' '.join(command)} failed")

    grown = gpu.watch(execute)
    ((wall, usage),) = found
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, grown)


def report(spent: dict[str, list[Spent]], *, has_gpu: bool) -> int:
    head = ("median wall", "min", "max", "median CPU", "memory", "GPU memory", "runs")
    print(f"{'':<22}" + "".join(f"{text:>13}" for text in head))
    for name, runs in spent.items():
        wall = [one.wall_s for one in runs]
        cells = (
            f"{1000 * statistics.median(wall):.1f} ms",
            f"{1000 * min(wall):.1f} ms",
            f"{1000 * max(wall):.1f} ms",
            f"{1000 * statistics.median(one.cpu_s for one in runs):.1f} ms",
            f"{max(one.memory_mib for one in runs):.0f} MiB",
            f"{max(one.gpu_mib for one in runs):.0f} MiB" if has_gpu else "-",
            str(len(runs)),
        )
        print(f"{name:<22}" + "".join(f"{cell:>13}" for cell in cells))
    full = statistics.median(one.wall_s for one in spent["full test"])
    probes = spent["probe, verdict kept"]
    probe = statistics.median(one.wall_s for one in probes)
    floor = statistics.median(one.wall_s for one in spent["python -c pass"])
    print(f"probe over an empty Python: {1000 * (probe - floor):.1f} ms")
    # The quickest of them: what else the machine does can only add to it.
    quickest = min(one.wall_s for one in probes)
    target = f"probe, quickest: target at most {1000 * PROBE_TARGET_S:.0f} ms"
    targets = {target: quickest <= PROBE_TARGET_S}
    if has_gpu:
        targets["probe: target no GPU memory"] = max(one.gpu_mib for one in probes) <= 0
        targets[f"full test: target at most {FULL_TARGET_S:.0f} s"] = full <= FULL_TARGET_S
    else:
        print("full test on a GPU, GPU memory of the probe: not measured here, no GPU")
    for text, met in targets.items():
        print(f"{text}: {'met' if met else 'MISSED'}")
    return 0 if all(targets.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
