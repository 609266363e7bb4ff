"""What an image requires, from its configuration or, where it cannot be inspected, its name."""

import fnmatch
import re
from collections.abc import Mapping
from typing import Final

from envgen.cuda.requirement import Compat, CompatLoading, Component, Machine, Requirement
from envgen.cuda.tables import ImageFamily, Label, tables
from envgen.cuda.version import Version, find_version, parse_version
from envgen.cuda.wheels import bundled_parts, describe_wheel, in_range

LOOSE: Final = "cuda>=9.0"
"""What NVIDIA's NGC images require: their start script checks the driver instead."""

_FIRST_COMPAT_ON_ARM: Final = parse_version("12.5.1")
_FIRST_CLAUSES_ON_ARM: Final = parse_version("12.4")
"""Both from the base Dockerfiles of nvidia/cuda: their arm64 stages had no cuda-compat before
12.5.1 and no driver clauses before 12.4.0."""

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_COMPAT_FOLDER: Final = re.compile(r"/usr/local/cuda(?:-[\d.]+)?/compat")
_ENTRYPOINT_VARIABLES: Final = ("_CUDA_COMPAT_PATH", "_CUDA_COMPAT_STATUS", "NVIDIA_PRODUCT_NAME")


def from_environment(
    name: str, environment: Mapping[str, str], components: tuple[Component, ...] = ()
) -> Requirement:
    """Return the requirement of an inspected image.

    Args:
        name: The image, for messages.
        environment: `Config.Env` of the image.
        components: What is known of the software in it; the base image's CUDA when empty.

    """
    cuda = find_version(environment.get("CUDA_VERSION", ""))
    parts = components or ((Component(name=name, cuda=cuda),) if cuda else ())
    return Requirement(
        name=name,
        components=parts,
        expressions=require_expressions(environment),
        disable_require=environment.get("NVIDIA_DISABLE_REQUIRE", "") in _TRUE,
        compat=_compat(environment, cuda),
        system_cuda=cuda,
        cudnn=find_version(environment.get("NV_CUDNN_VERSION", "").partition("-")[0]),
        nccl=find_version(environment.get("NCCL_VERSION", "").partition("-")[0]),
    )


