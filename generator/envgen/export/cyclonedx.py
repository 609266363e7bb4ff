"""CycloneDX 1.6: a bill of materials that says the same of the same lock, byte for byte.

The format's usual random serial number and time stamp are what makes two of them differ. Here the
serial number is made from the content, and there is no time: the lock has none. Licences are not in
a lock, and the packages of the base image's distribution are not either; the composition says that.
"""

import json
import uuid
from typing import Any, Final

from envgen import __version__
from envgen.export import LockedContent
from envgen.export.conda_lock import CondaPackage
from envgen.export.hashes import list_files
from envgen.export.package_urls import base_url, conda_url, list_conda, python_url
from envgen.lock.model import LockedBase
from envgen.lock.packages import LockedPackage

_NAMESPACE: Final = uuid.UUID("5d1f2a0e-53a0-5c5b-9b0b-2f1d2f6f7c11")
"""Any constant will do (RFC 9562, section 6.5)."""


def render(content: LockedContent) -> bytes:
    """Return a bill of materials.

    Raises:
        LockError: A file has no SHA-256.

    """
    root = f"{content.project}-{content.image}"
    components = [
        _base(content.base),
        *(_package(package) for package in content.packages if not package.conda),
        *(_conda_package(package) for package in list_conda(content)),
    ]
    components.sort(key=lambda component: str(component["bom-ref"]))
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": root,
                "name": root,
                "version": f"sha256:{content.lock_sha256}",
            },
            "tools": {
                "components": [{"type": "application", "name": "envgen", "version": __version__}]
            },
        },
        "components": components,
        "compositions": [{"aggregate": "incomplete", "assemblies": [root]}],
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{serial}"
    return (json.dumps(document, indent=2) + "\n").encode()


def _package(package: LockedPackage) -> dict[str, Any]:
    purl = python_url(package)
    files = () if package.git else list_files(package)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    }
    if len(files) == 1:
        component["hashes"] = _hashes(files[0].sha256)
    component["externalReferences"] = [
        {"type": "distribution", "url": file.url, "hashes": _hashes(file.sha256)} for file in files
    ]
    if package.git:
        component["externalReferences"] = [{"type": "vcs", "url": package.git.url}]
    if package.marker:
        component["properties"] = [{"name": "envgen:marker", "value": package.marker}]
    return component


def _base(base: LockedBase) -> dict[str, Any]:
    repository, _, tag = base.image.partition("@")[0].rpartition(":")
    purl = base_url(base)
    return {
        "type": "container",
        "bom-ref": purl,
        "name": repository,
        "version": tag,
        "purl": purl,
        "hashes": _hashes(base.digest.removeprefix("sha256:")),
    }


def _conda_package(package: CondaPackage) -> dict[str, Any]:
    purl = conda_url(package)
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": _hashes(package.sha256),
        "externalReferences": [{"type": "distribution", "url": package.url}],
    }


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]
