"""devcontainer.json: the image as the place that an editor works in (containers.dev)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from envgen.plan.targets.model import Deployment, Targets

if TYPE_CHECKING:
    from envgen.plan.model import ImagePlan


def describe_devcontainer(
    image: "ImagePlan", targets: Targets, run: Deployment
) -> Mapping[str, Any]:
    """Return what an editor starts: the same image, in which it runs a shell and no command."""
    document: dict[str, Any] = {
        "name": targets.name,
        "image": targets.reference,
        "remoteUser": "app",
        "containerUser": "app",
        "containerEnv": dict(run.env),
        "mounts": [
            f"type=volume,source={targets.name}-{each.name},target={each.path}"
            + (",readonly" if each.read_only else "")
            for each in run.volumes
        ],
        "forwardPorts": list(image.ports),
        "securityOpt": ["no-new-privileges"],
    }
    needs: dict[str, Any] = {}
    if run.cpus:
        needs["cpus"] = -(-run.cpus // 1000)
    if run.memory:
        needs["memory"] = f"{-(-run.memory // 2**20)}mb"
    if needs:
        document["hostRequirements"] = needs
    # `hostRequirements.gpu` would give it all of them.
    arguments = [f"--gpus={run.gpus}"] if run.gpus else []
    arguments += [f"--shm-size={run.shm}"] if run.shm else []
    if arguments:
        document["runArgs"] = arguments
    return document
