"""A fingerprint: the hashes of one machine, and all that they may depend on."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from typing import Any

from envgen_runtime.frameworks import FRAMEWORKS
from envgen_runtime.fulltest import PACKAGE, interpreter
from envgen_runtime.state import VARIABLES, lock_hash

FORMAT = "envgen-fingerprint 1"

_SELECTING = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "PYTHONPATH")
"""Variables that say which GPU or where; what is there is in the key itself."""

_LIBRARIES = (
    "intel-openmp",
    "jax",
    "jaxlib",
    "libblas",
    "libopenblas",
    "libtorch",
    "llvm-openmp",
    "mkl",
    "numpy",
    "onednn",
    "openblas",
    "pytorch",
    "tbb",
    "tensorflow",
    "torch",
    "triton",
)
_LIBRARY_PREFIXES = ("cuda-", "cudnn", "jax-cuda", "libcu", "nccl", "nvidia-", "tensorflow-")
"""Distributions and conda packages that compute, or choose what computes."""

_ASKING_S = 30


class FingerprintError(Exception):
    """What was given is no fingerprint; the message is one line."""


def make_fingerprint(report: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Return the fingerprint of this machine.

    Args:
        report: Of the full test.
        name: Of the machine; its host name where none is given.

    """
    cuda = ask_driver()
    gpus = [{**gpu} for gpu in cuda["gpus"]]
    uuids = [gpu.pop("uuid", "") for gpu in gpus]
    return {
        "format": FORMAT,
        "machine": {"name": name or platform.node(), "gpus": uuids},
        "key": {
            "gpus": gpus,
            "driver": _kernel_driver(),
            "cuda": cuda.get("cuda", ""),
            "cpu": report["platform"]["cpu"],
            "cpus": report["platform"]["cpus"],
            "architecture": report["platform"]["machine"],
            "libc": report["platform"]["libc"],
            "python": platform.python_version(),
            "libraries": dict(sorted(_libraries())),
            "lock": lock_hash(),
            "mode": os.environ.get("ENVGEN_SELFTEST") or "strict",
            "workloads": _hash_workloads(),
            "environment": {
                variable: os.environ[variable]
                for variable in VARIABLES
                if variable in os.environ and variable not in _SELECTING
            },
        },
        "results": [
            _describe_result(framework["name"], work)
            for framework in report["frameworks"]
            for work in framework["workloads"]
        ],
        "errors": {
            framework["name"]: framework["error"]
            for framework in report["frameworks"]
            if framework["error"]
        },
    }


def ask_driver() -> dict[str, Any]:
    """Return what `cudriver` finds, in a process of its own."""
    command = [*interpreter(), PACKAGE, "devices"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_ASKING_S,
            check=False,
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"error": f"CUDA's driver does not answer within {_ASKING_S} s", "gpus": []}
    except ValueError:
        return {"error": "CUDA's driver takes its process down", "gpus": []}
    return found


def _kernel_driver() -> str:
    from envgen_runtime.gpu import read_files

    return read_files().driver


def _describe_result(framework: str, work: dict[str, Any]) -> dict[str, Any]:
    kept = ("name", "device", "status", "sha256", "detail")
    return {"framework": framework, **{key: work[key] for key in kept if key in work}}


def _hash_workloads() -> str:
    """Return a hash of the code that makes the results: other work gives other bits."""
    total = hashlib.sha256()
    kinds = (f"{name}_*.py" for name in ("plain", *FRAMEWORKS))
    patterns = (*kinds, "workload.py", "seeding.py")
    for path in sorted(path for p in patterns for path in glob.glob(os.path.join(PACKAGE, p))):
        with open(path, "rb") as file:
            code = file.read()
        # Rendered files begin with a line that names the spec; it is no part of the code.
        lines = [line for line in code.splitlines() if not line.startswith(b"#")]
        total.update(b"\n".join([os.path.basename(path).encode(), *lines]).rstrip())
    return total.hexdigest()


