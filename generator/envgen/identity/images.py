"""The identity of an image or a container that the engine or a registry has."""

import json
from collections.abc import Mapping
from typing import Any, Final

from envgen import process
from envgen.errors import ToolError
from envgen.identity.model import Identity

_TIMEOUT_S: Final = 60


def read_image(reference: str) -> Identity | None:
    """Return the identity that an image's labels tell; None for an image of somebody else's.

    The engine is asked first, for a container, then for an image; then the registry.

    Raises:
        NetworkError: Nobody here has it, and the registry did not deliver.
        UsageError: It is neither known here nor a reference.

    """
    inspected = _inspect(reference)
    if inspected is not None:
        return inspected
    from envgen.lock.network import environment_mirrors  # noqa: PLC0415 - imports urllib3
    from envgen.registry.client import fetch_config  # noqa: PLC0415
    from envgen.registry.reference import parse_reference  # noqa: PLC0415

    parsed = parse_reference(reference)
    document: dict[str, Any] = fetch_config(
        parsed, platform="linux/amd64", mirrors=environment_mirrors(), ca_certificates=None
    )
    labels = (document.get("config") or {}).get("Labels") or {}
    return _from_labels(labels, digest=parsed.digest or "")


def _inspect(reference: str) -> Identity | None:
    """Return what the engine on this machine knows; None where there is none or it does not."""
    try:
        docker = process.find_program("docker", why="", fix="")
    except ToolError:
        return None
    for kind in ("container", "image"):
        command = [docker, kind, "inspect", "--", reference]
        done = process.run(command, timeout_s=_TIMEOUT_S)
        if done.returncode == 0:
            found: dict[str, Any] = json.loads(done.stdout)[0]
            digests = found.get("RepoDigests") or []
            digest = digests[0].partition("@")[2] if digests else ""
            return _from_labels(found["Config"].get("Labels") or {}, digest=digest)
    return None


def _from_labels(labels: Mapping[str, str], *, digest: str) -> Identity | None:
    name = labels.get("org.envgen.image", "")
    if not name:
        return None
    return Identity(
        image=name,
        digest=digest,
        lock=labels.get("org.envgen.lock", ""),
        spec=labels.get("org.envgen.spec", ""),
        revision=labels.get("org.opencontainers.image.revision", ""),
    )
