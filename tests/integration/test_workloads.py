"""The workloads with the real frameworks, on CPUs.

GPU: not tested here, no GPU. The workloads on GPUs are those of the CPU, in larger shapes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uv

from envgen.resources import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REQUIREMENTS = {
    "torch": "torch==2.13.0",
    "tensorflow": "tensorflow-cpu==2.21.0",
    "jax": "jax[cpu]==0.10.2",
}
NOT_ON_CPUS = {
    "torch": {"attention, efficient", "attention, cuDNN", "training, compiled"},
    "tensorflow": set[str](),
    "jax": set[str](),
}
DRAWS_NOTHING = {"torch": {"bincount", "sort"}, "tensorflow": {"sort"}, "jax": {"sort"}}

pytestmark = pytest.mark.network


def install(python: Path, *options: str) -> subprocess.CompletedProcess[str]:
    uv_pip = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-config"]
    command = [*uv_pip, "--python", str(python)]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def find_python(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Return what finds an interpreter with a framework, made once and kept in pytest's cache."""
    cache = request.config.cache
    assert cache is not None
    version = f"py{sys.version_info[0]}.{sys.version_info[1]}"

    def find(framework: str) -> Path:
        requirement = REQUIREMENTS[framework]
        directory = cache.mkdir(f"workloads-{re.sub(r'[^a-z0-9.]+', '-', requirement)}-{version}")
        python, ready = directory / "bin" / "python", directory / "ready"
        if ready.exists():
            return python
        made = [uv.find_uv_bin(), "venv", "--quiet", "--clear", "--python", sys.executable]
        subprocess.run([*made, directory], check=True)
        # Torch's wheel on PyPI is for CUDA and brings gigabytes: only one of this machine will do.
        wheels = os.environ.get("PIP_FIND_LINKS", "")
        local = (
            ["--no-index", "--no-deps", f"--find-links={wheels}"] if framework == "torch" else []
        )
        for options in [local, []] if local else [[]]:
            done = install(python, *options, requirement)
            if done.returncode != 0:
                pytest.skip(f"{requirement} cannot be installed: {done.stderr.splitlines()[-1:]}")
        ready.touch()
        return python

    return find


