"""From spec and lock to a plan: what each image will be, and why."""

from typing import Final

from envgen.lock.model import Lock, LockedImage, LockedLayer
from envgen.lock.request import image_folder, image_platforms, make_request
from envgen.plan.base import choose_base, official_python
from envgen.plan.model import Base, Decision, HealthCheck, ImagePlan, Layer, Plan
from envgen.spec.model import Image, Spec

RUNTIME_FOLDER: Final = "/opt/envgen"
VENV: Final = "/opt/venv"


def make_plan(spec: Spec, lock: Lock, *, spec_file: str) -> Plan:
    """Return every decision for every image that the lock holds, in the spec's order."""
    return Plan(
        epoch=spec.epoch,
        spec_file=spec_file,
        images=tuple(
            _plan_image(spec, lock, name, lock.images[name])
            for name in spec.images
            if name in lock.images
        ),
    )


def _plan_image(spec: Spec, lock: Lock, name: str, locked: LockedImage) -> ImagePlan:
    image = spec.images[name]
    base = _pinned(spec, lock, locked.base)
    builder = _pinned(spec, lock, official_python(spec))
    request = make_request(spec, name)
    uv = lock.find_tool("uv")
    assert uv is not None  # noqa: S101 - `lock` always writes it
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
        env=_plan_env(spec, image),
        labels=_plan_labels(spec, name, base, locked),
        health=health,
        certificates=spec.network.ca_certificates is not None,
        index=request.index,
        decisions=_explain(spec, lock, name, locked),
    )


def _pinned(spec: Spec, lock: Lock, name: str) -> Base:
    locked = lock.find_base(name)
    assert locked is not None  # noqa: S101 - a lock without it is stale, and is made again
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


def describe_layer(layer: LockedLayer) -> str:
    """Return how many packages a layer has and what they weigh on the wire, in words."""
    count = f"{layer.packages} package{'' if layer.packages == 1 else 's'}"
    if layer.unknown_sizes:
        return count
    sizes = [
        f"{size / 1e6:.1f} MB" + (f" on {platform}" if len(layer.download_bytes) > 1 else "")
        for platform, size in layer.download_bytes.items()
    ]
    return f"{count}, {' and '.join(sizes)} to download" if sizes else count


def _plan_build_options(image: Image, index: str) -> tuple[str, ...]:
    """Return what uv may build: nothing, or what the lock has as a source archive."""
    if not image.allow_source:
        return ("--no-build",)
    return (f"--default-index={index}",) if index else ()


def _determinism(spec: Spec, image: Image) -> str:
    return image.determinism or spec.defaults.determinism


def _plan_health(spec: Spec, image: Image) -> tuple[HealthCheck, ...]:
    if _determinism(spec, image) == "off":
        return ()
    listening = () if image.port is None else ("--port", str(image.port))
    command = (f"{VENV}/bin/python", f"{RUNTIME_FOLDER}/envgen_runtime", "probe", *listening)
    return (
        HealthCheck(command=command, interval_s=10, timeout_s=130, start_period_s=130, retries=3),
    )


def _plan_env(spec: Spec, image: Image) -> tuple[tuple[str, str], ...]:
    own = {"VIRTUAL_ENV": VENV, "PYTHONUNBUFFERED": "1"}
    if _determinism(spec, image) != "off":
        own["ENVGEN_SELFTEST"] = _determinism(spec, image)
        own["PYTHONPATH"] = RUNTIME_FOLDER
    return tuple({**own, **image.env}.items())


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


def _explain(spec: Spec, lock: Lock, name: str, locked: LockedImage) -> tuple[Decision, ...]:
    image = spec.images[name]
    base = lock.find_base(locked.base)
    assert base is not None  # noqa: S101 - as in _pinned
    choice = choose_base(spec, image)
    determinism = _determinism(spec, image)
    origin = {
        "registry": "its registry gave it when the image was locked",
        "the spec": "the spec names it",
    }.get(base.origin, f"no registry answered; recorded in envgen's table ({base.origin})")
    tested = ", ".join(f"{key} {value}" for key, value in sorted(locked.frameworks.items()))
    return (
        Decision(about="base", choice=choice.image, reason=choice.reason),
        Decision(about="digest", choice=base.digest, reason=origin),
        Decision(
            about="python",
            choice=spec.project.python,
            reason="the project asks for it" if choice.official_python else "the base must have it",
        ),
        Decision(
            about="platforms",
            choice=", ".join(image_platforms(spec, name)),
            reason="the image says so" if image.platforms else "the spec's defaults",
        ),
        Decision(
            about="locker",
            choice=f"{locked.locker} {locked.locker_version}",
            reason="the version that made the lock; the lock is stale when its input changes",
        ),
        *(
            Decision(
                about=f"layer {layer.name}",
                choice=describe_layer(layer),
                reason=f"installed from {image_folder(name)}/pylock.{layer.name}.toml alone",
            )
            for layer in locked.layers
        ),
        Decision(
            about="user",
            choice="10001:10001",
            reason="not root, and a number, so that Kubernetes can check runAsNonRoot",
        ),
        Decision(
            about="self-test",
            choice=determinism,
            reason="the image leaves it out"
            if determinism == "off"
            else f"seeded work with {tested or 'the standard library'} must give the same bits; "
            "it runs as the health check",
        ),
    )
