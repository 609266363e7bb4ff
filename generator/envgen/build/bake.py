"""`docker-bake.json`: the build of every image, in the form that any builder of Buildx takes.

https://docs.docker.com/build/bake/reference. It holds no secret, no path of this machine and no
commit: the same project gives the same bytes. What belongs to the machine that builds comes in by
variables, which Buildx reads from the environment.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from envgen.build.docker import PROXIES, SOURCE_DATE_EPOCH
from envgen.plan.model import ImagePlan

REVISION_VARIABLE: Final = "ENVGEN_REVISION"
NETRC_VARIABLE: Final = "ENVGEN_NETRC"

_COMMON: Final = "_envgen"
"""The target that all others inherit from; no image's name begins with an underscore."""


class BakeTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One image of a bake file.

    Attributes:
        plan: The image.
        tags: What it is named.
        platforms: What it is built for; empty for the builder's own.
        outputs: Where it goes, as Buildx takes it; empty leaves that to `--push` and `--load`.

    """

    plan: ImagePlan
    tags: tuple[str, ...]
    platforms: tuple[str, ...]
    outputs: tuple[str, ...] = ()


def render_bake(
    targets: Iterable[BakeTarget],
    *,
    spec_sha256: str,
    ca_certificates: str,
    cache_from: tuple[str, ...] = (),
    cache_to: tuple[str, ...] = (),
) -> str:
    """Return the bake file of images, whose paths are relative to the spec's folder.

    Args:
        targets: The images.
        spec_sha256: Of the spec's file, which images carry as a label.
        ca_certificates: The CA bundle that builds get, relative to the spec; empty without one.
        cache_from: Caches to read, as Buildx takes them.
        cache_to: Caches to write, as Buildx takes them.

    """
    proxies = [spelled for name in PROXIES for spelled in (name, name.lower())]
    common = {
        "context": ".",
        "args": {
            "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
            **{name: _unless_empty(name) for name in proxies},
        },
        "labels": {
            "org.envgen.spec": f"sha256:{spec_sha256}",
            "org.opencontainers.image.revision": _unless_empty(REVISION_VARIABLE),
        },
        # They carry the time of the build, and so change the digest of an unchanged image.
        "attest": ["type=provenance,disabled=true", "type=sbom,disabled=true"],
        **_given({"cache-from": cache_from, "cache-to": cache_to}),
    }
    secrets = [f'id=ca,"src={_quote(ca_certificates)}"'] if ca_certificates else []
    made = {target.plan.name: _render_target(target, secrets) for target in targets}
    variables = [*proxies, REVISION_VARIABLE]
    document = {
        "variable": {name: {"default": ""} for name in variables},
        "group": {"default": {"targets": sorted(made)}},
        "target": {_COMMON: common, **dict(sorted(made.items()))},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _render_target(target: BakeTarget, secrets: list[str]) -> dict[str, Any]:
    plan = target.plan
    netrc = [f"id=netrc,env={NETRC_VARIABLE}"] if plan.has_logins else []
    return {
        "inherits": [_COMMON],
        "dockerfile": f"{plan.folder}/Dockerfile",
        "tags": list(target.tags),
        **_given(
            {
                "platforms": target.platforms,
                "secret": (*(secrets if plan.certificates else ()), *netrc),
                "output": target.outputs,
            }
        ),
    }


def _given(lists: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Return the attributes that have values, each a text as HCL reads it."""
    return {name: [_escape(value) for value in values] for name, values in lists.items() if values}


def _unless_empty(variable: str) -> str:
    """Return an expression that leaves an attribute out where a variable is empty."""
    return f'${{{variable} != "" ? {variable} : null}}'


def _escape(text: str) -> str:
    """Return a text in which HCL, which reads the file's strings, finds no expression."""
    return text.replace("${", "$${").replace("%{", "%%{")


def _quote(path: str) -> str:
    """Return a path inside of a quoted field of CSV."""
    return path.replace('"', '""')
