"""What does not go together about targets, containers and deployments."""

from collections.abc import Iterable, Iterator

from envgen.plan.targets.deployments import OWN_VARIABLES, merge_runs, object_name
from envgen.plan.targets.model import HOME, NAMES
from envgen.plan.targets.sagemaker import PORT
from envgen.spec.model import Image, Run, Spec
from envgen.spec.suggest import suggest

_Found = Iterable[tuple[str, str, str, str]]

_LONGEST = 50
"""Letters of an object's name: Kubernetes makes pods of a job with eleven more, of 63 at most."""


def check_targets(spec: Spec) -> _Found:
    """Yield key path, what is wrong, why and a fix."""
    for deployment in NAMES:
        for name in getattr(spec.deployments, deployment):
            if name not in spec.images:
                fix = suggest(name, spec.images)
                yield f"deployments.{deployment}.{name}", f"there is no image {name!r}", "", fix
    for name, image in spec.images.items():
        yield from _check_image(spec, name, image)
        for key, run in _list_runs(spec, name):
            yield from _check_run(key, image, run)
            yield from _check_paths(key, image, run)


def _list_runs(spec: Spec, name: str) -> Iterator[tuple[str, Run]]:
    """Yield the tables that say what a container needs: key path and table."""
    yield f"images.{name}.run", spec.images[name].run
    for deployment in NAMES:
        runs = getattr(spec.deployments, deployment)
        if name in runs:
            yield f"deployments.{deployment}.{name}", runs[name]


def _check_image(spec: Spec, name: str, image: Image) -> _Found:
    key = f"images.{name}"
    if image.targets and image.repository is None:
        why = "manifests name the image by the digest that it has in a registry"
        yield f"{key}.repository", "is missing", why, 'as "registry.example/team/serve"'
    if "kubernetes" in image.targets:
        long = object_name(f"{spec.project.name}-{name}")
        if len(long) > _LONGEST:
            why = f"Kubernetes would call it {long}, which leaves no room for the names of pods"
            yield key, "has too long a name", why, f"{_LONGEST} letters with the project's name"
    if "sagemaker" in image.targets:
        yield from _check_sagemaker(key, image)
    if "ecs" in image.targets:
        for deployment in NAMES:
            run = merge_runs(image.run, getattr(spec.deployments, deployment).get(name))
            if run.memory is None:
                why = "a task definition has to say it"
                yield f"{key}.run.memory", "is missing", why, 'as "4GiB"'
                break


def _check_sagemaker(key: str, image: Image) -> _Found:
    if not image.command:
        why = "it is what `train` and `serve` run, which SageMaker starts the image with"
        yield f"{key}.command", "is missing", why, 'as ["python", "train.py"]'
    if image.port not in {None, PORT}:
        why = f"SageMaker asks a container on port {PORT} for /ping and /invocations"
        fix = f"listen on {PORT} everywhere; it is one image"
        yield f"{key}.port", f"{image.port} is not where SageMaker looks", why, fix


def _check_run(key: str, image: Image, run: Run) -> _Found:
    for name in run.env:
        if name in OWN_VARIABLES:
            yield f"{key}.env.{name}", "is set by manifests themselves", "", "leave it out"
        if "devcontainer" in image.targets and "${" in run.env[name]:
            why = "devcontainer.json has variables of its own and no way to write ${ itself"
            yield f"{key}.env.{name}", "holds ${", why, "leave it out, or the target"
    if run.gpus and image.gpu is None:
        why = "nothing says what the image needs of a driver"
        yield f"{key}.gpus", "the image has no `gpu`", why, "add gpu = {} to the image"
    if run.replicas is not None and image.port is None:
        why = "without a port the image is a job, which runs once"
        yield f"{key}.replicas", "are for an image that serves", why, "leave it out, or add a port"
    if run.checkpoints and image.port is not None:
        why = "the image has a port, so it serves"
        yield f"{key}.checkpoints", "are for a job", why, "leave it out"


def _check_paths(key: str, image: Image, run: Run) -> _Found:
    """Yield volumes that hide something, or that deployments have in other places."""
    taken = {"/tmp": "scratch space", HOME: "scratch space", "/dev/shm": "shared memory"}  # noqa: S108
    taken |= {image.workdir: "the application", "/opt/venv": "packages", "/opt/envgen": "envgen's"}
    seen: dict[str, str] = {}
    for name, volume in run.volumes.items():
        place = f"{key}.volumes.{name}.path"
        for path, what in taken.items():
            if f"{path}/".startswith(f"{volume.path}/"):
                yield place, f"{volume.path} hides {path}", f"there is {what}", 'as "/data"'
        other = seen.setdefault(volume.path, name)
        if other != name:
            what = f"{volume.path} is the place of {other} already"
            yield place, what, "", "give each volume a folder of its own"
        common = image.run.volumes.get(name)
        if common is not None and common.path != volume.path:
            why = f"it is at {common.path} in images.NAME.run, and programs look in one place"
            yield place, "is another path", why, "differ in size and read-only alone"
