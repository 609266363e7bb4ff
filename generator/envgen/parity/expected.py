"""What a container should get, and where the spec lets deployments differ."""

from collections.abc import Iterator
from typing import Final

from envgen.parity.model import Facts, Kind
from envgen.parity.units import write_bytes, write_cpus
from envgen.plan.model import ImagePlan
from envgen.plan.targets.model import USER, Deployment, Expression, Targets

CUDA_VARIABLES: Final = ("NVIDIA_REQUIRE_CUDA", "NVIDIA_DISABLE_REQUIRE", "CUDA_VERSION")
"""Variables that decide on which drivers a container starts."""

NODES: Final = "node affinity"
READ_ONLY, WRITABLE = "read-only", "writable"


def describe_expected(image: ImagePlan, run: Deployment, kind: Kind = "compose") -> Facts:
    """Return what a container of an image should get, as a kind of source can tell it."""
    targets = targets_of(image)
    env = {**(dict(image.env) if kind == "engine" else {}), **dict(run.env)}
    cuda, env = split_env(env)
    if kind == "kubernetes":
        cuda[NODES] = write_terms(targets.gpu_affinity if run.gpus else targets.affinity)
    replicas = max(1, run.replicas) if kind == "sagemaker" else run.replicas
    # A task definition counts memory in whole MiB.
    unit = 2**20 if kind == "ecs" else 1
    return {
        "image": {"digest": targets.reference},
        "lock": {"org.envgen.lock": f"sha256:{image.lock_sha256}"},
        "CUDA": cuda,
        "env": env,
        "gpus": {"count": str(run.gpus)},
        "mounts": {
            volume.path: READ_ONLY if volume.read_only else WRITABLE for volume in run.volumes
        },
        "resources": {name: value for name, value in _list_resources(run, unit) if value},
        "user": {"user": f"{USER}:{USER}"},
        "replicas": {"replicas": str(replicas)},
    }


def targets_of(image: ImagePlan) -> Targets:
    assert image.targets is not None  # noqa: S101 - callers leave out images without
    return image.targets


def _list_resources(run: Deployment, unit: int) -> Iterator[tuple[str, str]]:
    yield "cpus", write_cpus(run.cpus) if run.cpus else ""
    yield "memory", write_bytes(run.memory // unit * unit) if run.memory else ""
    yield "shm-size", write_bytes(run.shm // unit * unit) if run.shm else ""


def write_terms(terms: tuple[tuple[Expression, ...], ...]) -> str:
    """Return what nodes have to be, in a form that does not depend on how it was written."""
    return " or ".join(
        " and ".join(f"{each.key} {each.operator} {','.join(each.values)}" for each in term)
        for term in terms
    )


def split_env(env: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables that are about CUDA, and the others."""
    cuda = {name: value for name, value in env.items() if name in CUDA_VARIABLES}
    return cuda, {name: value for name, value in env.items() if name not in CUDA_VARIABLES}
