"""Environment variables that make the same work give the same bits, where the lock honours them."""

from typing import Final

from envgen.lock.model import LockedImage
from envgen.plan.model import Decision
from envgen.spec.model import Image

_REASONS: Final = {
    "PYTHONHASHSEED": "the order of sets of strings is part of many results",
    "CUBLAS_WORKSPACE_CONFIG": "cuBLAS repeats its results only with a fixed workspace "
    "(docs.nvidia.com/cuda/cublas, Results Reproducibility)",
}


def plan_determinism(image: Image, locked: LockedImage) -> dict[str, str]:
    """Return the variables of an image whose determinism is strict.

    A health check does not see what an entrypoint exports, so they are the image's own. Hashes stay
    random where the image listens on a port: a server whose hashes are known can be stalled by
    keys that collide (python.org, CVE-2012-1150).
    """
    env = {} if image.port else {"PYTHONHASHSEED": "0"}
    if image.gpu is not None and "torch" in locked.frameworks:
        env["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    return env


def explain_determinism(image: Image, locked: LockedImage) -> tuple[Decision, ...]:
    """Return why each of these variables is set."""
    return tuple(
        Decision(about=name, choice=value, reason=_REASONS[name])
        for name, value in plan_determinism(image, locked).items()
    )
