"""What is right by itself and wrong together: faults that no single value shows."""

from collections.abc import Iterable

from envgen.errors import Problem
from envgen.spec.model import Deployments, Image, Network, Run, Spec


def find_conflicts(spec: Spec, file: str, prefix: str) -> tuple[Problem, ...]:
    """Return what does not go together in a spec.

    Args:
        spec: Whose values are valid one by one.
        file: Its file name.
        prefix: What key paths begin with in that file.

    """
    found = (*_check_indexes(spec.network), *_check_images(spec), *_check_targets(spec))
    return tuple(
        Problem(what=what, file=file, key=f"{prefix}{key}", why=why, fix=fix)
        for key, what, why, fix in found
    )


_Found = Iterable[tuple[str, str, str, str]]


def _check_indexes(network: Network) -> _Found:
    if not network.indexes:
        return
    from envgen.lockers.indexes import normalize, tables  # noqa: PLC0415 - few specs have any

    known = {row.name for row in tables().indexes}
    owners: dict[str, str] = {}
    for name, index in network.indexes.items():
        key = f"network.indexes.{name}.packages"
        if name in known and index.packages:
            yield (
                key,
                f"envgen knows which packages come from {name}",
                "",
                "declare an index of another name for them",
            )
        if name not in known and not index.packages:
            yield (
                key,
                "names no package",
                "an index is asked for the packages that it names, and for nothing else",
                'name them, as packages = ["acme-models"]; the index for all is network.index',
            )
        for package in index.packages:
            other = owners.setdefault(normalize(package), name)
            if other != name:
                yield key, f"{package} comes from {other} already", "", "name it once"


def _check_images(spec: Spec) -> _Found:
    for name, image in spec.images.items():
        yield from _check_conda(f"images.{name}", image)
        yield from _check_cpu_only(f"images.{name}", image)
        yield from _check_shared(f"images.{name}", image)
        yield from _check_sources(f"images.{name}", image, spec)


def _check_targets(spec: Spec) -> _Found:
    images = spec.images.values()
    if spec.deployments == Deployments() and not any(
        image.targets or image.repository or image.run != Run() for image in images
    ):
        return
    from envgen.spec.target_conflicts import check_targets  # noqa: PLC0415 - few specs have any

    yield from check_targets(spec)


def _check_conda(key: str, image: Image) -> _Found:
    if image.conda and image.locker != "conda-lock":
        what = f"{image.locker} does not lock conda packages"
        yield f"{key}.conda", what, "", 'add locker = "conda-lock"'


def _check_cpu_only(key: str, image: Image) -> _Found:
    if image.cpu_only and image.gpu is not None:
        why = "one asks for builds without CUDA, the other for GPUs"
        yield f"{key}.cpu-only", "contradicts `gpu`", why, "take one of them out"
    if image.cpu_only and image.locker == "conda-lock":
        why = "conda takes builds without CUDA for every image that has no `gpu`"
        yield f"{key}.cpu-only", "is not for conda-lock", why, "leave it out"


def _check_shared(key: str, image: Image) -> _Found:
    if image.shared and image.locker == "conda-lock":
        why = "what stands on it is installed with pip's metadata, which conda does not look at"
        yield f"{key}.shared", "is not for conda-lock", why, 'use locker = "uv"'
    if image.shared and image.install:
        why = "their versions are known only once the image is built"
        yield f"{key}.shared", "is not for images with own packages", why, "take one of them out"


def _check_sources(key: str, image: Image, spec: Spec) -> _Found:
    """Yield what a locker cannot take from where the spec has it."""
    requirements = (*spec.project.dependencies, *image.dependencies)
    for text in requirements if image.locker != "uv" else ():
        if "git+" in text:
            yield (
                f"{key}.locker",
                f"{image.locker} does not lock {text!r}",
                "a repository has no hash, and it has no place for what has none"
                if image.locker == "pip"
                else "",
                'lock the image with uv: locker = "uv"',
            )
    if image.locker not in {"poetry", "conda-lock"}:
        return
    from envgen.lockers.indexes import choose_indexes  # noqa: PLC0415 - only for these lockers

    for index in choose_indexes(image, spec.network, requirements):
        yield (
            f"{key}.locker",
            f"{image.locker} takes no packages from the index {index.declared}",
            f"{' and '.join(index.packages)} would come from the default index",
            'lock the image with uv or pip: locker = "uv"',
        )
