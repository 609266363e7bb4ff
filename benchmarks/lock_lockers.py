"""What envgen costs beside poetry and conda-lock, and where nothing has to be locked.

    python benchmarks/lock_lockers.py [RUNS]

The index and the channel are this process's own, with small packages, so that no network is in the
figures; both programs run in turn, with warm caches and without a lock.

- own part: the wall-clock time of `envgen lock` but for the locker's own run within it
- difference: of the wall-clock times of `envgen lock` and of the bare locker, and of the CPU times
  of all their programs, each a median over pairs

The bare conda-lock solves with the script that envgen passes to it. Nothing to do: `envgen render`
of a project that is up to date, less the start of Python and the imports of that command.
"""

import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, NamedTuple

from envgen.lockers import conda_lock_program
from envgen.lockers.tool_environment import ensure_tool

RUNS: Final = 11
TARGET_S: Final = 0.3
IDLE_TARGET_S: Final = 0.05
PACKAGES: Final = 40
PYTHON: Final = f"3.{sys.version_info.minor}"
LOCKERS: Final = ("uv", "pip", "poetry", "conda-lock")
_SPENT: Final = "seconds in the locker: "
PROBE: Final = f"""
import os, sys, time
from envgen import process
run, spent = process.run, []
def timed(argv, **options):
    begun = time.perf_counter()
    try:
        return run(argv, **options)
    finally:
        if os.path.basename(argv[0]) in {{"poetry", "conda-lock"}}:
            spent.append(time.perf_counter() - begun)
process.run = timed
from envgen.cli import run as envgen
code = envgen(sys.argv[1:])
print("{_SPENT}%f" % sum(spent), file=sys.stderr)
raise SystemExit(code)
"""


START: Final = "import envgen.cli, envgen.commands.render"


class Spent(NamedTuple):
    """Seconds of one run: wall clock, CPU of all its programs, and wall clock inside the locker."""

    wall: float
    cpu: float
    inside: float = 0.0


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory(prefix="envgen-benchmark-") as scratch:
        root = Path(scratch)
        write_index(root / "served" / "simple")
        write_channel(root / "served" / "channel")
        write_bases(root / "served" / "v2" / "library")
        handler = partial(Quiet, directory=str(root / "served"))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            projects = make_projects(root, f"http://127.0.0.1:{server.server_port}")
            met = [compare(projects[name], name, runs) for name in ("poetry", "conda-lock")]
            met += [measure_idle(projects[name], name, 4 * runs) for name in LOCKERS]
            server.shutdown()
    return 0 if all(met) else 1


class Quiet(SimpleHTTPRequestHandler):
    def guess_type(self, path: str | os.PathLike[str]) -> str:
        manifest = "application/vnd.oci.image.index.v1+json"
        return manifest if "manifests" in Path(path).parts else super().guess_type(path)

    def log_message(self, *_: object) -> None:
        """Keep requests out of the figures' way."""


class Project(NamedTuple):
    """A project with one image, and the variables that its programs run with."""

    root: Path
    env: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return self.root / "environments" / "serve"

    def envgen(self, *words: str) -> Spent:
        return run([sys.executable, "-c", PROBE, *words], self.root, self.env)


def make_projects(root: Path, url: str) -> dict[str, Project]:
    env = {
        **os.environ,
        "PYTHONPYCACHEPREFIX": str(root / "pyc"),
        "PYTHONDONTWRITEBYTECODE": "",
        "POETRY_CACHE_DIR": str(root / "poetry"),
        "POETRY_VIRTUALENVS_CREATE": "false",
        "UV_CACHE_DIR": str(root / "uv"),
        "NO_PROXY": "127.0.0.1",
    }
    made = {}
    for locker in LOCKERS:
        project = Project(root / locker, env)
        project.root.mkdir()
        (project.root / "envgen.toml").write_text(render_spec(locker, url), encoding="utf-8")
        if locker in {"poetry", "conda-lock"}:
            ensure_tool(locker)
        project.envgen("render")
        made[locker] = project
    return made


def render_spec(locker: str, url: str) -> str:
    names = json.dumps([f"demo{number}" for number in range(0, PACKAGES, 4)])
    wanted = f'conda = {names}\nchannels = ["{url}/channel"]'
    if locker != "conda-lock":
        wanted = f"dependencies = {names}"
    return f"""\
format = 1
epoch = "2026.11"
[project]
name = "benchmark"
python = "{PYTHON}"
[images.serve]
locker = "{locker}"
{wanted}
[network]
index = "{url}/simple"
registry-mirrors = {{ "docker.io" = "{url.partition("//")[2]}" }}
"""


