"""SPDX 2.3 as JSON: a bill of materials that says the same of the same lock, byte for byte.

https://spdx.github.io/spdx-spec/v2.3/. The format wants a time and a unique namespace: the time
is a constant, and the namespace is made from the content. Licences are not in a lock, so none is
concluded or declared.
"""

import json
import uuid
from typing import Any, Final

from envgen import __version__
from envgen.export import LockedContent
from envgen.export.conda_lock import CondaPackage
from envgen.export.hashes import list_files
from envgen.export.package_urls import base_url, conda_url, git_url, list_conda, python_url
from envgen.lock.model import LockedBase
from envgen.lock.packages import LockedPackage

_NAMESPACE: Final = uuid.UUID("0c9a5f0e-8f0d-5f6e-9a4b-5b1f2d6f7c12")
"""Any constant will do (RFC 9562, section 6.5)."""

_CREATED: Final = "1980-01-01T00:00:00Z"
_UNKNOWN: Final = "NOASSERTION"
_ROOT: Final = "SPDXRef-image"


def render(content: LockedContent) -> bytes:
    """Return a bill of materials.

    Raises:
        LockError: A file has no SHA-256.

    """
    packages = [
        _base(content.base),
        *(_package(package) for package in content.packages if not package.conda),
        *(_conda_package(package) for package in list_conda(content)),
    ]
    packages.sort(key=_url)
    packages = [
        {"SPDXID": f"SPDXRef-{number}", **package} for number, package in enumerate(packages, 1)
    ]
    name = f"{content.project}-{content.image}"
    document: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "creationInfo": {"created": _CREATED, "creators": [f"Tool: envgen-{__version__}"]},
        "packages": [_image(name, content.lock_sha256), *packages],
        "relationships": [
            _relate("SPDXRef-DOCUMENT", "DESCRIBES", _ROOT),
            *(_relate(_ROOT, "CONTAINS", package["SPDXID"]) for package in packages),
        ],
    }
    unique = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    document["documentNamespace"] = f"https://spdx.org/spdxdocs/{name}-{unique}"
    return (json.dumps(document, indent=2) + "\n").encode()


def _image(name: str, lock_sha256: str) -> dict[str, Any]:
    return {
        "SPDXID": _ROOT,
        "name": name,
        "versionInfo": f"sha256:{lock_sha256}",
        "primaryPackagePurpose": "CONTAINER",
        **_unknowns(),
    }


def _package(package: LockedPackage) -> dict[str, Any]:
    described = _describe(package.name, package.version, python_url(package))
    if package.git:
        return {**described, "downloadLocation": git_url(package.git)}
    files = list_files(package)
    if len(files) == 1:
        return {
            **described,
            "packageFileName": files[0].filename,
            "downloadLocation": files[0].url or _UNKNOWN,
            "checksums": _checksums(files[0].sha256),
        }
    # One of several files is installed, and a package of SPDX has the hash of one.
    listed = "\n".join(f"{file.filename} sha256:{file.sha256}" for file in files)
    return {**described, "comment": f"one of these files is installed:\n{listed}"}


def _base(base: LockedBase) -> dict[str, Any]:
    repository, _, tag = base.image.partition("@")[0].rpartition(":")
    return {
        **_describe(repository, tag or base.digest, base_url(base)),
        "checksums": _checksums(base.digest.removeprefix("sha256:")),
        "primaryPackagePurpose": "CONTAINER",
    }


def _conda_package(package: CondaPackage) -> dict[str, Any]:
    return {
        **_describe(package.name, package.version, conda_url(package)),
        "downloadLocation": package.url,
        "checksums": _checksums(package.sha256),
    }


def _describe(name: str, version: str, url: str) -> dict[str, Any]:
    reference = {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": url,
    }
    return {"name": name, "versionInfo": version, **_unknowns(), "externalRefs": [reference]}


def _unknowns() -> dict[str, Any]:
    licences = ("licenseConcluded", "licenseDeclared", "copyrightText")
    return {
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        **dict.fromkeys(licences, _UNKNOWN),
    }


def _checksums(sha256: str) -> list[dict[str, str]]:
    return [{"algorithm": "SHA256", "checksumValue": sha256}]


def _relate(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _url(package: dict[str, Any]) -> str:
    return str(package["externalRefs"][0]["referenceLocator"])