def _libraries() -> Iterator[tuple[str, str]]:
    for found in distributions():
        name = (found.metadata["Name"] or "").lower().replace("_", "-")
        if _computes(name):
            yield name, found.version
    for path in glob.glob(os.path.join(sys.prefix, "conda-meta", "*.json")):
        name, version, build = os.path.basename(path)[: -len(".json")].rsplit("-", 2)
        if _computes(name):
            yield name, f"{version} {build}"


def _computes(name: str) -> bool:
    return name in _LIBRARIES or name.startswith(_LIBRARY_PREFIXES)


def write_fingerprint(fingerprint: dict[str, Any]) -> str:
    """Return a fingerprint as one line of JSON, so that files of many can be made with `cat`."""
    return json.dumps(fingerprint, sort_keys=True)


def read_fingerprints(path: str) -> list[dict[str, Any]]:
    """Return the fingerprints in a file, one after the other; `-` is standard input.

    Raises:
        FingerprintError: It cannot be read, or holds something else.

    """
    try:
        if path == "-":
            text = sys.stdin.read()
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise FingerprintError(f"{path}: {error}") from error
    return parse_fingerprints(text, path)


def parse_fingerprints(text: str, path: str) -> list[dict[str, Any]]:
    """Return the fingerprints in a text, which may be spread over lines or not.

    Raises:
        FingerprintError: It holds something else.

    """
    decoder, found, position = json.JSONDecoder(), [], 0
    text = text.strip()
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise FingerprintError(f"{path}:{line}: this is no JSON: {error}") from error
        problem = _find_problem(value)
        if problem:
            raise FingerprintError(f"{path}:{line}: this is no fingerprint: {problem}")
        found.append(value)
        position += len(text[position:]) - len(text[position:].lstrip())
    return found


def _find_problem(value: object) -> str:
    """Return what keeps a JSON value from being a fingerprint; empty where nothing does."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        return f'it has no "format": "{FORMAT}"; `selftest record` writes one'
    machine, key, results = (value.get(name) for name in ("machine", "key", "results"))
    if not (isinstance(machine, dict) and isinstance(machine.get("name"), str)):
        return "its machine has no name"
    if not isinstance(key, dict) or not isinstance(results, list):
        return "its key or its results are missing"
    gpus = key.get("gpus", [])
    if not (isinstance(gpus, list) and all(isinstance(gpu, dict) for gpu in gpus)):
        return "its gpus are no list of objects"
    return "" if all(_is_result(result) for result in results) else "one of its results is not one"


def _is_result(value: object) -> bool:
    texts = ("framework", "name", "device", "status")
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in texts)
        and isinstance(value.get("sha256", ""), str)
    )


def label(result: dict[str, Any]) -> str:
    """Return the name of a result without its device: `torch: gemm`."""
    return f"{result['framework']}: {result['name']}"


def describe_key(key: dict[str, Any], device: str) -> dict[str, str]:
    """Return what the results of a device may depend on, in words, by name.

    Args:
        key: Of a fingerprint.
        device: `cpu`, or a GPU with its number at the end, as `cuda:1`.

    """
    facts = {name: str(value) for name, value in key.items() if not isinstance(value, (dict, list))}
    for name, kind in (("libraries", "library"), ("environment", "variable")):
        part = key.get(name)
        facts.update({f"{kind} {k}": str(v) for k, v in part.items()} if part else {})
    if device.startswith("cpu"):
        for name in ("driver", "cuda"):
            facts.pop(name, None)
    else:
        facts.update(_describe_gpu(key.get("gpus", []), device))
    return facts


def _describe_gpu(gpus: Sequence[dict[str, Any]], device: str) -> dict[str, str]:
    digits = device.rpartition(":")[2]
    index = int(digits) if digits.isdigit() else 0
    gpu = gpus[index] if index < len(gpus) else {}
    return {f"GPU {name}": str(value) for name, value in gpu.items() if value}
