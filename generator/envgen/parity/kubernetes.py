"""Containers of Kubernetes manifests: of files, of kustomize's output, of `kubectl get -o yaml`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from envgen.parity.expected import NODES, READ_ONLY, WRITABLE, split_env, write_terms
from envgen.parity.model import Found
from envgen.parity.units import read_cpus, read_quantity
from envgen.plan.targets.model import Expression

_TEMPLATES: Final = {
    "Pod": ("spec",),
    "Job": ("spec", "template", "spec"),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
"""Where the specification of a pod is, by kind."""

_SHM: Final = "/dev/shm"  # noqa: S108 - the container's own
_SYSTEM: Final = "/var/run/secrets/"
"""Where a cluster mounts tokens by itself."""


def read_manifests(file: str, documents: list[Any], images: Mapping[str, str]) -> Iterator[Found]:
    """Yield the containers that are of images of the spec.

    Args:
        file: For messages.
        documents: What YAML gave.
        images: Repository by name.

    """
    for document in documents:
        if not isinstance(document, dict):
            continue
        if document.get("kind") == "List":
            yield from read_manifests(file, document.get("items") or [], images)
            continue
        path = _TEMPLATES.get(document.get("kind", ""))
        pod = _get(document, *path) if path else {}
        for container in pod.get("containers") or []:
            image = match_image(container.get("name", ""), container.get("image", ""), images)
            if image and path:
                prefix = f"{document['kind']} {_get(document, 'metadata').get('name', '')}"
                where = f"{prefix}: {'.'.join(path)}"
                yield _read_container(file, where, image, document, pod, container)


def match_image(name: str, reference: str, images: Mapping[str, str]) -> str:
    """Return the image that a container is of, by its name or its repository; empty for none."""
    if name in images:
        return name
    repository = reference.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    # The test of a fleet runs in the same image, and is not what the image is for.
    return next(
        (key for key, value in images.items() if value == repository and name != "selftest"), ""
    )


def _get(document: Mapping[str, Any], *path: str) -> dict[str, Any]:
    found: Any = document
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _read_container(  # noqa: PLR0917 - the levels of a manifest
    file: str,
    where: str,
    image: str,
    document: Mapping[str, Any],
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
) -> Found:
    inner = f"{where}.containers[{container.get('name', '')}]"
    cuda, env = split_env(dict(map(_read_variable, container.get("env") or [])))
    cuda[NODES] = _read_affinity(pod)
    limits, requests = (
        _get(container, "resources", "limits"),
        _get(container, "resources", "requests"),
    )
    facts = {
        "image": {"digest": str(container.get("image", ""))},
        "CUDA": {name: value for name, value in cuda.items() if value},
        "env": env,
        "gpus": {"count": str(limits.get("nvidia.com/gpu", 0))},
        "mounts": dict(_list_mounts(pod, container)),
        "resources": dict(_list_resources(pod, container, limits, requests)),
        "user": {"user": _read_user(pod, container)},
    }
    if document.get("kind") in {"Deployment", "StatefulSet"}:
        facts["replicas"] = {"replicas": str(_get(document, "spec").get("replicas", 1))}
    keys = {
        "image": f"{inner}.image",
        "CUDA": f"{inner}.env",
        f"CUDA.{NODES}": f"{where}.affinity.nodeAffinity",
        "env": f"{inner}.env",
        "gpus": f"{inner}.resources.limits.nvidia.com/gpu",
        "mounts": f"{inner}.volumeMounts",
        "resources": f"{inner}.resources",
        "resources.shm-size": f"{where}.volumes[shm]",
        "user": f"{where}.securityContext",
        "replicas": f"{where.partition(': ')[0]}: spec.replicas",
    }
    return Found(file=file, image=image, facts=facts, keys=keys, kind="kubernetes")


def _read_variable(entry: Mapping[str, Any]) -> tuple[str, str]:
    name, source = str(entry.get("name", "")), entry.get("valueFrom")
    if source:
        return name, f"from {next(iter(source), 'elsewhere')}"
    return name, str(entry.get("value", "")).replace("$$(", "$(")


def _read_affinity(pod: Mapping[str, Any]) -> str:
    required = _get(
        pod, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"
    )
    return write_terms(
        tuple(
            tuple(
                Expression(
                    key=str(each.get("key", "")),
                    operator=str(each.get("operator", "")),
                    values=tuple(map(str, each.get("values") or [])),
                )
                for each in term.get("matchExpressions") or []
            )
            for term in required.get("nodeSelectorTerms") or []
        )
    )


def _list_mounts(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the mounts of what outlives the pod."""
    volumes = {volume.get("name"): volume for volume in pod.get("volumes") or []}
    for mount in container.get("volumeMounts") or []:
        path = str(mount.get("mountPath", ""))
        if "emptyDir" not in volumes.get(mount.get("name"), {}) and not path.startswith(_SYSTEM):
            yield path, READ_ONLY if mount.get("readOnly") else WRITABLE


def _list_resources(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    limits: Mapping[str, Any],
    requests: Mapping[str, Any],
) -> Iterator[tuple[str, str]]:
    if "cpu" in requests:
        yield "cpus", read_cpus(requests["cpu"])
    if "memory" in limits:
        yield "memory", read_quantity(limits["memory"])
    mounted = {
        mount.get("name")
        for mount in container.get("volumeMounts") or []
        if mount.get("mountPath") == _SHM
    }
    for volume in pod.get("volumes") or []:
        if volume.get("name") in mounted:
            yield "shm-size", read_quantity(_get(volume, "emptyDir").get("sizeLimit", "no limit"))


def _read_user(pod: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    context = {**_get(pod, "securityContext"), **_get(container, "securityContext")}
    if "runAsUser" not in context:
        return "the image's"
    return f"{context['runAsUser']}:{context.get('runAsGroup', 0)}"
