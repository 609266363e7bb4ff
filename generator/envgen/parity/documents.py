"""What the other formats say of a container: ECS, SageMaker, devcontainer.json, Apptainer."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from envgen.parity.expected import READ_ONLY, WRITABLE, split_env
from envgen.parity.kubernetes import match_image
from envgen.parity.model import Found
from envgen.parity.units import write_bytes, write_cpus


def read_task(file: str, document: Mapping[str, Any], images: Mapping[str, str]) -> Iterator[Found]:
    """Yield the containers of an ECS task definition."""
    for container in document.get("containerDefinitions") or []:
        name = str(container.get("name", ""))
        image = match_image(name, str(container.get("image", "")), images)
        if image:
            yield _read_task_container(file, f"containerDefinitions[{name}]", image, container)


def _read_task_container(file: str, key: str, image: str, container: Mapping[str, Any]) -> Found:
    variables = container.get("environment") or []
    cuda, env = split_env({each["name"]: each.get("value", "") for each in variables})
    needs = container.get("resourceRequirements") or []
    resources = {}
    if container.get("cpu"):
        resources["cpus"] = write_cpus(round(container["cpu"] * 1000 / 1024))
    if container.get("memory"):
        resources["memory"] = write_bytes(container["memory"] * 2**20)
    shm = (container.get("linuxParameters") or {}).get("sharedMemorySize")
    if shm:
        resources["shm-size"] = write_bytes(shm * 2**20)
    facts = {
        "image": {"digest": str(container.get("image", ""))},
        "CUDA": cuda,
        "env": env,
        "gpus": {"count": next((str(n["value"]) for n in needs if n.get("type") == "GPU"), "0")},
        "mounts": {
            str(mount.get("containerPath")): READ_ONLY if mount.get("readOnly") else WRITABLE
            for mount in container.get("mountPoints") or []
        },
        "resources": resources,
        "user": {"user": str(container.get("user", "the image's"))},
    }
    names = {"CUDA": "environment", "env": "environment", "gpus": "resourceRequirements"}
    names |= {"mounts": "mountPoints", "resources": ""}
    keys = {group: f"{key}.{names.get(group, group)}".rstrip(".") for group in facts}
    return Found(file=file, image=image, facts=facts, keys=keys, kind="ecs")


def read_sagemaker(
    file: str, document: Mapping[str, Any], images: Mapping[str, str]
) -> Iterator[Found]:
    """Yield the container of the arguments that a rendered sagemaker/*.json holds."""
    job, model = document.get("Estimator") or {}, document.get("PrimaryContainer") or {}
    reference = str(job.get("image_uri") or model.get("Image") or "")
    image = match_image("", reference, images)
    if not image:
        return
    cuda, env = split_env(dict(job.get("environment") or model.get("Environment") or {}))
    facts = {"image": {"digest": reference}, "CUDA": cuda, "env": env}
    place = "Estimator" if job else "PrimaryContainer"
    word = "environment" if job else "Environment"
    keys = {"image": f"{place}.{'image_uri' if job else 'Image'}"}
    keys |= dict.fromkeys(("CUDA", "env"), f"{place}.{word}")
    count = (document.get("ProductionVariant") or {}).get("InitialInstanceCount")
    if count:
        facts["replicas"] = {"replicas": str(count)}
        keys["replicas"] = "ProductionVariant.InitialInstanceCount"
    yield Found(file=file, image=image, facts=facts, keys=keys, kind="sagemaker")


def read_devcontainer(
    file: str, document: Mapping[str, Any], images: Mapping[str, str]
) -> Iterator[Found]:
    """Yield the container of a devcontainer.json."""
    reference = str(document.get("image", ""))
    image = match_image("", reference, images)
    if not image:
        return
    cuda, env = split_env(dict(document.get("containerEnv") or {}))
    arguments = dict(
        str(word).removeprefix("--").partition("=")[::2] for word in document.get("runArgs") or []
    )
    facts = {
        "image": {"digest": reference},
        "CUDA": cuda,
        "env": env,
        "gpus": {"count": arguments.get("gpus", "0")},
        "mounts": dict(map(_read_mount, document.get("mounts") or [])),
    }
    names = {"CUDA": "containerEnv", "env": "containerEnv", "gpus": "runArgs"}
    keys = {group: names.get(group, group) for group in facts}
    yield Found(file=file, image=image, facts=facts, keys=keys, kind="devcontainer")


def _read_mount(mount: Any) -> tuple[str, str]:  # noqa: ANN401 - a text or a table
    if isinstance(mount, dict):
        return str(mount.get("target", "")), WRITABLE
    words = dict(word.partition("=")[::2] for word in str(mount).split(","))
    read_only = "readonly" in words or "ro" in words
    return words.get("target", words.get("dst", "")), READ_ONLY if read_only else WRITABLE


_FROM = re.compile(r"^From:\s*(\S+)", re.MULTILINE | re.IGNORECASE)


def read_definition(file: str, text: str, images: Mapping[str, str]) -> Iterator[Found]:
    """Yield the container of an Apptainer definition."""
    found = _FROM.search(text)
    image = match_image("", found[1], images) if found else ""
    if not found or not image:
        return
    section = re.search(r"^%environment\n(.*?)(?=^%|\Z)", text, re.MULTILINE | re.DOTALL)
    words = (shlex.split(line) for line in (section[1] if section else "").splitlines())
    pairs = (each[1].partition("=")[::2] for each in words if each[:1] == ["export"])
    cuda, env = split_env(dict(pairs))
    yield Found(
        file=file,
        image=image,
        facts={"image": {"digest": found[1]}, "CUDA": cuda, "env": env},
        keys={"image": "From", "CUDA": "%environment", "env": "%environment"},
        kind="apptainer",
    )
