"""What `explain` tells: every choice of a plan with its reason."""

from typing import Final

from envgen.errors import LockError
from envgen.lock.model import LOCK_FILE, Lock, LockedBase, LockedImage, LockedLayer
from envgen.lock.request import image_folder, image_platforms
from envgen.plan.base import choose_base
from envgen.plan.determinism import explain_determinism
from envgen.plan.model import Decision
from envgen.spec.model import Image, Spec

_ORIGINS: Final = {
    "registry": "its registry gave it when the image was locked",
    "the spec": "the spec names it",
}


def explain_image(spec: Spec, lock: Lock, name: str, locked: LockedImage) -> tuple[Decision, ...]:
    """Return every decision about an image, in the order in which a reader would ask."""
    image = spec.images[name]
    base = locked_base(lock, locked.base)
    choice = choose_base(spec, image)
    determinism = image_determinism(spec, image)
    origin = _ORIGINS.get(
        base.origin, f"no registry answered; recorded in envgen's table ({base.origin})"
    )
    tested = ", ".join(f"{key} {value}" for key, value in sorted(locked.frameworks.items()))
    return (
        Decision(about="base", choice=choice.image, reason=choice.reason),
        Decision(about="digest", choice=base.digest, reason=origin),
        Decision(
            about="python",
            choice=spec.project.python,
            reason=_explain_python(image, official=choice.official_python),
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
                reason=f"installed from {image_folder(name)}/{layer.file} alone"
                + (", by py-rattler: no conda is in the image" if layer.kind == "conda" else ""),
            )
            for layer in locked.layers
        ),
        *_explain_cuda(spec, name, locked),
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
        *(explain_determinism(image, locked) if determinism == "strict" else ()),
    )


def _explain_python(image: Image, *, official: bool) -> str:
    if image.locker == "conda-lock":
        return "the spec says so; conda brings it"
    if official:
        return "the spec says so, or requires-python admits none newer"
    return "the base must have it"


def _explain_cuda(spec: Spec, name: str, locked: LockedImage) -> tuple[Decision, ...]:
    if spec.images[name].gpu is not None:
        from envgen.plan.gpu import explain_gpu  # noqa: PLC0415 - reads the CUDA tables

        return (
            *explain_gpu(name, locked, image_platforms(spec, name)[0]),
            _explain_start(spec, spec.images[name]),
        )
    if not locked.gpu_code:
        return ()
    carriers = ", ".join(f"{row.package} {row.version}" for row in locked.gpu_code)
    reason = f"the spec declares no gpu for the image, although {carriers} can use one"
    return (Decision(about="cuda", choice="unused", reason=reason),)


def _explain_start(spec: Spec, image: Image) -> Decision:
    if not (choose_base(spec, image).official_python or image.command):
        reason = "the base's own entrypoint and command are kept; a `command` would replace both"
        return Decision(about="start", choice="unchecked", reason=reason)
    return Decision(
        about="start",
        choice="checked",
        reason="driver and GPU are compared with the lock before the command runs; a machine "
        f"without GPU {'ends the start' if image.gpu and image.gpu.required else 'is said'}",
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


def locked_base(lock: Lock, name: str) -> LockedBase:
    locked = lock.find_base(name)
    if locked is None:
        raise not_locked(name)
    return locked


def not_locked(what: str) -> LockError:
    return LockError.single(
        f"does not hold {what}",
        file=LOCK_FILE,
        why="the spec has changed since, or somebody has edited the lock",
        fix="run `python -m envgen lock`",
    )


def image_determinism(spec: Spec, image: Image) -> str:
    return image.determinism or spec.defaults.determinism
