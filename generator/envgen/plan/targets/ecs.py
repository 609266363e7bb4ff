"""An Amazon ECS task definition, as `aws ecs register-task-definition` takes it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from envgen.plan.targets.model import HOME, USER, Deployment, Targets

if TYPE_CHECKING:
    from envgen.plan.model import ImagePlan

_MIB: Final = 2**20
_TMPFS_MIB: Final = 1024
_LONGEST_START_S: Final = 300
"""The longest start period of a health check (API reference, HealthCheck)."""


def describe_task(image: "ImagePlan", targets: Targets, run: Deployment) -> Mapping[str, Any]:
    """Return the task definition of a deployment.

    It is for container instances on EC2: Fargate has neither GPUs nor tmpfs, which a container
    with a root file system that it cannot write needs.
    """
    return {
        "family": f"{targets.name}-{run.name}",
        "requiresCompatibilities": ["EC2"],
        "networkMode": "awsvpc",
        "runtimePlatform": {
            "operatingSystemFamily": "LINUX",
            "cpuArchitecture": "ARM64" if image.platforms == ("linux/arm64",) else "X86_64",
        },
        "containerDefinitions": [_describe_container(image, targets, run)],
        "volumes": [_describe_volume(targets, run, volume.name) for volume in run.volumes],
    }


def _describe_container(image: "ImagePlan", targets: Targets, run: Deployment) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": image.name,
        "image": targets.reference,
        "essential": True,
        "user": f"{USER}:{USER}",
        "readonlyRootFilesystem": True,
        "memory": run.memory // _MIB,
        "environment": [{"name": name, "value": value} for name, value in run.env],
        "portMappings": [{"containerPort": port, "protocol": "tcp"} for port in image.ports],
        "mountPoints": [
            {"sourceVolume": each.name, "containerPath": each.path, "readOnly": each.read_only}
            for each in run.volumes
        ],
        "linuxParameters": _describe_linux(run),
    }
    if run.cpus:
        container["cpu"] = round(run.cpus * 1024 / 1000)
    if run.gpus:
        container["resourceRequirements"] = [{"type": "GPU", "value": str(run.gpus)}]
    for check in image.health:
        container["healthCheck"] = {
            "command": ["CMD", *check.command],
            "interval": check.interval_s,
            "timeout": check.timeout_s,
            "retries": check.retries,
            "startPeriod": min(check.start_period_s, _LONGEST_START_S),
        }
    return container


def _describe_linux(run: Deployment) -> dict[str, Any]:
    linux: dict[str, Any] = {
        "capabilities": {"drop": ["ALL"]},
        "tmpfs": [
            {
                "containerPath": path,
                "size": _TMPFS_MIB,
                "mountOptions": ["exec"],
            }
            for path in ("/tmp", HOME)  # noqa: S108 - a mount of the container's own
        ],
    }
    if run.shm:
        linux["sharedMemorySize"] = run.shm // _MIB
    return linux


def _describe_volume(targets: Targets, run: Deployment, name: str) -> dict[str, Any]:
    """Return a Docker volume that stays on its instance when a task ends."""
    return {
        "name": name,
        "dockerVolumeConfiguration": {
            "scope": "shared",
            "autoprovision": True,
            "driver": "local",
            "labels": {"project": targets.project, "deployment": run.name},
        },
    }
