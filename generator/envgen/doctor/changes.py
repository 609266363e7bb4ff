"""What has to change in a spec so that its images lock a suggested release."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from envgen.doctor.suggest import Suggestion
from envgen.project import Project
from envgen.spec.load import key_prefix

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One value of the spec: where it stands, what it is, and what it has to be."""

    key: str
    now: str
    then: str

    def __str__(self) -> str:
        return f"{self.key}: {self.then}" + (f", not {self.now}" if self.now else "")


def spec_changes(project: Project, suggestion: Suggestion) -> tuple[Change, ...]:
    """Return the changes that make every image with the package lock the suggested release.

    A wheel of PyPI needs `cuda = "auto"`, a variant the CUDA of its index.
    """
    prefix = key_prefix(project.loaded.file)
    return (*_requirements(project, suggestion, prefix), *_cudas(project, suggestion, prefix))


def _requirements(project: Project, suggestion: Suggestion, prefix: str) -> Iterator[Change]:
    spec = project.loaded.spec
    places: list[tuple[str, Iterable[str]]] = [("project.dependencies", spec.project.dependencies)]
    places += [
        (f"{prefix}images.{name}.dependencies", spec.images[name].dependencies)
        for name in project.images
    ]
    wanted = f"{suggestion.package}=={suggestion.version}"
    for key, requirements in places:
        for text in requirements:
            if _names(text, suggestion.package) and text != wanted:
                yield Change(key=key, now=f'"{text}"', then=f'"{wanted}"')


def _names(requirement: str, package: str) -> bool:
    found = _NAME.match(requirement.strip())
    return found is not None and re.sub(r"[-_.]+", "-", found[0]).lower() == package


def _cudas(project: Project, suggestion: Suggestion, prefix: str) -> Iterator[Change]:
    wanted = suggestion.cuda if suggestion.variant else "auto"
    for name in project.images:
        gpu = project.loaded.spec.images[name].gpu
        if gpu is not None and gpu.cuda != wanted and _carries(project, name, suggestion.package):
            key = f"{prefix}images.{name}.gpu.cuda"
            yield Change(key=key, now=f'"{gpu.cuda}"', then=f'"{wanted}"')


def _carries(project: Project, image: str, package: str) -> bool:
    """Return whether an image locks a package, or may do so because it is not locked yet."""
    locked = project.lock.images.get(image)
    if locked is None:
        return True
    return package in locked.frameworks or any(row.package == package for row in locked.gpu_code)
