"""Services of a Compose file."""

from collections.abc import Iterator, Mapping
from typing import Any

from envgen.parity.expected import READ_ONLY, WRITABLE, split_env
from envgen.parity.kubernetes import match_image
from envgen.parity.model import Found
from envgen.parity.units import read_cpus, read_docker_size


def read_compose(
    file: str, document: Mapping[str, Any], images: Mapping[str, str]
) -> Iterator[Found]:
    """Yield the services that are of images of the spec; `images` is repository by name."""
    for name, service in (document.get("services") or {}).items():
        image = match_image(name, str(service.get("image", "")), images)
        if image:
            yield _read_service(file, f"services.{name}", image, service)


def _read_service(file: str, key: str, image: str, service: Mapping[str, Any]) -> Found:
    cuda, env = split_env(_read_env(service.get("environment") or {}))
    deploy = (service.get("deploy") or {}).get("resources") or {}
    limits = deploy.get("limits") or {}
    resources = {}
    if "cpus" in limits or "cpus" in service:
        resources["cpus"] = read_cpus(limits.get("cpus", service.get("cpus")))
    if "memory" in limits or "mem_limit" in service:
        resources["memory"] = read_docker_size(limits.get("memory", service.get("mem_limit")))
    if "shm_size" in service:
        resources["shm-size"] = read_docker_size(service["shm_size"])
    return Found(
        file=file,
        image=image,
        facts={
            "image": {"digest": str(service.get("image", ""))},
            "CUDA": cuda,
            "env": env,
            "gpus": {"count": _count_gpus(service, deploy)},
            "mounts": dict(map(_read_mount, service.get("volumes") or [])),
            "resources": resources,
            "user": {"user": str(service.get("user", "the image's"))},
        },
        keys={
            "image": f"{key}.image",
            "CUDA": f"{key}.environment",
            "env": f"{key}.environment",
            "gpus": f"{key}.deploy.resources.reservations.devices",
            "mounts": f"{key}.volumes",
            "resources": f"{key}.deploy.resources.limits",
            "resources.shm-size": f"{key}.shm_size",
            "user": f"{key}.user",
        },
        kind="compose",
    )


def _read_env(environment: Any) -> dict[str, str]:  # noqa: ANN401 - a list or a table
    if isinstance(environment, list):
        pairs = (str(entry).partition("=")[::2] for entry in environment)
    else:
        pairs = ((str(name), "" if value is None else value) for name, value in environment.items())
    return {name: _write_scalar(value).replace("$$", "$") for name, value in pairs}


def _write_scalar(value: object) -> str:
    """Return a value of YAML as Compose makes a variable of it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _count_gpus(service: Mapping[str, Any], deploy: Mapping[str, Any]) -> str:
    if "gpus" in service:
        return "all" if service["gpus"] == "all" else str(len(service["gpus"]))
    devices = (deploy.get("reservations") or {}).get("devices") or []
    for device in devices:
        if "gpu" in (device.get("capabilities") or []):
            return str(device.get("count") or len(device.get("device_ids") or []) or "all")
    return "0"


def _read_mount(volume: Any) -> tuple[str, str]:  # noqa: ANN401 - a text or a table
    if isinstance(volume, dict):
        read_only = volume.get("read_only")
        return str(volume.get("target", "")), READ_ONLY if read_only else WRITABLE
    parts = str(volume).split(":")
    options = parts[2].split(",") if len(parts) > 2 else []
    target = parts[1] if len(parts) > 1 else parts[0]
    return target, READ_ONLY if "ro" in options else WRITABLE
