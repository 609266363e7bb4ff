"""Where an image comes from: an in-toto statement with a SLSA v1 provenance.

https://slsa.dev/spec/v1.0/provenance and https://in-toto.io/Statement/v1. It is made from the spec,
the lock and the plan, so it says the same of the same build on every machine: no time, no number
of an invocation. It is a statement, not a proof: what makes it one is a signature.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from envgen import __version__
from envgen.export.content import read_content
from envgen.export.hashes import list_files
from envgen.export.package_urls import conda_url, list_conda, python_url
from envgen.lock.model import LOCK_FILE, LockedBase, LockedTool
from envgen.lock.staleness import sha256
from envgen.plan.model import ImagePlan
from envgen.project import Project

STATEMENT_TYPE: Final = "application/vnd.in-toto+json"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
_BUILDER: Final = f"pkg:pypi/envgen@{__version__}"
_BUILD_TYPE: Final = "pkg:pypi/envgen#build/v1"
"""Both have to be URIs; a package URL is one."""


def make_provenance(
    opened: Project,
    plan: ImagePlan,
    digest: str,
    *,
    name: str,
    revision: str,
    canonical: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """Return the statement about an image that was built from the project as it is.

    Args:
        opened: The project.
        plan: What was built.
        digest: Of what became of it, as the repository has it.
        name: Of the repository that the image is pushed to.
        revision: The commit that it was built from; empty where it is not known.
        canonical: The canonical digest of each platform's image, where `digest` is another.

    Raises:
        LockError: A file of the lock is missing or damaged.

    """
    parameters = {
        "image": plan.name,
        "spec": {"path": opened.loaded.file, "digest": {"sha256": opened.loaded.sha256}},
        "platforms": list(plan.platforms),
    }
    materials = sorted(_list_materials(opened, plan, revision), key=_order)
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": _digest(digest)}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {"labels": dict(plan.labels)},
                "resolvedDependencies": materials,
            },
            "runDetails": {"builder": {"id": _BUILDER}, **_byproducts(canonical)},
        },
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def _byproducts(canonical: Mapping[str, str]) -> dict[str, Any]:
    found = [
        {"name": f"canonical image for {platform}", "digest": _digest(digest)}
        for platform, digest in sorted(canonical.items())
    ]
    return {"byproducts": found} if found else {}


def _list_materials(opened: Project, plan: ImagePlan, revision: str) -> Iterator[dict[str, Any]]:
    content = read_content(opened, plan.name)
    yield from _list_files(opened, plan)
    yield from _list_bases(opened.lock.bases, {plan.base.name, plan.builder.name})
    yield from _list_tools(opened.lock.tools)
    for package in content.packages:
        if package.git:
            commit = {"gitCommit": package.git.commit}
            yield {"name": package.name, "uri": python_url(package), "digest": commit}
        for file in () if package.conda or package.git else list_files(package):
            yield {
                "name": file.filename,
                "uri": python_url(package),
                "downloadLocation": file.url,
                "digest": {"sha256": file.sha256},
            }
    for conda in list_conda(content):
        yield {
            "uri": conda_url(conda),
            "downloadLocation": conda.url,
            "digest": {"sha256": conda.sha256},
        }
    if revision:
        yield {"name": "source", "digest": {"gitCommit": revision}}


def _list_files(opened: Project, plan: ImagePlan) -> Iterator[dict[str, Any]]:
    """Yield the files that the build reads and a person or a locker has made."""
    layers = [layer.pylock for layer in plan.layers]
    layers += [plan.conda.file] if plan.conda else []
    layers += [plan.git.pylock] if plan.git else []
    layers += [plan.own.build_file] if plan.own else []
    for path in (opened.loaded.file, LOCK_FILE, f"{plan.folder}/Dockerfile", *layers):
        content = opened.read(path)
        if content is not None:
            yield {"name": path, "digest": {"sha256": sha256(content)}}


def _list_bases(bases: Iterable[LockedBase], used: set[str]) -> Iterator[dict[str, Any]]:
    for base in bases:
        if base.image in used:
            yield {"uri": f"docker://{base.image}", "digest": _digest(base.digest)}


def _list_tools(tools: Iterable[LockedTool]) -> Iterator[dict[str, Any]]:
    for tool in tools:
        for platform, digest in sorted(tool.sha256.items()):
            yield {
                "uri": f"pkg:pypi/{tool.name}@{tool.version}",
                "annotations": {"platform": platform},
                "digest": {"sha256": digest},
            }


def _digest(text: str) -> dict[str, str]:
    algorithm, _, value = text.partition(":")
    return {algorithm: value}


def _order(material: dict[str, Any]) -> str:
    return json.dumps(material, sort_keys=True)
