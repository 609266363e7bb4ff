"""From spec and lock to a plan: what each image will be, and why."""

from collections.abc import Iterable
from typing import Final

from envgen.lock.model import Lock, LockedImage, LockedLayer, LockedTool
from envgen.lock.request import image_platforms, make_request
from envgen.plan.base import official_python
from envgen.plan.decisions import (
    describe_layer,
    explain_image,
    image_determinism,
    locked_base,
    not_locked,
)
from envgen.plan.determinism import plan_determinism
from envgen.plan.model import Base, HealthCheck, ImagePlan, Layer, Plan
from envgen.spec.model import Image, Spec

RUNTIME_FOLDER: Final = "/opt/envgen"
VENV: Final = "/opt/venv"


def make_plan(spec: Spec, lock: Lock, *, spec_file: str) -> Plan:
    """Return every decision for every image that the lock holds, in the spec's order.

    Raises:
        LockError: The lock lacks what the spec needs, as a stale one may that nobody checked, or
            cannot serve the GPUs that the spec declares.

    """
    return Plan(
        epoch=spec.epoch,
        spec_file=spec_file,
        images=tuple(
            _plan_image(spec, lock, name, lock.images[name], spec_file)
            for name in spec.images
            if name in lock.images
        ),
    )


def _plan_image(
    spec: Spec, lock: Lock, name: str, locked: LockedImage, spec_file: str
) -> ImagePlan:
    image = spec.images[name]
    if image.gpu is not None:
        from envgen.plan.gpu import require_served  # noqa: PLC0415 - reads the CUDA tables

        require_served(spec, name, locked, spec_file=spec_file)
    base = _pinned(spec, lock, locked.base)
    builder = _pinned(spec, lock, official_python(spec))
    request = make_request(spec, name)
    uv = _uv(lock, request.platforms)
    hashes = sorted({uv.sha256[platform] for platform in request.platforms})
    health = _plan_health(spec, image)
    return ImagePlan(
        name=name,
        folder=request.folder,
        python=request.python,
        platforms=request.platforms,
        base=base,
        builder=builder,
        uv_version=uv.version,
        uv_requirement=" \\\n    ".join(
            [f"uv=={uv.version}", *(f"--hash=sha256:{digest}" for digest in hashes)]
        ),
        build_options=_plan_build_options(image, request.index),
        layers=tuple(_plan_layer(request.folder, layer) for layer in locked.layers),
        copies=tuple(path.rstrip("/") for path in image.copy_),
        workdir=image.workdir,
        command=image.command,
        ports=() if image.port is None else (image.port,),
        env=_plan_env(spec, name, locked),
        labels=_plan_labels(spec, name, base, locked),
        health=health,
        certificates=spec.network.ca_certificates is not None,
        index=request.index,
        decisions=explain_image(spec, lock, name, locked),
    )


def _uv(lock: Lock, platforms: Iterable[str]) -> LockedTool:
    uv = lock.find_tool("uv")
    if uv is None or not set(platforms) <= uv.sha256.keys():
        raise not_locked(f"a uv for {' and '.join(platforms)}")
    return uv


def _pinned(spec: Spec, lock: Lock, name: str) -> Base:
    locked = locked_base(lock, name)
    registry, _, path = locked.image.partition("/")
    host = spec.network.registry_mirrors.get(registry, registry)
    bare = path.partition("@")[0]
    return Base(
        reference=f"{host}/{bare}@{locked.digest}",
        name=locked.image,
        digest=locked.digest,
        official_python=locked.image == official_python(spec),
    )


def _plan_layer(folder: str, layer: LockedLayer) -> Layer:
    return Layer(
        name=layer.name,
        pylock=f"{folder}/pylock.{layer.name}.toml",
        note=describe_layer(layer),
    )


def _plan_build_options(image: Image, index: str) -> tuple[str, ...]:
    """Return what uv may build: nothing, or what the lock has as a source archive."""
    if not image.allow_source:
        return ("--no-build",)
    return (f"--default-index={index}",) if index else ()


def _plan_health(spec: Spec, image: Image) -> tuple[HealthCheck, ...]:
    if image_determinism(spec, image) == "off":
        return ()
    listening = () if image.port is None else ("--port", str(image.port))
    command = (f"{VENV}/bin/python", f"{RUNTIME_FOLDER}/envgen_runtime", "probe", *listening)
    return (
        HealthCheck(command=command, interval_s=10, timeout_s=30, start_period_s=130, retries=3),
    )


def _plan_env(spec: Spec, name: str, locked: LockedImage) -> tuple[tuple[str, str], ...]:
    image = spec.images[name]
    own = {"VIRTUAL_ENV": VENV, "PYTHONUNBUFFERED": "1"}
    if image.gpu is not None:
        from envgen.plan.gpu import plan_gpu_environment  # noqa: PLC0415 - reads the CUDA tables

        own |= plan_gpu_environment(name, locked, image_platforms(spec, name)[0])
    if image_determinism(spec, image) != "off":
        own |= {"ENVGEN_SELFTEST": image_determinism(spec, image), "PYTHONPATH": RUNTIME_FOLDER}
    if image_determinism(spec, image) == "strict":
        own |= plan_determinism(image, locked)
    given = dict(image.env)
    if "PYTHONPATH" in own and "PYTHONPATH" in given:
        given["PYTHONPATH"] += f":{own['PYTHONPATH']}"
    return tuple({**own, **given}.items())


def _plan_labels(
    spec: Spec, name: str, base: Base, locked: LockedImage
) -> tuple[tuple[str, str], ...]:
    labels = {
        "org.envgen.epoch": spec.epoch,
        "org.envgen.image": name,
        "org.envgen.lock": f"sha256:{locked.lock_sha256}",
        "org.opencontainers.image.base.digest": base.digest,
        "org.opencontainers.image.base.name": base.name,
        "org.opencontainers.image.title": f"{spec.project.name}-{name}",
    }
    return tuple(sorted(labels.items()))
