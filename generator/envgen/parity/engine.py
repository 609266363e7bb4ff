"""Containers and images as Docker's `inspect` tells them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from envgen import process
from envgen.errors import UsageError
from envgen.parity.expected import READ_ONLY, WRITABLE, split_env
from envgen.parity.kubernetes import match_image
from envgen.parity.model import Found
from envgen.parity.units import write_bytes, write_cpus

_TIMEOUT_S: Final = 60
_DEFAULT_SHM: Final = 64 * 2**20
_USUAL: Final = frozenset({"PATH", "LANG", "HOME", "HOSTNAME", "TERM"})
"""Variables that an image or an engine sets for everybody."""


def inspect_container(name: str) -> list[Any]:
    """Return what the engine tells of a container, with the digests that its image has.

    Raises:
        ToolError: There is no Docker.
        UsageError: There is no such container.

    """
    docker = process.find_program(
        "docker", why=f"{name} is no file, so it is taken for a container", fix="install Docker"
    )
    done = process.run([docker, "container", "inspect", "--", name], timeout_s=_TIMEOUT_S)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise UsageError.single(
            f"{name!r} is neither a file nor a container", why=lines[-1] if lines else ""
        )
    found: list[Any] = json.loads(done.stdout)
    for container in found:
        image = process.run(
            [docker, "image", "inspect", "--", container["Image"]], timeout_s=_TIMEOUT_S
        )
        if image.returncode == 0:
            container["RepoDigests"] = json.loads(image.stdout)[0].get("RepoDigests") or []
    return found


def read_inspected(file: str, documents: list[Any], images: Mapping[str, str]) -> Iterator[Found]:
    """Yield the containers and images that are of images of the spec."""
    for n, document in enumerate(documents):
        config = document.get("Config") or {}
        labels = config.get("Labels") or {}
        name = match_image(labels.get("org.envgen.image", ""), str(config.get("Image", "")), images)
        if name:
            yield _read(file, f"[{n}]", name, document, config)


def _read(
    file: str, key: str, image: str, document: Mapping[str, Any], config: Mapping[str, Any]
) -> Found:
    env = dict(entry.partition("=")[::2] for entry in config.get("Env") or [])
    cuda, env = split_env({name: env[name] for name in env if name not in _USUAL})
    labels = config.get("Labels") or {}
    facts = {
        "image": {"digest": _read_reference(document, config)},
        "lock": {"org.envgen.lock": labels.get("org.envgen.lock", "")},
        "CUDA": cuda,
        "env": env,
    }
    host = document.get("HostConfig")
    if host is not None:
        facts |= {
            "gpus": {"count": _count_gpus(host)},
            "mounts": dict(map(_read_mount, document.get("Mounts") or [])),
            "resources": dict(_list_resources(host)),
            "user": {"user": config.get("User") or "root"},
        }
    keys = {
        "image": f"{key}.Config.Image",
        "lock": f"{key}.Config.Labels",
        "CUDA": f"{key}.Config.Env",
        "env": f"{key}.Config.Env",
        "gpus": f"{key}.HostConfig.DeviceRequests",
        "mounts": f"{key}.Mounts",
        "resources": f"{key}.HostConfig",
        "user": f"{key}.Config.User",
    }
    return Found(file=file, image=image, facts=facts, keys=keys, kind="engine")


def _read_reference(document: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return the image by its digest, where the container was started so or its image has one."""
    reference = str(config.get("Image", ""))
    if "@" in reference:
        return reference
    digests = document.get("RepoDigests") or []
    return str(digests[0]) if digests else reference


def _count_gpus(host: Mapping[str, Any]) -> str:
    for request in host.get("DeviceRequests") or []:
        if any("gpu" in words for words in request.get("Capabilities") or []):
            count = request.get("Count") or len(request.get("DeviceIDs") or [])
            return "all" if count == -1 else str(count)
    return "0"


def _read_mount(mount: Mapping[str, Any]) -> tuple[str, str]:
    return str(mount.get("Destination", "")), WRITABLE if mount.get("RW") else READ_ONLY


def _list_resources(host: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if host.get("NanoCpus"):
        yield "cpus", write_cpus(host["NanoCpus"] // 10**6)
    if host.get("Memory"):
        yield "memory", write_bytes(host["Memory"])
    if host.get("ShmSize", _DEFAULT_SHM) != _DEFAULT_SHM:
        yield "shm-size", write_bytes(host["ShmSize"])
