"""What `explain` tells: every choice of a plan with its reason."""

from collections.abc import Iterator, Mapping
from typing import Final

from envgen.errors import LockError
from envgen.lock.model import (
    APT_FILE,
    BUILD_FILE,
    LOCK_FILE,
    Lock,
    LockedApt,
    LockedBase,
    LockedImage,
    LockedLayer,
)
from envgen.lock.request import image_folder, image_platforms, make_request
from envgen.plan.base import choose_base, choose_python
from envgen.plan.determinism import TESTED, explain_determinism
from envgen.plan.health import explain_health
from envgen.plan.model import Decision
from envgen.plan.size import explain_size
from envgen.spec.model import Image, Spec

_LAYERS: Final = {
    "base": "what the base has in the same version",
    "conda": "what conda installs",
    "cuda-packages": "CUDA libraries, which change with the framework's CUDA",
    "framework": "the framework and what is pinned to it",
    "heavy": "large packages, which a small change should not move",
    "packages": "the packages that no other layer has",
    "git": "what comes from repositories: no hash, but each commit is named by its content",
}
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
    tested = ", ".join(
        f"{key} {value}" for key, value in sorted(locked.frameworks.items()) if key in TESTED
    )
    return (
        Decision(about="base", choice=choice.image, reason=choice.reason),
        Decision(about="digest", choice=base.digest, reason=origin),
        Decision(
            about="python",
            choice=spec.project.python,
            reason=_explain_python(spec, image, official=choice.official_python),
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
                reason=f"{_LAYERS[layer.name]}; {_explain_file(name, layer)}",
            )
            for layer in locked.layers
        ),
        *_explain_extended(base, locked),
        *_explain_apt(name, locked),
        *_explain_own(name, locked),
        *_explain_indexes(spec, name),
        *_explain_hashes(locked),
        *explain_size(spec, name, locked),
        *_explain_cuda(spec, name, locked, base),
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
        *(explain_health(image, locked) if determinism != "off" else ()),
        *(explain_determinism(image, locked) if determinism == "strict" else ()),
    )


def _explain_file(name: str, layer: LockedLayer) -> str:
    file = f"{image_folder(name)}/{layer.file}"
    if layer.kind == "base":
        return f"not installed again; {file} says which"
    by = ", by py-rattler: no conda is in the image" if layer.kind == "conda" else ""
    return f"installed from {file} alone{by}"


def _explain_extended(base: LockedBase, locked: LockedImage) -> Iterator[Decision]:
    """Yield what an image of envgen as base decides, and where it has fallen behind."""
    if not base.python:
        return
    yield Decision(
        about="base packages",
        choice=f"{len(base.packages)} packages",
        reason="the base is an image of envgen and says what it has; the lock is held to it",
    )
    if base.newest:
        yield Decision(
            about="base drift",
            choice=base.newest,
            reason="what the base's tag meant when it was last asked for; the spec pins another",
        )
    have = dict(pin.split("==", 1) for pin in base.packages)
    for name, version in sorted(locked.drift.items()):
        yield Decision(
            about=f"drift of {name}",
            choice=have.get(name, ""),
            reason=f"the base has it; without the base, the spec would take {version}",
        )


def _explain_python(spec: Spec, image: Image, *, official: bool) -> str:
    if image.locker == "conda-lock":
        return "the spec says so; conda brings it"
    if official:
        return "the spec says so, or requires-python admits none newer"
    if source := choose_python(spec, image):
        return f"copied from {source}, since the base has none and its glibc is not older"
    return "the base must have it"


def _explain_apt(name: str, locked: LockedImage) -> tuple[Decision, ...]:
    """Return which OS packages there are, whose state of the archives they are, who signed it."""
    if (apt := locked.apt) is None:
        return ()
    unsigned = [suite.suite for suite in apt.suites if not suite.key]
    signed = f"of {', '.join(unsigned)} nobody checked the signature" if unsigned else "signed"
    reason = (
        f"the archives as they were at {apt.moment} ({signed}); installed from "
        f"{image_folder(name)}/{APT_FILE} alone, beside what the base has"
    )
    return (Decision(about="layer apt", choice=describe_apt(apt), reason=reason),)


def _explain_own(name: str, locked: LockedImage) -> tuple[Decision, ...]:
    """Return how the project's own packages get into the image."""
    return tuple(
        Decision(
            about=f"package {package.name}",
            choice=package.folder,
            reason="the project's own: the build makes a wheel of it with what "
            f"{image_folder(name)}/{BUILD_FILE} pins; what it depends on is locked with the rest",
        )
        for package in locked.own
    )


def _explain_indexes(spec: Spec, name: str) -> tuple[Decision, ...]:
    """Return where packages come from that do not come from the default index."""
    exclude_newer = spec.network.exclude_newer is not None
    return tuple(
        Decision(
            about=f"index {index.name}",
            choice=index.url,
            reason=f"{' and '.join(index.packages)} come from there and from nowhere else"
            + (
                "; exclude-newer passes over them, since the index does not say when files were "
                "uploaded"
                if exclude_newer and not index.upload_times
                else ""
            ),
        )
        for index in make_request(spec, name).indexes
    )


def _explain_hashes(locked: LockedImage) -> tuple[Decision, ...]:
    return tuple(
        Decision(
            about=f"hash of {file}",
            choice="computed",
            reason="its index publishes none, so envgen fetched the file when it was locked; "
            "builds verify it like any other",
        )
        for file in locked.hashed
    )


def _explain_cuda(
    spec: Spec, name: str, locked: LockedImage, base: LockedBase
) -> tuple[Decision, ...]:
    if (gpu := spec.images[name].gpu) is not None:
        # Both read the CUDA tables.
        from envgen.plan.gpu import explain_gpu  # noqa: PLC0415
        from envgen.plan.system_cuda import (  # noqa: PLC0415
            explain_compat,
            explain_system_cuda,
            hides_compat,
        )

        return (
            *explain_system_cuda(spec, name, locked),
            *((explain_compat(),) if hides_compat(gpu.targets, base) else ()),
            *explain_gpu(name, locked, image_platforms(spec, name)),
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
    if layer.kind == "git":
        return f"{count} from git"
    if layer.unknown_sizes:
        return count
    sizes = _list_sizes(layer.download_bytes)
    unpacked = _list_sizes(layer.unpacked_bytes)
    return (
        count
        + (f", {sizes} to download" if sizes else "")
        + (f", {unpacked} unpacked" if unpacked else "")
    )


def describe_apt(apt: LockedApt) -> str:
    """Return what is asked for of the distribution, how much that is and weighs, in words."""
    count = f"{apt.packages} package{'' if apt.packages == 1 else 's'}"
    return (
        f"{', '.join(apt.names)} of the distribution, {count}, "
        f"{_list_sizes(apt.download_bytes)} to download, {_list_sizes(apt.unpacked_bytes)} unpacked"
    )


def _list_sizes(sizes: Mapping[str, int]) -> str:
    return " and ".join(
        f"{size / 1e6:.1f} MB" + (f" on {platform}" if len(sizes) > 1 else "")
        for platform, size in sizes.items()
    )


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
