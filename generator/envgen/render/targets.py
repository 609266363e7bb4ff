"""The manifests of an image: what the plan says, as each platform wants it written."""

import functools
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from minijinja import Environment

from envgen.plan.image import RUNTIME_FOLDER, VENV
from envgen.plan.model import ImagePlan
from envgen.plan.targets.devcontainer import describe_devcontainer
from envgen.plan.targets.ecs import describe_task
from envgen.plan.targets.model import HOME, USER, Deployment, Targets
from envgen.plan.targets.sagemaker import describe_sagemaker
from envgen.render.environment import open_templates
from envgen.rendered import RenderedFile, seal, seal_json
from envgen.resources import TEMPLATES

_BACK_OFF_LIMIT: Final = 3
_TTL_S: Final = 7 * 24 * 3600
"""How long a finished job and its logs stay: a week-end and the days to look."""

_RECORD: Final = (
    f"{VENV}/bin/python",
    f"{RUNTIME_FOLDER}/envgen_runtime",
    "record",
    "--name",
    "$(NODE_NAME)",
)


def render_targets(epoch: str, header: str, image: ImagePlan) -> Iterator[RenderedFile]:
    """Yield the manifests of an image, and what the image gets for them."""
    targets = image.targets
    if targets is None:
        return
    kinds = {
        "compose": _render_compose,
        "kubernetes": _render_kubernetes,
        "sagemaker": _render_sagemaker,
        "apptainer": _render_apptainer,
        "ecs": _render_ecs,
        "devcontainer": _render_devcontainer,
    }
    writer = _Writer(epoch, header, image, targets)
    for name in targets.names:
        yield from kinds[name](writer) if name in kinds else _render_plugin(writer, name)


def _render_plugin(writer: "_Writer", name: str) -> Iterator[RenderedFile]:
    from envgen.render.target_plugins import render_plugin  # noqa: PLC0415 - few specs name one

    for path, text in render_plugin(name, writer.image, writer.targets):
        content = seal(writer.header, text)
        yield RenderedFile(path=f"{writer.image.folder}/{path}", content=content)


class _Writer:
    """Fills templates of one image."""

    def __init__(self, epoch: str, header: str, image: ImagePlan, targets: Targets) -> None:
        self.environment = environment(epoch)
        self.header = header
        self.image = image
        self.targets = targets
        self.context: dict[str, Any] = {"image": image, "targets": targets, "user": USER}
        self.context |= {"home": HOME, "ttl_s": _TTL_S, "back_off_limit": _BACK_OFF_LIMIT}

    def fill(self, template: str, path: str, run: Deployment, **context: object) -> RenderedFile:
        body = self.environment.render_template(template, run=run, **self.context, **context)
        return RenderedFile(path=f"{self.image.folder}/{path}", content=seal(self.header, body))

    def write_json(self, path: str, document: dict[str, Any], place: str) -> RenderedFile:
        content = seal_json(_without_empty(document), place)
        return RenderedFile(path=f"{self.image.folder}/{path}", content=content)


