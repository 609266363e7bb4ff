"""From spec and lock to a plan: what each image will be, and why."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from envgen.lock.limits import parse_size
from envgen.lock.model import (
    APT_FILE,
    BUILD_FILE,
    Lock,
    LockedImage,
    LockedLayer,
    LockedOwn,
    LockedTool,
)
from envgen.lock.request import image_platforms, make_request
from envgen.plan.base import choose_python, official_python
from envgen.plan.decisions import (
    describe_apt,
    describe_layer,
    explain_image,
    image_determinism,
    locked_base,
    not_locked,
)
from envgen.plan.determinism import plan_determinism
from envgen.plan.health import plan_health, plan_limit, tests_at_start
from envgen.plan.model import (
    AptLayer,
    Base,
    CondaLayer,
    Decision,
    HealthCheck,
    ImagePlan,
    Layer,
    OwnPackages,
    Plan,
    SystemCuda,
)
from envgen.plan.size import plan_trim, require_size
from envgen.release.published import EMPTY as NOTHING_PUBLISHED
from envgen.release.published import Published
from envgen.spec.model import Image, Spec

if TYPE_CHECKING:
    from envgen.plan.targets.model import Targets

RUNTIME_FOLDER: Final = "/opt/envgen"
VENV: Final = "/opt/venv"


def make_plan(
    spec: Spec, lock: Lock, *, spec_file: str, published: Published = NOTHING_PUBLISHED
) -> Plan:
    """Return every decision for every image that the lock holds, in the spec's order.

    Raises:
        LockError: The lock lacks what the spec needs, as a stale one may that nobody checked, or
            cannot serve the GPUs that the spec declares.

    """
    return Plan(
        epoch=spec.epoch,
        spec_file=spec_file,
        images=tuple(
            _plan_image(spec, lock, name, spec_file=spec_file, published=published)
            for name in spec.images
            if name in lock.images
        ),
    )


def _plan_image(
    spec: Spec, lock: Lock, name: str, *, spec_file: str, published: Published
) -> ImagePlan:
    locked = lock.images[name]
    image = spec.images[name]
    if image.gpu is not None:
        from envgen.plan.gpu import require_served  # noqa: PLC0415 - reads the CUDA tables

        require_served(spec, name, locked, spec_file=spec_file)
    require_size(spec, name, locked, spec_file=spec_file)
    base = _pinned(spec, lock, locked.base)
    builder = _pinned(spec, lock, official_python(spec))
    request = make_request(spec, name)
    uv = _tool(lock, "uv", request.platforms)
    health = _plan_health(spec, image, locked)
    targets, reasons = _plan_targets(spec, name, locked, published)
    return ImagePlan(
        name=name,
        folder=request.folder,
        python=request.python,
        platforms=request.platforms,
        base=base,
        builder=builder,
        python_source=_plan_python(spec, lock, image),
        extended=bool(locked_base(lock, locked.base).python),
        uv_version=uv.version,
        uv_requirement=_write_requirement(uv, request.platforms),
        build_options=_plan_build_options(image, request.index),
        max_bytes=parse_size(image.max_size) if image.max_size else 0,
        dropped=plan_trim(image),
        bundle="",
        isolated=spec.network.isolate_builds,
        system_cuda=_plan_system_cuda(spec, lock, name, locked),
        hides_compat=_hides_compat(lock, image, locked),
        apt=_plan_apt(request.folder, locked),
        conda=_plan_conda(lock, request.folder, locked, request.platforms),
        layers=tuple(
            _plan_layer(request.folder, layer) for layer in locked.layers if layer.kind == "pylock"
        ),
        git=next(
            (_plan_layer(request.folder, layer) for layer in locked.layers if layer.kind == "git"),
            None,
        ),
        own=_plan_own(request.folder, locked),
        copies=tuple(path.rstrip("/") for path in image.copy_),
        workdir=image.workdir,
        entrypoint=_plan_entrypoint(image, base),
        cuda_requirement=_plan_cuda_requirement(spec, name, locked),
        command=image.command,
        ports=() if image.port is None else (image.port,),
        env=_plan_env(spec, name, locked),
        labels=_plan_labels(spec, lock, name, base, locked),
        lock_sha256=locked.lock_sha256,
        frameworks=tuple(sorted(locked.frameworks.items())),
        health=health,
        certificates=spec.network.ca_certificates is not None,
        index=request.index,
        indexes=tuple(index for index in request.indexes if index.declared in spec.network.indexes),
        trusted_host=_trusted_host(request.index),
        targets=targets,
        writable=_plan_writable(targets),
        root="sagemaker" in image.targets,
        decisions=(*explain_image(spec, lock, name, locked), *reasons),
    )


def _tool(lock: Lock, name: str, platforms: Iterable[str]) -> LockedTool:
    tool = lock.find_tool(name)
    if tool is None or not set(platforms) <= tool.sha256.keys():
        raise not_locked(f"a {name} for {' and '.join(platforms)}")
    return tool


def _write_requirement(tool: LockedTool, platforms: Iterable[str]) -> str:
    """Return a tool with the hashes of its wheels, as pip reads it."""
    hashes = sorted({tool.sha256[platform] for platform in platforms})
    return " \\\n    ".join(
        [f"{tool.name}=={tool.version}", *(f"--hash=sha256:{digest}" for digest in hashes)]
    )


def _plan_system_cuda(spec: Spec, lock: Lock, name: str, locked: LockedImage) -> SystemCuda | None:
    if locked.system_cuda is None:
        return None
    from envgen.plan.system_cuda import require_glibc  # noqa: PLC0415 - reads the CUDA tables

    require_glibc(spec, name, locked)
    loaders = [link.replace("==", " ") for link in locked.links] or ["the spec asks for them"]
    return SystemCuda(source=_pinned(spec, lock, locked.system_cuda.image), note=", ".join(loaders))


def _hides_compat(lock: Lock, image: Image, locked: LockedImage) -> bool:
    if image.gpu is None or not image.gpu.targets:
        return False
    from envgen.plan.system_cuda import hides_compat  # noqa: PLC0415 - reads the CUDA tables

    return hides_compat(image.gpu.targets, locked_base(lock, locked.base))


def _plan_python(spec: Spec, lock: Lock, image: Image) -> Base | None:
    source = choose_python(spec, image)
    return _pinned(spec, lock, source) if source else None


def _plan_apt(folder: str, locked: LockedImage) -> AptLayer | None:
    if locked.apt is None or not locked.apt.packages:
        return None
    return AptLayer(file=f"{folder}/{APT_FILE}", note=describe_apt(locked.apt))


def _plan_conda(
    lock: Lock, folder: str, locked: LockedImage, platforms: Iterable[str]
) -> CondaLayer | None:
    layer = next((layer for layer in locked.layers if layer.kind == "conda"), None)
    if layer is None:
        return None
    rattler = _tool(lock, "py-rattler", platforms)
    return CondaLayer(
        file=f"{folder}/{layer.file}",
        note=describe_layer(layer),
        rattler_version=rattler.version,
        rattler_requirement=_write_requirement(rattler, platforms),
    )


_EGG_INFO: Final = "**/*.egg-info"
"""What setuptools leaves beside the sources of a package."""


def _list_scratch(package: LockedOwn) -> Iterator[str]:
    if package.folder == ".":
        # Of the spec's folder only the sources are let in, which come last.
        yield f"{package.files[-1]}/{_EGG_INFO}"
        return
    for name in (".venv", "build", "dist", _EGG_INFO):
        yield f"{package.folder}/{name}"


def _plan_own(folder: str, locked: LockedImage) -> OwnPackages | None:
    if not locked.own:
        return None
    return OwnPackages(
        names=tuple(package.name for package in locked.own),
        folders=tuple(package.folder for package in locked.own),
        files=tuple(dict.fromkeys(file for package in locked.own for file in package.files)),
        scratch=tuple(path for package in locked.own for path in _list_scratch(package)),
        build_file=f"{folder}/{BUILD_FILE}",
    )


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
        pylock=f"{folder}/{layer.file}",
        note=describe_layer(layer),
    )


def _trusted_host(index: str) -> str:
    """Return the host that pip has to be told to trust: that of an index without TLS."""
    return index.split("/")[2] if index.startswith("http://") else ""


def _plan_build_options(image: Image, index: str) -> tuple[str, ...]:
    """Return what uv may build: nothing, or what the lock has as a source archive."""
    if not image.allow_source:
        return ("--no-build",)
    return (f"--default-index={index}",) if index else ()


def _plan_health(spec: Spec, image: Image, locked: LockedImage) -> tuple[HealthCheck, ...]:
    if image_determinism(spec, image) == "off":
        return ()
    listening = () if image.port is None else ("--port", str(image.port))
    command = (f"{VENV}/bin/python", f"{RUNTIME_FOLDER}/envgen_runtime", "probe", *listening)
    return plan_health(image, locked, command)


def _plan_targets(
    spec: Spec, name: str, locked: LockedImage, published: Published
) -> "tuple[Targets | None, tuple[Decision, ...]]":
    if not spec.images[name].targets:
        return None, ()
    # Reads the CUDA tables.
    from envgen.plan.targets.deployments import explain_targets, plan_targets  # noqa: PLC0415

    targets = plan_targets(spec, name, locked, published)
    return targets, explain_targets(targets, locked, published.images.get(name))


def _plan_writable(targets: "Targets | None") -> tuple[str, ...]:
    """Return the folders of volumes: one that Docker makes has the owner that its place has."""
    runs = targets.deployments if targets else ()
    paths = (volume.path for run in runs for volume in run.volumes if not volume.read_only)
    return tuple(sorted(set(paths)))


def _plan_entrypoint(image: Image, base: Base) -> tuple[str, ...]:
    """Return what runs before the command of an image that is meant for a GPU, or tests at start.

    An entrypoint takes the command of the base image away (Dockerfile reference, "Understand how
    CMD and ENTRYPOINT interact"), so one that is kept keeps its own.
    """
    if image.gpu is None and not tests_at_start(image):
        return ()
    if not (base.official_python or image.command):
        return ()
    # -I -S: no variable and no .pth file of a package can get into the way of a start.
    return (f"{VENV}/bin/python", "-I", "-S", f"{RUNTIME_FOLDER}/envgen_runtime/start.py")


def _plan_cuda_requirement(spec: Spec, name: str, locked: LockedImage) -> str:
    gpu = spec.images[name].gpu
    if gpu is None:
        return ""
    from envgen.plan.gpu import describe_requirements  # noqa: PLC0415 - reads the CUDA tables
    from envgen.plan.start import write_requirement  # noqa: PLC0415 - reads the CUDA tables

    requirements = describe_requirements(name, locked, image_platforms(spec, name))
    return write_requirement(requirements, required=gpu.required)


def _plan_env(spec: Spec, name: str, locked: LockedImage) -> tuple[tuple[str, str], ...]:
    image = spec.images[name]
    prefix = "CONDA_PREFIX" if image.locker == "conda-lock" else "VIRTUAL_ENV"
    own = {prefix: VENV, "PYTHONUNBUFFERED": "1"}
    if image.gpu is not None:
        from envgen.plan.gpu import plan_gpu_environment  # noqa: PLC0415 - reads the CUDA tables

        own |= plan_gpu_environment(name, locked, image_platforms(spec, name))
    if image_determinism(spec, image) != "off":
        own |= {"ENVGEN_SELFTEST": image_determinism(spec, image), "PYTHONPATH": RUNTIME_FOLDER}
        own |= plan_limit(image, locked)
    if image_determinism(spec, image) == "strict":
        own |= plan_determinism(image, locked)
    given = dict(image.env)
    if "PYTHONPATH" in own and "PYTHONPATH" in given:
        given["PYTHONPATH"] += f":{own['PYTHONPATH']}"
    return tuple({**own, **given}.items())


def _plan_labels(
    spec: Spec, lock: Lock, name: str, base: Base, locked: LockedImage
) -> tuple[tuple[str, str], ...]:
    labels = {
        "org.envgen.epoch": spec.epoch,
        "org.envgen.image": name,
        "org.envgen.lock": f"sha256:{locked.lock_sha256}",
        "org.opencontainers.image.base.digest": base.digest,
        "org.opencontainers.image.base.name": base.name,
        "org.opencontainers.image.title": f"{spec.project.name}-{name}",
    }
    # An image of envgen passes its labels on to what stands on it, where they would not be true.
    if spec.images[name].shared or locked_base(lock, locked.base).python:
        labels["org.envgen.packages"] = " ".join(locked.shared)
        labels["org.envgen.python"] = spec.project.python
    return tuple(sorted(labels.items()))
