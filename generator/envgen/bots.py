"""Configuration for the bots that keep pins new: Renovate and Dependabot.

Both update a locker's own files, which lie in each image's folder. What envgen generates they must
leave alone: its Dockerfiles follow from envgen.lock.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

import yaml

from envgen.lock.request import ENVIRONMENTS, image_folder
from envgen.spec.model import Spec

RENDER: Final = "python -m envgen render"

_BASES: Final = (
    'image = "(?<depName>[^"@]+):(?<currentValue>[^":@]+)"\\n'
    'digest = "(?<currentDigest>sha256:[a-f0-9]{64})"'
)
"""A base image of envgen.lock, for JavaScript's regular expressions."""

_DEPENDABOT: Final = {"uv": "uv", "poetry": "pip"}
"""Dependabot's ecosystem by locker. It reads no conda-lock.yml, and a hashed requirements.txt it
would update without what envgen keeps beside it."""


def render_renovate(folder: str) -> str:
    """Return a renovate.json for a project.

    Args:
        folder: The spec's folder, relative to the repository's top; empty for the top itself.

    """
    within = f"{folder}/" if folder else ""
    document = {
        "$schema": "https://docs.renovatebot.com/renovate-schema.json",
        "extends": ["config:recommended"],
        "packageRules": [
            {
                "description": "envgen renders these from envgen.lock",
                "matchManagers": ["dockerfile", "pip_requirements"],
                "matchFileNames": [f"{within}{ENVIRONMENTS}/**"],
                "enabled": False,
            }
        ],
        "customManagers": [
            {
                "customType": "regex",
                "description": "Digests of base images",
                "managerFilePatterns": [f"/^{_escape(within)}envgen\\.lock$/"],
                "matchStrings": [_BASES],
                "datasourceTemplate": "docker",
            }
        ],
        "postUpgradeTasks": {
            "commands": [f"{RENDER} --directory {folder}" if folder else RENDER],
            "fileFilters": [f"{within}envgen.lock", f"{within}{ENVIRONMENTS}/**"],
            "executionMode": "branch",
        },
    }
    return json.dumps(document, indent=2) + "\n"


def _escape(path: str) -> str:
    return path.replace(".", "\\.").replace("/", "\\/")


def render_dependabot(spec: Spec, folder: str) -> str:
    """Return a dependabot.yml for a project: an entry for each ecosystem that its lockers have."""
    found: dict[str, list[str]] = {}
    for name, image in spec.images.items():
        ecosystem = _DEPENDABOT.get(image.locker)
        if ecosystem:
            place = "/".join(part for part in ("", folder, image_folder(name)) if part)
            found.setdefault(ecosystem, []).append(f"/{place}")
    updates = [_update(ecosystem, folders) for ecosystem, folders in sorted(found.items())]
    document = {"version": 2, "updates": updates}
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text


def _update(ecosystem: str, folders: Iterable[str]) -> dict[str, Any]:
    return {
        "package-ecosystem": ecosystem,
        "directories": sorted(folders),
        "schedule": {"interval": "weekly"},
        "groups": {"environments": {"patterns": ["*"]}},
    }


def list_unserved(spec: Spec) -> tuple[str, ...]:
    """Return the images whose locks Dependabot cannot update."""
    return tuple(name for name, image in spec.images.items() if image.locker not in _DEPENDABOT)