def _without_empty(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a document without lists and objects that are empty: nobody would write them."""
    if isinstance(value, dict):
        inner = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ([], {})}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _render_compose(writer: _Writer) -> Iterator[RenderedFile]:
    yield writer.fill("compose.yaml.j2", "compose.yaml", writer.targets.find("dev"))


def _render_apptainer(writer: _Writer) -> Iterator[RenderedFile]:
    yield writer.fill("apptainer.def.j2", "apptainer.def", writer.targets.common)


def _render_ecs(writer: _Writer) -> Iterator[RenderedFile]:
    for run in writer.targets.deployments:
        document = dict(describe_task(writer.image, writer.targets, run))
        path = f"ecs/task-definition.{run.name}.json"
        yield writer.write_json(path, document, "containerDefinitions.0.dockerLabels")


def _render_devcontainer(writer: _Writer) -> Iterator[RenderedFile]:
    document = describe_devcontainer(writer.image, writer.targets, writer.targets.find("dev"))
    yield writer.write_json("devcontainer.json", dict(document), "customizations.envgen")


def _render_sagemaker(writer: _Writer) -> Iterator[RenderedFile]:
    for run in writer.targets.deployments:
        document = dict(describe_sagemaker(writer.image, writer.targets, run))
        yield writer.write_json(f"sagemaker/{run.name}.json", document, "generated")
    word = "serve" if writer.image.ports else "train"
    yield writer.fill(f"{word}.j2", f"runtime/bin/{word}", writer.targets.common)


def _render_kubernetes(writer: _Writer) -> Iterator[RenderedFile]:
    common = writer.targets.common
    kinds = ("deployment", "service") if writer.image.ports else ("job",)
    for kind in kinds:
        yield writer.fill(f"kubernetes/{kind}.yaml.j2", f"kubernetes/base/{kind}.yaml", common)
    yield writer.fill("kubernetes/base.yaml.j2", "kubernetes/base/kustomization.yaml", common)
    for run in writer.targets.deployments:
        yield from _render_overlay(writer, run)
    if writer.image.health:
        yield writer.fill(
            "kubernetes/selftest.yaml.j2", "kubernetes/selftest.yaml", common, record=_RECORD
        )


def _render_overlay(writer: _Writer, run: Deployment) -> Iterator[RenderedFile]:
    folder = f"kubernetes/overlays/{run.name}"
    patch = _describe_patch(writer.targets.common, run)
    changed = any(patch.values())
    yield writer.fill(
        "kubernetes/overlay.yaml.j2", f"{folder}/kustomization.yaml", run, changed=changed
    )
    if run.volumes:
        yield writer.fill("kubernetes/volumes.yaml.j2", f"{folder}/volumes.yaml", run)
    if changed:
        context = {**patch, "common": writer.targets.common}
        yield writer.fill("kubernetes/patch.yaml.j2", f"{folder}/patch.yaml", run, **context)


def _describe_patch(common: Deployment, run: Deployment) -> dict[str, Any]:
    """Return what a strategic merge patch has to say; empty where there is nothing."""
    old, new = dict(common.env), dict(run.env)
    before = {volume.name: volume for volume in common.volumes}
    changed = [volume for volume in run.volumes if before.get(volume.name) != volume]
    mounts = [
        (volume.name, volume.path, "true" if volume.read_only else "false")
        for volume in changed
        if volume.name not in before or before[volume.name].read_only != volume.read_only
    ]
    if run.shm and not common.shm:
        mounts.insert(0, ("shm", "/dev/shm", ""))  # noqa: S108 - the container's own
    pod = {
        "env_set": [(name, value) for name, value in run.env if old.get(name) != value],
        "env_unset": [name for name, _ in common.env if name not in new],
        "requests": _differ(_requests(common), _requests(run)),
        "limits": _differ(_limits(common), _limits(run)),
        "mounts": mounts,
        "claims": [volume.name for volume in changed if volume.name not in before],
    }
    pod_changed = any(pod.values()) or run.shm != common.shm
    return {**pod, "pod_changed": pod_changed, "replicas": run.replicas != common.replicas}


def _requests(run: Deployment) -> dict[str, str]:
    found = {"cpu": write_cpu(run.cpus), "memory": write_quantity(run.memory)}
    return {name: text for name, text in found.items() if text != "0"}


def _limits(run: Deployment) -> dict[str, str]:
    found = {"memory": write_quantity(run.memory), "nvidia.com/gpu": str(run.gpus)}
    return {name: text for name, text in found.items() if text != "0"}


def _differ(old: dict[str, str], new: dict[str, str]) -> list[tuple[str, str]]:
    """Return what is other; `null` takes a key away."""
    names = dict.fromkeys([*old, *new])
    return [(name, new.get(name, "null")) for name in names if old.get(name) != new.get(name)]


@functools.cache
def environment(epoch: str) -> Environment:
    """Return the templates of an epoch's manifests."""
    return open_templates(TEMPLATES / epoch / "targets", FILTERS)


def write_json(value: object) -> str:
    """Return a value as JSON, which is YAML as well (YAML 1.2, chapter 1)."""
    return json.dumps(value, ensure_ascii=False)


def write_list(values: Sequence[object]) -> str:
    return write_json(list(values))


def write_compose(text: str) -> str:
    """Return a text in which Compose finds no variable of its own."""
    return write_json(text.replace("$", "$$"))


def write_kubernetes(text: str) -> str:
    """Return a text in which Kubernetes finds no variable of its own: it knows `$(NAME)`."""
    return write_json(text.replace("$(", "$$("))


def write_size(size: int) -> str:
    """Return bytes as Docker reads them, whose units are powers of two."""
    for unit, factor in (("g", 2**30), ("m", 2**20), ("k", 2**10)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}b"


def write_quantity(size: int) -> str:
    """Return bytes as Kubernetes reads them."""
    units = {"Gi": 2**30, "Mi": 2**20, "Ki": 2**10, "G": 10**9, "M": 10**6, "k": 10**3, "": 1}
    count, unit = min((size // each, name) for name, each in units.items() if size % each == 0)
    return f"{count}{unit}" if size else "0"


def write_cpu(thousandths: int) -> str:
    """Return processors as Kubernetes reads them: `2` is quoted, because it is no number there."""
    whole, rest = divmod(thousandths, 1000)
    if not thousandths:
        return "0"
    return f"{thousandths}m" if rest else f'"{whole}"'


def write_decimal(thousandths: int) -> str:
    return f"{thousandths / 1000:g}"


def write_words(words: Sequence[str]) -> str:
    return shlex.join(words)


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "json": write_list,
    "compose": write_compose,
    "kubernetes": write_kubernetes,
    "size": write_size,
    "quantity": write_quantity,
    "cpu": write_cpu,
    "decimal": write_decimal,
    "shell": shlex.quote,
    "words": write_words,
}
"""How templates write values."""
