"""What images cost to build, to keep and to push: envgen's beside three usual Dockerfiles.

    python benchmarks/images.py [--registry HOST:PORT] [--torch INDEX] [--only NAME …]

One environment, locked once by envgen, is built (i) in one stage with pip, (ii) in two with
`pip install --user`, (iii) in two as the guide of uv has it, and (iv) by envgen. Each is built with
empty caches, again without a build cache, again as it is, and after four changes: to the
application, to one light package, to a heavy one and to the framework; each image is pushed to a
registry through a counter of bytes. (i) to (iii) stand on the same base and install the same
wheels; uv comes to them as it comes to readers of its guide, from an image.

Wants a Docker Engine and a registry that may be written to. Seconds are wall-clock, one run each;
CPU is the whole machine's, so let it do nothing else. The framework is JAX, whose wheels for CPUs
PyPI has; with --torch it is torch, from an index of CPU builds, as download.pytorch.org/whl/cpu.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import tomli_w
import uv

HEAVY: Final = ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "onnxruntime")
LIGHT: Final = (
    "fastapi",
    "uvicorn",
    "httpx",
    "pydantic",
    "pyyaml",
    "tqdm",
    "rich",
    "requests",
    "click",
    "jinja2",
)
BEFORE: Final = {"tqdm": "tqdm<4.70", "onnxruntime": "onnxruntime<1.32", "jax": "jax<0.12"}
"""What a change starts from; it ends at the newest versions of one lock."""
APP: Final = "print('hello')\n"

PIP: Final = """\
FROM {base}
WORKDIR /app
COPY . .
RUN {secret}{pip_cert}pip install --no-cache-dir -r requirements.txt
CMD ["python", "app/main.py"]
"""
PIP_USER: Final = """\
FROM {base} AS builder
COPY requirements.txt .
RUN --mount=type=cache,id={cache},target=/root/.cache/pip \\
    {secret}{pip_cert}pip install --user -r requirements.txt
FROM {base}
COPY --from=builder /root/.local /root/.local
ENV PATH=/root/.local/bin:$PATH
WORKDIR /app
COPY app app
CMD ["python", "app/main.py"]
"""
UV_GUIDE: Final = """\
FROM {base} AS builder
COPY --from={uv_image} /uv /bin/
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_DEV=1 UV_PYTHON_DOWNLOADS=0
WORKDIR /app
RUN --mount=type=cache,id={cache},target=/root/.cache/uv \\
    --mount=type=bind,source=uv.lock,target=uv.lock \\
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml \\
    {secret}{uv_cert}uv sync --locked --no-install-project