class Image:
    """A copy of the runtime, and the environment that an image would give it."""

    def __init__(self, directory: Path, python: Path, framework: str) -> None:
        self.python = python
        self.framework = framework
        self.package = directory / "envgen_runtime"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(RUNTIME / "envgen_runtime", self.package, ignore=ignored)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ENVGEN_")}
        self.environment = kept | {
            "ENVGEN_STATE_DIR": str(directory),
            "ENVGEN_SELFTEST_TIMEOUT": "600",
            "JAX_PLATFORMS": "cpu",
            "MKL_CBWR": "AUTO",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(directory),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # On some virtual machines the CPU announces AMX and does not have it: bfloat16 then
            # ends in SIGILL, which the self-test finds, and which is not what is tested here.
            "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_FP16",
        }

    def run(self, *arguments: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, *flags, self.package, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def report(self) -> dict[str, Any]:
        report = json.loads(self.run("run", "--json").stdout)
        return next(item for item in report["frameworks"] if item["name"] == self.framework)

    def attempt(self, workload: str, mode: str = "strict") -> dict[str, Any]:
        """Run one workload once, in a process of its own."""
        code = (
            "import json\n"
            f"from envgen_runtime import {self.framework}_workloads as framework\n"
            "from envgen_runtime.worker import attempt\n"
            f"framework.configure({mode!r})\n"
            f"(item,) = (one for one in framework.workloads() if one.name == {workload!r})\n"
            "print(json.dumps(attempt(item, 'first')))"
        )
        run: dict[str, Any] = json.loads(self.evaluate(code))
        return run

    def evaluate(self, code: str) -> str:
        """Run a user's program."""
        done = subprocess.run(
            [self.python, "-c", code],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.package / file
        source = path.read_text()
        assert source.count(old) == 1
        path.write_text(source.replace(old, new))


@pytest.fixture
def make_image(tmp_path: Path, find_python: Callable[[str], Path]) -> Callable[[str], Image]:
    return lambda framework: Image(tmp_path, find_python(framework), framework)


@pytest.mark.parametrize("framework", REQUIREMENTS)
def test_every_workload_is_reproducible_and_would_be_caught_otherwise(
    make_image: Callable[[str], Image], framework: str
) -> None:
    image = make_image(framework)
    report = image.report()
    if any(work["status"] == "not reproducible" for work in report["workloads"]):
        # On two busy processors TensorFlow's and torch's first calls race once in some runs
        # (docs/selftest.md). What varies twice in a row is no such race.
        report = image.report()
    assert report["error"] is None
    assert report["version"].partition("+")[0] == REQUIREMENTS[framework].partition("==")[2]
    works = {work["name"]: work for work in report["workloads"] if work["device"] == "cpu"}
    assert len(works) >= 18
    refused = {name for name, work in works.items() if work["status"] == "not supported"}
    assert refused == NOT_ON_CPUS[framework]
    tested = [work for name, work in works.items() if name not in refused]
    assert {work["status"] for work in tested} == {"reproducible here"}
    assert {work["control"] for work in tested} == {"caught"}
    assert all(work["why"] for work in works.values())


@pytest.mark.parametrize("framework", REQUIREMENTS)
def test_work_without_a_seed_is_found_in_every_workload(
    make_image: Callable[[str], Image], framework: str
) -> None:
    image = make_image(framework)
    image.edit("workload.py", "SEED = 20240229", "import time\nSEED = time.time_ns() % 2**31")
    statuses = {work["name"]: work["status"] for work in image.report()["workloads"]}
    varying = {name for name, status in statuses.items() if status == "not reproducible"}
    assert varying == statuses.keys() - DRAWS_NOTHING[framework] - NOT_ON_CPUS[framework]


def test_two_devices_are_added_up(make_image: Callable[[str], Image]) -> None:
    image = make_image("jax")
    image.environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    assert image.attempt("all-reduce")["sha256"] == image.attempt("all-reduce")["sha256"]


def test_compiled_training_is_reproducible(make_image: Callable[[str], Image]) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler, which torch.compile needs")
    image = make_image("torch")
    image.environment["ENVGEN_SELFTEST_COMPILE"] = "1"
    runs = [image.attempt("training, compiled") for _ in range(2)]
    assert runs[0]["sha256"] == runs[1]["sha256"]


def test_compiling_without_a_compiler_is_not_supported(
    make_image: Callable[[str], Image], tmp_path: Path
) -> None:
    image = make_image("torch")
    image.environment |= {"ENVGEN_SELFTEST_COMPILE": "1", "PATH": str(tmp_path)}
    run = image.attempt("training, compiled")
    assert run["status"] == "not supported"
    assert "needs a compiler: g++ or clang++" in run["detail"]


def test_gradients_are_compared_too(make_image: Callable[[str], Image]) -> None:
    image = make_image("torch")
    # Not torch.rand(): the global generator starts from a constant in every process.
    image.edit(
        "torch_ops.py",
        "return pieces(table=table.grad)",
        "g = torch.Generator(); g.seed()\n"
        "    return pieces(table=table.grad + torch.rand(1, generator=g))",
    )
    assert image.attempt("embedding")["sha256"] != image.attempt("embedding")["sha256"]


def test_cached_probe_does_not_import_torch(make_image: Callable[[str], Image]) -> None:
    image = make_image("torch")
    for _ in range(20):  # a probe waits 25 s, which is not enough on a machine that is busy
        if image.run("probe").returncode == 0:
            break
    cached = image.run("probe", flags=("-X", "importtime"))
    assert cached.returncode == 0
    assert "envgen_runtime.state" in cached.stderr
    assert "torch" not in cached.stderr


PUT = """
    return pieces(table=torch.zeros(9).put_(torch.tensor([1, 1]), torch.ones(2)))
"""


def test_operation_that_refuses_is_named_with_what_to_use(
    make_image: Callable[[str], Image],
) -> None:
    image = make_image("torch")
    # put_ without accumulate has no deterministic form on any device.
    image.edit("torch_ops.py", "    return pieces(table=table.grad)\n", PUT)
    run = image.attempt("embedding")
    assert run["status"] == "not supported"
    assert "put_ does not have a deterministic" in run["detail"]
    assert run["detail"].endswith("use index_put_() or scatter() with indices that are unique")
    assert "sha256" in image.attempt("embedding", mode="warn")


def test_refusal_of_tensorflow_is_named_with_what_to_use(
    make_image: Callable[[str], Image],
) -> None:
    image = make_image("tensorflow")
    image.edit(
        "tensorflow_ops.py",
        'strides=2, padding="SAME"))\n        logits',
        'strides=1, padding="SAME"))\n'
        '        hidden = tf.nn.max_pool2d(hidden, 2, 2, "VALID")\n        logits',
    )
    run = image.attempt("training, XLA")
    assert run["status"] == "not supported"
    assert "use a convolution with strides" in run["detail"]


def test_claims_are_those_of_the_installed_torch(make_image: Callable[[str], Image]) -> None:
    code = """
import torch
from envgen_runtime.claims import CLAIMS, REFUSES, STRICT, find_claim
text = " ".join(torch.use_deterministic_algorithms.__doc__.split())
switching, _, refusing = text.partition("nondeterministic operations will throw a")
for claim in CLAIMS:
    if claim.source.startswith("list in the docstring") and claim.framework == "torch":
        name = {"conv2d": "Conv2d`", "embedding": "Embedding`", "bincount with weights": "bincount"}
        word = name.get(claim.workload, claim.workload)
        said = find_claim("torch", torch.__version__, claim.workload, "cuda:0")
        if claim.workload == "training, compiled":
            assert (said == claim) == ("Inductor deterministic mode" in text)
        elif said is claim:
            assert word in (refusing if claim.says == REFUSES else switching), claim
        elif said is None:
            assert "weights" in refusing if word == "bincount" else word not in text, claim
print("agreed")
"""
    assert make_image("torch").evaluate(code) == "agreed\n"


DRAW = {
    "torch": "import torch; draw = lambda: torch.rand(5).tolist()",
    "tensorflow": "import tensorflow as tf; draw = lambda: tf.random.uniform([5]).numpy().tolist()",
}


@pytest.mark.parametrize("framework", DRAW)
def test_seed_everything_seeds_what_is_installed(
    make_image: Callable[[str], Image], framework: str
) -> None:
    code = (
        f"{DRAW[framework]}\n"
        "from envgen_runtime import seed_everything as seed\n"
        "names = seed(3); first = draw(); seed(3)\n"
        "print(names[0], names[-1], first == draw())"
    )
    assert make_image(framework).evaluate(code) == f"random {framework} True\n"


ENFORCED = {
    "torch": "import torch; print(torch.are_deterministic_algorithms_enabled())",
    "tensorflow": "from tensorflow.python.framework import config as c; "
    "print(c.is_op_determinism_enabled())",
    "jax": "import jax, os; jax.numpy.ones(1).sum(); print('deterministic_ops' in "
    "os.environ['XLA_FLAGS'] or 'nondeterministic_ops' in os.environ['XLA_FLAGS'])",
}


@pytest.mark.parametrize("framework", ENFORCED)
def test_enforce_turns_deterministic_mode_on(
    make_image: Callable[[str], Image], framework: str
) -> None:
    code = f"import envgen_runtime; print(*envgen_runtime.enforce())\n{ENFORCED[framework]}"
    assert make_image(framework).evaluate(code) == f"{framework}\nTrue\n"


def test_enforce_says_when_it_comes_too_late(make_image: Callable[[str], Image]) -> None:
    code = (
        "import warnings, jax, envgen_runtime\n"
        "jax.numpy.ones(1).sum()\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always'); envgen_runtime.enforce()\n"
        "print(*[str(one.message)[:9] for one in said])"
    )
    assert make_image("jax").evaluate(code) == "XLA_FLAGS\n"


def test_workers_of_a_loader_draw_the_same_again(make_image: Callable[[str], Image]) -> None:
    code = """
import random, torch
from envgen_runtime import loader_options, seed_everything
class Draws(torch.utils.data.Dataset):
    def __len__(self): return 12
    def __getitem__(self, index): return index + random.random() + torch.rand(1).item()
def load(before):
    seed_everything(before)
    loader = torch.utils.data.DataLoader(
        Draws(), batch_size=3, shuffle=True, num_workers=2, **loader_options(7))
    return torch.stack(list(loader)).tolist()
print(load(1) == load(2))
"""
    assert make_image("torch").evaluate(code) == "True\n"
