"""The manifests of a project as they are on disk, each for the deployment that it is of."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from envgen.errors import UsageError
from envgen.parity.model import Difference, Found
from envgen.parity.overlay import merge
from envgen.parity.sources import parse_yaml, read_documents, read_source
from envgen.plan.model import ImagePlan
from envgen.plan.targets.model import NAMES, Deployment, Targets

_Read = Callable[[str], bytes | None]
_KNOWN: Final = frozenset({"apiVersion", "kind", "resources", "patches"})
"""Of a kustomization. Anything else changes what is applied in ways that nobody reads here."""


def read_rendered(
    image: ImagePlan, targets: Targets, read: _Read
) -> Iterator[tuple[Deployment, Found] | Difference]:
    """Yield the containers of an image's manifests with what they are of, and what is missing.

    Args:
        image: The image.
        targets: What its manifests should say.
        read: Returns the bytes of a path; None for no file.

    """
    images = {image.name: targets.repository}
    for path, run in _list_single(image, targets):
        content = read(path)
        if content is None:
            yield _missing(path, image, run)
            continue
        for found in read_source(path, content, images):
            yield run, found
    if "kubernetes" in targets.names:
        yield from _read_overlays(image, targets, read)


def _list_single(image: ImagePlan, targets: Targets) -> Iterator[tuple[str, Deployment]]:
    """Yield the files that are complete by themselves."""
    dev = targets.find("dev")
    single = {"compose": ("compose.yaml", dev), "devcontainer": ("devcontainer.json", dev)}
    single["apptainer"] = ("apptainer.def", targets.common)
    for name in targets.names:
        if name in single:
            path, run = single[name]
            yield f"{image.folder}/{path}", run
        elif name == "ecs":
            for run in targets.deployments:
                yield f"{image.folder}/ecs/task-definition.{run.name}.json", run
        elif name == "sagemaker":
            for run in targets.deployments:
                yield f"{image.folder}/sagemaker/{run.name}.json", run


def _missing(path: str, image: ImagePlan, run: Deployment) -> Difference:
    return Difference(
        file=path,
        key="",
        about="file",
        found="",
        expected="what `envgen render` writes",
        image=image.name,
        deployment=run.name,
    )


def _read_overlays(
    image: ImagePlan, targets: Targets, read: _Read
) -> Iterator[tuple[Deployment, Found] | Difference]:
    """Yield the base by itself, and each overlay as kustomize makes it of base and patch."""
    folder = f"{image.folder}/kubernetes"
    images = {image.name: targets.repository}
    path = f"{folder}/base/{'deployment' if image.ports else 'job'}.yaml"
    content = read(path)
    if content is None:
        yield _missing(path, image, targets.common)
        return
    base = _parse_one(path, content)
    for found in read_documents(path, [base], images):
        yield targets.common, found
    for name in ("base", *(f"overlays/{each}" for each in NAMES)):
        yield from _check_kustomization(f"{folder}/{name}/kustomization.yaml", image, read)
    for run in targets.deployments:
        patch_path = f"{folder}/overlays/{run.name}/patch.yaml"
        patch = read(patch_path)
        merged = merge(base, {} if patch is None else _parse_one(patch_path, patch))
        for found in read_documents(path if patch is None else patch_path, [merged], images):
            yield run, found


def _parse_one(path: str, content: bytes) -> dict[str, Any]:
    documents = parse_yaml(path, content)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise UsageError.single("is not one object of YAML", file=path, fix="render it again")
    return documents[0]


def _check_kustomization(path: str, image: ImagePlan, read: _Read) -> Iterator[Difference]:
    content = read(path)
    document = _parse_one(path, content) if content else {}
    for key in document.keys() - _KNOWN:
        yield Difference(
            file=path,
            key=key,
            about="kustomization",
            found=str(document[key]),
            expected="",
            image=image.name,
            deployment="",
        )
