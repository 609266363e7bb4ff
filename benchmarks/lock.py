"""What `envgen lock` costs beside the `uv lock` that it runs, for examples/iris-serve.

    python benchmarks/lock.py [RUNS]

Wall-clock seconds, since both wait for PyPI most of the time; the runs take turns. Cold starts with
an empty uv cache, warm with a full one, and neither has a uv.lock. No run asks a registry: the
digests of the base images are in the envgen.lock of a first run that is not counted.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import uv

EXAMPLE: Final = Path(__file__).parents[1] / "examples" / "iris-serve"
RUNS: Final = 10
TARGET: Final = 1.1


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory(prefix="envgen-benchmark-") as scratch:
        root = Path(scratch)
        project = root / "project"
        made = shutil.ignore_patterns("environments", "envgen.lock", "__pycache__")
        shutil.copytree(EXAMPLE, project, ignore=made)
        env = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(root / "pyc"),
            "UV_CACHE_DIR": str(root / "cache"),
            "UV_NO_CONFIG": "1",
        }
        run_envgen(project, env)
        folder = project / "environments" / "serve"
        met = [compare(project, folder, env, runs, cold=cold) for cold in (True, False)]
    return 0 if all(met) else 1


def compare(project: Path, folder: Path, env: Mapping[str, str], runs: int, *, cold: bool) -> bool:
    """Time both programs in turn, print the figures and tell whether the target is met."""
    times: dict[str, list[float]] = {"uv lock": [], "envgen lock": []}
    for _ in range(runs):
        for name, spent in times.items():
            if cold:
                shutil.rmtree(env["UV_CACHE_DIR"], ignore_errors=True)
            (folder / "uv.lock").unlink(missing_ok=True)
            begun = time.perf_counter()
            if name == "uv lock":
                run_uv(folder, env)
            else:
                run_envgen(project, env)
            spent.append(time.perf_counter() - begun)
    bare, whole = (statistics.median(spent) for spent in times.values())
    met = whole <= TARGET * bare
    print(f"{'cold' if cold else 'warm'} cache, {runs} runs, wall-clock ms")
    for name, spent in times.items():
        row = f"min {1000 * min(spent):6.0f}  median {1000 * statistics.median(spent):6.0f}"
        print(f"  {name:<14}{row}")
    print(
        f"  ratio of medians {whole / bare:.2f}, target {TARGET}: {'met' if met else 'MISSED'}; "
        f"difference {1000 * (whole - bare):.0f} ms"
    )
    return met


def run_uv(folder: Path, env: Mapping[str, str]) -> None:
    run([uv.find_uv_bin(), "lock", "--python", sys.executable], folder, env)


def run_envgen(project: Path, env: Mapping[str, str]) -> None:
    run([sys.executable, "-m", "envgen", "lock"], project, env)


def run(command: list[str], folder: Path, env: Mapping[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")


if __name__ == "__main__":
    raise SystemExit(main())
