"""What `envgen render --check` costs, beside hpccm on a recipe of its own and with 200 images.

    python benchmarks/render.py [RUNS]

Every figure is CPU seconds of a whole process, user and system. The runs of the programs take
turns, so that what else the machine does meets all of them, and all start from bytecode. Both are
installed as their users have them, into an environment that holds nothing else; where the index
does not answer, the environment that runs this is measured, and its other packages with it. The
lock of the scratch projects is made up, at the size of examples/iris-serve.
"""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import tomli_w
import uv

from envgen import output
from envgen.lock.model import LockedBase
from envgen.lock.packages import Artifact, LockedPackage
from envgen.lockers import LockRequest, LockResult
from envgen.project import bring_up_to_date, list_files, open_project, plan_project
from envgen.rendered import RenderedFile

CHECKOUT: Final = Path(__file__).parents[1]
RUNS: Final = 20
PACKAGES: Final = 21
IMAGES: Final = 200
IMAGES_TARGET_S: Final = 1.5

RECIPE: Final = """
Stage0 += baseimage(image='ubuntu:24.04', _as='build')
Stage0 += python(python2=False)
Stage0 += gnu()
Stage0 += pip(pip='pip3', packages=['scikit-learn', 'fastapi', 'uvicorn'])
Stage0 += copy(src='app', dest='/app')
Stage1 += baseimage(image='ubuntu:24.04')
Stage1 += Stage0.runtime()
Stage1 += copy(_from='build', src='/app', dest='/app')
Stage1 += environment(variables={'OMP_NUM_THREADS': '1'})
Stage1 += user(user='10001')
Stage1 += workdir(directory='/app')
"""


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory(prefix="envgen-benchmark-") as scratch:
        root = Path(scratch)
        bin_folder = install(root / "venv")
        python = str(bin_folder / "python")
        recipe = root / "recipe.py"
        recipe.write_text(RECIPE, encoding="utf-8")
        one = make_project(root / "one", images=1)
        many = make_project(root / "many", images=IMAGES)
        check = (python, "-m", "envgen", "render", "--check", "--directory")
        times = measure(
            {
                "envgen render --check": (*check, str(one)),
                "hpccm --recipe": (str(bin_folder / "hpccm"), "--recipe", str(recipe)),
                f"envgen render --check, {IMAGES} images": (*check, str(many)),
                "python -c pass": (python, "-c", "pass"),
            },
            runs,
            {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(root / "pyc")},
        )
    return report(times)


def install(venv: Path) -> Path:
    """Return the folder of programs of a new environment with this checkout and hpccm in it."""
    commands = (
        (uv.find_uv_bin(), "venv", "--quiet", f"--python={sys.executable}", venv),
        (uv.find_uv_bin(), "pip", "install", "--quiet", f"--python={venv}", CHECKOUT, "hpccm"),
    )
    if any(subprocess.run(command, check=False).returncode for command in commands):
        print("the index does not answer: measured in the environment of this process")
        return Path(sys.executable).parent
    return venv / "bin"


def make_project(root: Path, *, images: int) -> Path:
    """Write a project whose images are like examples/iris-serve, locked and rendered."""
    image = {
        "dependencies": ["fastapi>=0.115", "uvicorn>=0.30"],
        "copy": ["app/"],
        "command": ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"],  # noqa: S104
        "port": 8000,
        "env": {"OMP_NUM_THREADS": "1"},
    }
    spec: dict[str, Any] = {
        "format": 1,
        "epoch": "2026.11",
        "project": {"name": "iris", "python": "3.13", "dependencies": ["scikit-learn>=1.5"]},
        "images": {f"serve-{number}": image for number in range(images)},
    }
    root.mkdir()
    (root / "envgen.toml").write_text(tomli_w.dumps(spec), encoding="utf-8")
    with (
        patch("envgen.lockers.uv.lock", pin_made_up_packages),
        patch("envgen.lock.resolve.pin_base", pin_made_up_base),
    ):
        project = bring_up_to_date(open_project(root, ()), report=lambda _: None)
    output.write(list_files(project, plan_project(project)), root)
    return root


def pin_made_up_packages(request: LockRequest, **_: object) -> LockResult:
    wheels = {name: make_up_wheel(name) for name in (f"package-{n}" for n in range(PACKAGES))}
    return LockResult(
        native=RenderedFile(path=f"{request.folder}/uv.lock", content=b"#\n" * 15_000),
        packages=tuple(
            LockedPackage(
                name=name, version="1.0", wheels=(wheel,), downloads={"linux/amd64": wheel}
            )
            for name, wheel in wheels.items()
        ),
    )


def make_up_wheel(name: str) -> Artifact:
    filename = f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    digest = hashlib.sha256(name.encode()).hexdigest()
    url = f"https://packages.example/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{filename}"
    return Artifact(filename=filename, url=url, sha256=digest, size=1_000_000)


def pin_made_up_base(image: str, **_: object) -> LockedBase:
    return LockedBase(image=image, digest=f"sha256:{'1' * 64}", origin="registry")


def measure(
    commands: dict[str, tuple[str, ...]], runs: int, env: dict[str, str]
) -> dict[str, list[float]]:
    """Return the CPU seconds of every run of every command, after one run that warms caches."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            spent = cpu_seconds(command, env)
            if turn:
                times[name].append(spent)
    return times


def cpu_seconds(command: tuple[str, ...], env: dict[str, str]) -> float:
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(command[0], command, env, file_actions=quiet)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime


def report(times: dict[str, list[float]]) -> int:
    print(f"{'CPU ms per run':<40}{'min':>8}{'median':>8}{'runs':>6}")
    for name, spent in times.items():
        row = f"{1000 * min(spent):>8.0f}{1000 * statistics.median(spent):>8.0f}{len(spent):>6}"
        print(f"{name:<40}{row}")
    envgen, hpccm, many, _ = times.values()
    ratio = statistics.median(envgen) / statistics.median(hpccm)
    targets = {
        f"envgen / hpccm (medians): {ratio:.2f}, target under 1": ratio < 1,
        f"{IMAGES} images (median): {statistics.median(many):.2f} s, target under "
        f"{IMAGES_TARGET_S} s": statistics.median(many) < IMAGES_TARGET_S,
    }
    for text, met in targets.items():
        print(f"{text}: {'met' if met else 'MISSED'}")
    return 0 if all(targets.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
