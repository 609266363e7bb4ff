"""What is judged: images of the spec, a foreign image, a wheel."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from envgen.cuda.images import from_environment, from_name, ngc_cuda, require_expressions
from envgen.cuda.requirement import Requirement
from envgen.cuda.version import Version, parse_version
from envgen.cuda.wheels import bundled_parts, default_cuda, describe_wheel
from envgen.doctor.engine import read_environment, split_variables
from envgen.errors import LockError, NetworkError, UsageError
from envgen.lock.network import environment_mirrors, find_ca_certificates, find_mirrors
from envgen.lock.request import image_platforms
from envgen.plan.gpu import describe_requirement, plan_gpu_environment
from envgen.project import Project

_WITHOUT_CUDA: Final = ("cpu", "rocm", "xpu")
"""Local versions of PyTorch's indexes for other hardware."""

_CUDA_IN_NAME: Final = re.compile(r"(?:nvidia/cuda:|cuda-?)(\d+\.\d+(?:\.\d+)?)")


def image_requirements(project: Project) -> tuple[Requirement, ...]:
    """Return what the locked images of a project require, one for each image.

    Raises:
        LockError: An image is not locked.

    """
    missing = [name for name in project.images if name not in project.lock.images]
    if missing:
        raise LockError.single(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not locked",
            why="what an image needs of a host is read from its lock",
            fix="run `python -m envgen lock`",
        )
    return tuple(each for name in project.images for each in _describe_image(project, name))


def _describe_image(project: Project, name: str) -> Iterator[Requirement]:
    """Yield what an image requires; for each platform where its code for GPUs differs."""
    spec, locked = project.loaded.spec, project.lock.images[name]
    platforms = image_platforms(spec, name)
    declared = spec.images[name].gpu is not None
    variables = plan_gpu_environment(name, locked, platforms) if declared else {}
    found = {each: describe_requirement(name, locked, each) for each in platforms}
    same = len({requirement.components for requirement in found.values()}) == 1
    for platform in platforms[:1] if same else platforms:
        yield msgspec.structs.replace(
            found[platform],
            name=name if same else f"{name} for {platform}",
            expressions=require_expressions(variables),
        )


def foreign_requirement(reference: str, project: Project | None) -> Requirement:
    """Return what an image requires by its configuration, from the local engine or its registry.

    Where neither has it, what its name tells is taken, and a note says so.

    Raises:
        UsageError: The text is not an image reference.
        NetworkError: The registry did not deliver, and the name tells nothing.

    """
    from envgen.registry.client import fetch_config  # noqa: PLC0415 - only --image needs it
    from envgen.registry.reference import parse_reference  # noqa: PLC0415

    try:
        parsed = parse_reference(reference)
    except ValueError as error:
        raise UsageError.single(
            f"{reference!r} is not an image reference", why=str(error)
        ) from error
    local = read_environment(reference)
    if local is not None:
        requirement = from_environment(reference, local)
        note = "as this machine's container engine has it"
        return msgspec.structs.replace(requirement, notes=(*requirement.notes, note))
    mirrors = find_mirrors(project.loaded) if project else environment_mirrors()
    certificates = find_ca_certificates(project.loaded) if project else None
    try:
        config = fetch_config(
            parsed, platform="linux/amd64", mirrors=mirrors, ca_certificates=certificates
        )
    except NetworkError:
        cuda = cuda_of_name(reference)
        if cuda is None:
            raise
        requirement = from_name(reference, cuda)
        note = "its registry did not answer: judged by its name"
        return msgspec.structs.replace(requirement, notes=(*requirement.notes, note))
    return from_environment(reference, _environment(config))


def cuda_of_name(reference: str) -> Version | None:
    """Return the CUDA that an image's name tells: its own number, or an NGC release's."""
    found = _CUDA_IN_NAME.search(reference)
    return parse_version(found[1]) if found else ngc_cuda(reference)


def _environment(config: dict[str, object]) -> dict[str, str]:
    section = config.get("config")
    entries = section.get("Env") if isinstance(section, dict) else None
    return split_variables([str(entry) for entry in entries or ()])


def wheel_requirement(text: str) -> Requirement:
    """Return what a wheel requires, from `torch==2.9.1+cu128`.

    Raises:
        UsageError: The text does not name a package and a version.

    """
    from packaging.version import InvalidVersion  # noqa: PLC0415 - only --wheel needs it
    from packaging.version import Version as PackageVersion  # noqa: PLC0415

    name, _, version = text.partition("==")
    try:
        local = PackageVersion(version).local or ""
    except InvalidVersion as error:
        raise UsageError.single(
            f"{text!r} does not name a wheel", fix="write NAME==VERSION, as torch==2.9.1+cu128"
        ) from error
    if local.startswith(_WITHOUT_CUDA):
        return Requirement(name=text, notes=(f"+{local} is a build without CUDA",))
    cuda = _variant(local) if local else default_cuda(name, version)
    wheel = describe_wheel(name, version, cuda)
    return Requirement(name=text, components=(wheel, *bundled_parts(name, version, cuda)))


def _variant(local: str) -> Version | None:
    """Return the CUDA release that a local version stands for: `cu128` is 12.8."""
    digits = local.removeprefix("cu")
    if not local.startswith("cu") or not digits.isdecimal() or len(digits) < 3:
        return None
    return parse_version(f"{digits[:-1]}.{digits[-1]}")
