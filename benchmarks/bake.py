"""What publishing costs in a repository with 500 images, where there is nothing to do.

    python -m benchmarks.bake [IMAGES [RUNS]]

CPU seconds are those of a whole process, user and system; the runs of the programs take turns. The
scratch project is that of benchmarks/render.py: 500 images like examples/iris-serve, with a
made-up lock. All of them are published in a registry of this process, which knows every tag, so
that `build --push` finds all and builds nothing. The floor is a Python program that does what no
way around there is: it reads and hashes the same files.
"""

import http.server
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from pathlib import Path
from typing import Final

import tomli_w
from benchmarks.render import cpu_seconds, make_project

from envgen.project import open_project, plan_project
from envgen.release.published import PUBLISHED_FILE, Published, write_published
from envgen.release.repository import make_row, plan_releases

IMAGES: Final = 500
RUNS: Final = 5
TARGET_S: Final = 5.0
DIGEST: Final = f"sha256:{'1' * 64}"

FLOOR: Final = """
import hashlib, pathlib, sys
for path in pathlib.Path(sys.argv[1]).rglob("*"):
    if path.is_file():
        hashlib.sha256(path.read_bytes()).digest()
"""


class Registry(http.server.BaseHTTPRequestHandler):
    """Has every tag, each with the same digest; anything else would move content."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Docker-Content-Digest", DIGEST)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    images = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else RUNS
    with tempfile.TemporaryDirectory(prefix="envgen-benchmark-") as scratch:
        root = make_project(Path(scratch) / "many", images=images)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        publish(root, f"127.0.0.1:{server.server_port}")
        return report(measure(root, runs), images)


def publish(root: Path, host: str) -> None:
    """Give every image a repository and a row in published.toml."""
    spec = root / "envgen.toml"
    document = tomllib.loads(spec.read_text(encoding="utf-8"))
    for name, image in document["images"].items():
        image["repository"] = f"{host}/team/{name}"
    spec.write_text(tomli_w.dumps(document), encoding="utf-8")
    (root / "app").mkdir()
    (root / "app" / "main.py").write_text("app = None\n", encoding="utf-8")
    opened = open_project(root, ())
    releases = plan_releases(opened, plan_project(opened))
    canonical = {"linux/amd64": DIGEST}
    rows = {name: make_row(release, DIGEST, canonical) for name, release in releases.items()}
    (root / PUBLISHED_FILE).write_bytes(write_published(Published(images=rows)))


def measure(root: Path, runs: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return CPU and wall seconds of every run of every command, after one that warms caches."""
    envgen = (sys.executable, "-m", "envgen")
    bake = root / "docker-bake.json"
    commands: dict[str, tuple[str, ...]] = {
        "floor: read and hash": (sys.executable, "-c", FLOOR, str(root / "environments")),
        "envgen render --check": (*envgen, "render", "--check", "-C", str(root)),
        "envgen bake": (*envgen, "bake", "-C", str(root)),
        "envgen build --push": (*envgen, "build", "--push", "--quiet", "-C", str(root)),
    }
    if docker := shutil.which("docker"):
        with bake.open("w", encoding="utf-8") as stream:
            subprocess.run(commands["envgen bake"], stdout=stream, check=True)
        commands["docker buildx bake --print"] = (
            docker,
            "buildx",
            "bake",
            "--file",
            str(bake),
            "--print",
        )
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            start = time.monotonic()
            spent = cpu_seconds(command, dict(os.environ))
            if turn:
                times[name][0].append(spent)
                times[name][1].append(time.monotonic() - start)
    return times


def report(times: dict[str, tuple[list[float], list[float]]], images: int) -> int:
    print(f"{f'{images} images':<30}{'CPU s (median)':>16}{'wall s (median)':>18}")
    medians = {name: tuple(map(statistics.median, both)) for name, both in times.items()}
    for name, (cpu, wall) in medians.items():
        print(f"{name:<30}{cpu:>16.2f}{wall:>18.2f}")
    targets = {name: medians[name][0] for name in ("envgen bake", "envgen build --push")}
    for name, cpu in targets.items():
        met = "met" if cpu < TARGET_S else "MISSED"
        print(f"{name}: {cpu:.2f} s, target under {TARGET_S} s: {met}")
    return 0 if all(cpu < TARGET_S for cpu in targets.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