def compare(project: Project, locker: str, runs: int) -> bool:
    """Time both in turn, print the figures and tell whether the target is met."""
    native = project.folder / ("poetry.lock" if locker == "poetry" else "conda-lock.yml")
    bare = bare_command(project, locker)
    pairs: list[tuple[Spent, Spent]] = []
    for _ in range(runs):
        native.unlink(missing_ok=True)
        alone = run(bare, project.folder, project.env)
        native.unlink()
        pairs.append((alone, project.envgen("lock")))
    own = statistics.median(whole.wall - whole.inside for _, whole in pairs)
    wall = statistics.median(whole.wall - alone.wall for alone, whole in pairs)
    cpu = statistics.median(whole.cpu - alone.cpu for alone, whole in pairs)
    alone_wall = statistics.median(alone.wall for alone, _ in pairs)
    print(f"{locker}, {runs} pairs, medians in ms: bare {1000 * alone_wall:.0f}")
    met = own <= TARGET_S
    print(
        f"  own part {1000 * own:.0f}, target {1000 * TARGET_S:.0f}: {'met' if met else 'MISSED'}; "
        f"difference in wall-clock time {1000 * wall:.0f}, in CPU time {1000 * cpu:.0f}"
    )
    return met


def bare_command(project: Project, locker: str) -> list[str | Path]:
    programs = ensure_tool(locker)
    if locker == "poetry":
        return [programs / "poetry", "lock", "--no-interaction", "--no-ansi"]
    script = Path(conda_lock_program.__file__).with_name("conda_executable.py")
    solver = project.root / "conda"
    solver.write_text(f'#!/bin/sh\nexec {programs / "python"} -I {script} "$@"\n')
    solver.chmod(0o700)
    command: list[str | Path] = [programs / "conda-lock", "lock", "--conda", solver]
    command += ["--file", "environment.yml", "--lockfile", "conda-lock.yml"]
    return [*command, "--virtual-package-spec", "virtual-packages.yml", "--log-level", "WARNING"]


def measure_idle(project: Project, locker: str, runs: int) -> bool:
    """Time a project that is up to date against the start of the same command."""
    project.envgen("render")
    words: list[str | Path] = [sys.executable, "-c", START]
    pairs = [(run(words, project.root, project.env), project.envgen("render")) for _ in range(runs)]
    wall = statistics.median(whole.wall - start.wall for start, whole in pairs)
    cpu = statistics.median(whole.cpu - start.cpu for start, whole in pairs)
    met = cpu <= IDLE_TARGET_S
    print(
        f"{locker}, nothing to do, {runs} pairs: {1000 * wall:.0f} ms beyond start-up, "
        f"{1000 * cpu:.0f} ms of CPU time, target {1000 * IDLE_TARGET_S:.0f}: "
        f"{'met' if met else 'MISSED'}"
    )
    return met


def run(command: list[str | Path], folder: Path, env: Mapping[str, str]) -> Spent:
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        program = subprocess.Popen(command, cwd=folder, env=env, stdout=said, stderr=said)
        _, status, used = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begun
        said.seek(0)
        text = said.read()
    if program.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{text}")
    inside = float(text.rpartition(_SPENT)[2]) if _SPENT in text else 0.0
    return Spent(wall, used.ru_utime + used.ru_stime, inside)


def needs(number: int) -> list[str]:
    """Return what a package needs: a chain of four, each started by one that is asked for."""
    return [f"demo{number + 1}"] if number % 4 < 3 else []


def write_index(folder: Path) -> None:
    for number in range(PACKAGES):
        name = f"demo{number}"
        wheel = f"{name}-1.0-py3-none-any.whl"
        page = folder / name
        page.mkdir(parents=True)
        content = render_wheel(name, needs(number))
        (page / wheel).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        link = f'<!DOCTYPE html>\n<a href="{wheel}#sha256={digest}">{wheel}</a>\n'
        (page / "index.html").write_text(link)


def render_wheel(name: str, wanted: list[str]) -> bytes:
    info = f"{name}-1.0.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"]
    lines += [f"Requires-Dist: {other}\n" for other in wanted]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{info}/METADATA", "".join(lines))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{info}/RECORD", "")
    return content.getvalue()


def write_channel(folder: Path) -> None:
    """Write the records alone: nothing is downloaded by locking."""
    records = {f"python-{PYTHON}.9-0.tar.bz2": record("python", f"{PYTHON}.9", [])}
    for number in range(PACKAGES):
        name = f"demo{number}"
        records[f"{name}-1.0-0.tar.bz2"] = record(name, "1.0", needs(number))
    for subdir, packages in (("linux-64", records), ("noarch", {})):
        (folder / subdir).mkdir(parents=True)
        document = {"info": {"subdir": subdir}, "packages": packages, "packages.conda": {}}
        (folder / subdir / "repodata.json").write_text(json.dumps(document))


def write_bases(folder: Path) -> None:
    """Write what a registry answers for the base images."""
    platform = {"os": "linux", "architecture": "amd64"}
    index = {"manifests": [{"digest": f"sha256:{'1' * 64}", "platform": platform}]}
    for repository, tag in (("python", f"{PYTHON}-slim-trixie"), ("debian", "trixie-slim")):
        manifests = folder / repository / "manifests"
        manifests.mkdir(parents=True)
        (manifests / tag).write_text(json.dumps(index))


def record(name: str, version: str, wanted: list[str]) -> dict[str, object]:
    digest = hashlib.sha256(name.encode()).hexdigest()
    named = {"name": name, "version": version, "build": "0", "build_number": 0}
    return {**named, "depends": wanted, "md5": digest[:32], "sha256": digest, "size": 1000}


if __name__ == "__main__":
    raise SystemExit(main())