def require_expressions(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the NVIDIA_REQUIRE_* values that the hook evaluates.

    An image with CUDA_VERSION but without NVIDIA_REQUIRE_CUDA counts as `cuda>=X.Y`, and
    NVIDIA_REQUIRE_JETPACK* does not count (nvidia-container-toolkit, cuda_image.go).
    """
    found = [
        value
        for variable, value in sorted(environment.items())
        if variable.startswith("NVIDIA_REQUIRE_")
        and not variable.startswith("NVIDIA_REQUIRE_JETPACK")
    ]
    version = find_version(environment.get("CUDA_VERSION", ""))
    if version and not environment.get("NVIDIA_REQUIRE_CUDA"):
        found.append(f"cuda>={version.release}")
    return tuple(found)


def _compat(environment: Mapping[str, str], cuda: Version | None) -> Compat | None:
    package = find_version(environment.get("NV_CUDA_COMPAT_PACKAGE", "").replace("-", "."))
    version = cuda or package
    if version is None:
        return None
    if _has_ngc_entrypoint(environment):
        return Compat(cuda=version, loading="entrypoint")
    if _COMPAT_FOLDER.search(environment.get("LD_LIBRARY_PATH", "")):
        return Compat(cuda=version, loading="always")
    if "NVIDIA_REQUIRE_CUDA" in environment or package:
        return Compat(cuda=version, loading="toolkit")
    return None


def _has_ngc_entrypoint(environment: Mapping[str, str]) -> bool:
    """Return whether the image's start script tries cuda-compat, as those of NGC do.

    The runtime images of nvidia/cuda have one and NVIDIA_PRODUCT_NAME=CUDA, too; theirs only looks
    for a driver (gitlab.com/nvidia/container-images/cuda, entrypoint.d/50-gpu-driver-check.sh).
    """
    if environment.get("NVIDIA_PRODUCT_NAME") == "CUDA":
        return False
    return any(variable in environment for variable in _ENTRYPOINT_VARIABLES)


def from_name(
    reference: str, cuda: Version | None, *, version: str = "", machine: Machine = "x86_64"
) -> Requirement:
    """Return what an image's name and CUDA version say, when the image cannot be inspected.

    An image that the tables do not know is taken to be built on nvidia/cuda, as most are.

    Args:
        reference: The image.
        cuda: Its CUDA.
        version: The version of the software in it, where the tag does not tell.
        machine: For which processor.

    """
    version = version or _tag_version(reference)
    family = find_family(reference, version)
    loading: CompatLoading = family.compat if family else "toolkit"
    return Requirement(
        name=reference,
        components=_parts(reference, family, version, cuda, machine),
        expressions=label_expressions(family.label if family else "any", cuda, machine),
        compat=_compat_of_base(cuda, loading, machine),
        system_cuda=cuda,
        notes=() if family else ("taken to be built on nvidia/cuda",),
    )


def _parts(
    reference: str, family: ImageFamily | None, version: str, cuda: Version | None, machine: Machine
) -> tuple[Component, ...]:
    if family is None or not family.software:
        return (Component(name=reference, cuda=cuda),)
    wheel = describe_wheel(family.software, version, cuda, machine)
    return (wheel, *bundled_parts(family.software, version, cuda, machine))


def ngc_cuda(reference: str) -> Version | None:
    """Return the CUDA of an NGC image whose tag is a monthly release, as `25.01-py3`."""
    release = re.fullmatch(r"nvcr\.io/nvidia/[^:]+:(\d\d\.\d\d)(?:\.\d+)?(?:-.*)?", reference)
    rows = tables().ngc if release else ()
    found = next((row for row in rows if release and row.release == release[1]), None)
    return parse_version(found.cuda) if found else None


def _compat_of_base(
    cuda: Version | None, loading: CompatLoading, machine: Machine
) -> Compat | None:
    if cuda is None or loading == "never":
        return None
    if machine == "aarch64" and loading == "toolkit" and cuda < _FIRST_COMPAT_ON_ARM:
        return None
    return Compat(cuda=cuda, loading=loading)


def find_family(reference: str, version: str = "") -> ImageFamily | None:
    """Return the first row of the table that an image reference matches."""
    name = reference.split("@", maxsplit=1)[0].removeprefix("docker.io/").lower()
    repository = re.sub(r":[^/]*$", "", name)
    number = find_version(version or _tag_version(name))
    for row in tables().images:
        matches = any(fnmatch.fnmatchcase(text, row.pattern) for text in (name, repository))
        if matches and in_range(number, row.versions):
            return row
    return None


def _tag_version(reference: str) -> str:
    tag = re.search(r":([^/]*)$", reference)
    found = find_version(tag[1]) if tag else None
    return str(found) if found else ""


def label_expressions(
    label: str, cuda: Version | None, machine: Machine = "x86_64"
) -> tuple[str, ...]:
    """Return the NVIDIA_REQUIRE_CUDA of an image family at a CUDA version."""
    if label == "loose":
        return (LOOSE,)
    if label == "none" or cuda is None:
        return ()
    bare = label == "exact" or (machine == "aarch64" and cuda.release < _FIRST_CLAUSES_ON_ARM)
    editions = [] if bare else [row for row in tables().labels if row.cuda == str(cuda.release)]
    if label == "newest" and editions:
        newest = max(row.since for row in editions)
        editions = [row for row in editions if row.since == newest]
    clauses = dict.fromkeys(clause for row in editions for clause in label_clauses(row))
    return (" ".join((f"cuda>={cuda.release}", *clauses)),)


def label_clauses(row: Label) -> tuple[str, ...]:
    """Return the clauses of one edition as they are written in the image."""
    return tuple(
        _clause(brand, branch) for brand, branches in row.allow.items() for branch in branches
    )


def _clause(brand: str, branch: str) -> str:
    first = parse_version(branch.rstrip("+")).major
    conditions = [f"driver>={first}"] + ([] if branch.endswith("+") else [f"driver<{first + 1}"])
    return ",".join(([] if brand == "*" else [f"brand={brand}"]) + conditions)