COPY app app
FROM {base}
COPY --from=builder /app /app
ENV PATH="/app/.venv/bin:$PATH"
WORKDIR /app
CMD ["python", "app/main.py"]
"""


class Row(NamedTuple):
    """One build: how long it took, what came out, what the registry received."""

    variant: str
    event: str
    seconds: float
    cpu_s: float
    image_bytes: int
    received: int
    pushed_s: float
    identity: str


class Counter:
    """A forwarder in front of a registry that counts what clients send."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.received = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._target)
            for source, sink, counted in ((client, server, True), (server, client, False)):
                work = (source, sink, counted)
                threading.Thread(target=self._forward, args=work, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:  # noqa: FBT001
        try:
            while chunk := source.recv(1 << 16):
                self.received += len(chunk) if counted else 0
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()


class Bench:
    """The environment, its four Dockerfiles and what they gave."""

    def __init__(self, root: Path, options: argparse.Namespace) -> None:
        self.root = root
        self.options = options
        self.counter = Counter(options.registry)
        self.run_id = uuid4().hex[:8]
        self.project = root / "project"
        self.rows: list[Row] = []
        self.ca = os.environ.get("SSL_CERT_FILE", "")

    def write_spec(self, before: frozenset[str]) -> None:
        """Write the spec; the packages of `before` are at the version that a change starts from."""
        framework = ("torch",) if self.options.torch else ("jax",)
        network: dict[str, Any] = {"registry-mirrors": {"docker.io": self.options.registry}}
        if self.ca:
            network["ca-certificates"] = "ca.pem"
            shutil.copy(self.ca, self.project / "ca.pem")
        if self.options.torch:
            network["indexes"] = {"torch": {"url": self.options.torch, "packages": ["torch"]}}
        names = (BEFORE[n] if n in before else n for n in (*framework, *self.options.heavy, *LIGHT))
        spec = {
            "format": 1,
            "epoch": "2026.11",
            "project": {"name": "bench", "python": "3.13", "dependencies": list(names)},
            "images": {
                "serve": {
                    "copy": ["app"],
                    "command": ["python", "app/main.py"],
                    "determinism": "off",
                }
            },
            "network": network,
        }
        (self.project / "envgen.toml").write_text(tomli_w.dumps(spec), encoding="utf-8")

    def lock(self, *packages: str) -> None:
        """Lock, keeping the pins of all but `packages`, and give the other Dockerfiles the same."""
        if packages:
            self.envgen("lock", "serve", "--upgrade", *packages)
        self.envgen("render", "serve", "--force")
        folder = self.project / "environments" / "serve"
        pins = sorted(
            f"{package['name']}=={package['version']}"
            for file in folder.glob("pylock.*.toml")
            for package in tomllib.loads(file.read_text(encoding="utf-8"))["packages"]
        )
        for name in ("pip", "pip-user", "uv-guide"):
            context = self.root / name
            shutil.copytree(self.project / "app", context / "app", dirs_exist_ok=True)
            (context / "requirements.txt").write_text("\n".join(pins) + "\n", encoding="utf-8")
            for file in ("pyproject.toml", "uv.lock"):
                shutil.copy(folder / file, context / file)

    def envgen(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "envgen", arguments[0], "-C", str(self.project)]
        run([*command, *arguments[1:]], self.root)

    def base(self) -> str:
        text = (self.project / "environments/serve/Dockerfile").read_text(encoding="utf-8")
        return next(line.split()[1] for line in text.splitlines() if line.startswith("FROM "))

    def dockerfile(self, variant: str, cache: str) -> tuple[Path, Path]:
        """Write a variant's Dockerfile with a cache of its own; return it and its context."""
        context = self.project if variant == "envgen" else self.root / variant
        file = self.root / f"{variant}.Dockerfile"
        if variant == "envgen":
            rendered = self.project / "environments/serve/Dockerfile"
            text = rendered.read_text(encoding="utf-8").replace(
                "--mount=type=cache,", f"--mount=type=cache,id={cache},"
            )
            shutil.copy(f"{rendered}.dockerignore", f"{file}.dockerignore")
        else:
            template = {"pip": PIP, "pip-user": PIP_USER, "uv-guide": UV_GUIDE}[variant]
            text = template.format(
                base=self.base(),
                cache=cache,
                uv_image=f"envgen-bench-uv:{self.run_id}",
                secret="--mount=type=secret,id=ca,target=/run/ca.pem " if self.ca else "",
                pip_cert="PIP_CERT=/run/ca.pem " if self.ca else "",
                uv_cert="SSL_CERT_FILE=/run/ca.pem " if self.ca else "",
            )
        file.write_text(text, encoding="utf-8")
        return file, context

    def build(self, variant: str, event: str, *, cache: str = "", fresh: bool = False) -> None:
        """Build and push, and keep the figures."""
        file, context = self.dockerfile(variant, cache or f"{self.run_id}-{variant}")
        tag = f"{self.counter.address}/bench/{self.run_id}-{variant}:{event}"
        command = ["docker", "build", "--quiet", "--provenance=false", "--tag", tag, "--file", file]
        command += ["--build-arg", "SOURCE_DATE_EPOCH=315532800"] if variant == "envgen" else []
        command += ["--secret", f"id=ca,src={self.ca}"] if self.ca else []
        command += ["--no-cache"] if fresh else []
        cpu, begun = busy_seconds(), time.perf_counter()
        identity = run([*command, str(context)], self.root).strip()
        seconds, cpu = time.perf_counter() - begun, busy_seconds() - cpu
        received, begun = self.counter.received, time.perf_counter()
        run(["docker", "push", "--quiet", tag], self.root)
        pushed = time.perf_counter() - begun
        received = self.counter.received - received
        size = int(run(["docker", "image", "inspect", "--format={{.Size}}", tag], self.root))
        row = Row(variant, event, seconds, cpu, size, received, pushed, identity)
        self.rows.append(row)
        print(format_row(row), flush=True)

    def measure(self) -> None:
        (self.project / "app").mkdir(parents=True)
        (self.project / "app" / "main.py").write_text(APP, encoding="utf-8")
        self.make_uv_image()
        self.write_spec(frozenset(BEFORE))
        self.lock()
        variants = self.options.only or ["pip", "pip-user", "uv-guide", "envgen"]
        run(["docker", "pull", "--quiet", self.base()], self.root)
        for event in ("cold", "again", "warm"):
            for variant in variants:
                self.build(variant, event, fresh=event != "warm")
        self.each(variants, "app", self.change_app)
        released = set(BEFORE)
        changes = [("light", "tqdm"), ("heavy", "onnxruntime"), ("framework", "jax")]
        for event, package in changes:
            if package not in {"tqdm", "jax", *self.options.heavy}:
                continue
            released.discard(package)

            def change(package: str = package) -> None:
                self.write_spec(frozenset(released))
                self.lock(*(("jax", "jaxlib") if package == "jax" else (package,)))

            self.each(variants, event, change)

    def each(self, variants: list[str], event: str, change: Callable[[], None]) -> None:
        change()
        for variant in variants:
            self.build(variant, event)

    def change_app(self) -> None:
        (self.project / "app" / "main.py").write_text(APP + "# changed\n", encoding="utf-8")
        self.lock()

    def make_uv_image(self) -> None:
        context = self.root / "uv-image"
        context.mkdir()
        shutil.copy(uv.find_uv_bin(), context / "uv")
        (context / "Dockerfile").write_text("FROM scratch\nCOPY uv /uv\n", encoding="utf-8")
        run(["docker", "build", "--quiet", "--tag", f"envgen-bench-uv:{self.run_id}", "."], context)

    def clean(self) -> None:
        made = [f"{self.run_id}-{row.variant}:{row.event}" for row in self.rows]
        tags = [f"{self.counter.address}/bench/{name}" for name in made]
        command = ["docker", "image", "rm", "--force", f"envgen-bench-uv:{self.run_id}", *tags]
        subprocess.run(command, capture_output=True, check=False)


def busy_seconds() -> float:
    """Return the CPU seconds that the machine has worked since it started."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = (int(field) for field in fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def run(command: list[Any], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def format_row(row: Row) -> str:
    return (
        f"{row.variant:<10}{row.event:<11}{row.seconds:8.1f} s{row.cpu_s:8.1f} CPU s"
        f"{row.image_bytes / 1e6:9.1f} MB{row.received / 1e6:10.2f} MB sent"
        f"{row.pushed_s:7.1f} s  {row.identity[7:19]}"
    )


def judge(rows: list[Row]) -> Iterator[tuple[str, bool]]:
    """Yield the targets, and whether they are met."""
    found = {(row.variant, row.event): row for row in rows}
    own, peer = ({e: r for (v, e), r in found.items() if v == n} for n in ("envgen", "uv-guide"))
    if not (own and peer):
        return
    yield "two cold builds, one image ID", own["cold"].identity == own["again"].identity
    yield "the second sends under 0.1 MB", own["again"].received < 100_000
    for event in ("cold", "again"):
        ratio = own[event].seconds / peer[event].seconds
        yield f"{event}: {ratio:.2f} times the uv guide's, target 1.05", ratio <= 1.05
    yield f"app change: {own['app'].seconds:.1f} s, target 2", own["app"].seconds <= 2
    ratio = own["light"].seconds / peer["light"].seconds
    yield f"light bump: {ratio:.2f} times the uv guide's, target 0.25", ratio <= 0.25
    ratio = own["cold"].image_bytes / peer["cold"].image_bytes
    yield f"image size: {ratio:.3f} times the uv guide's, target 1", ratio <= 1


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="envgen-benchmark-") as folder:
        yield Path(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare images with those of usual Dockerfiles.")
    parser.add_argument("--registry", default="127.0.0.1:5000")
    parser.add_argument("--torch", help="an index with CPU builds of torch")
    parser.add_argument("--only", nargs="*", help="pip, pip-user, uv-guide, envgen")
    parser.add_argument("--heavy", nargs="*", default=HEAVY, help="heavy packages to install")
    parser.add_argument("--json", type=Path, help="write the figures")
    options = parser.parse_args()
    with scratch() as root:
        bench = Bench(root, options)
        try:
            bench.measure()
        finally:
            bench.clean()
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in bench.rows]), encoding="utf-8")
    targets = dict(judge(bench.rows))
    for text, met in targets.items():
        print(f"{text}: {'met' if met else 'MISSED'}")
    return 0 if all(targets.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
