"""What a spec asks a locker for, image by image. Pure: its rendered form decides staleness."""

from typing import Any, Final

from envgen.lockers import LockRequest
from envgen.lockers.indexes import choose_indexes
from envgen.spec.model import Image, Spec

ENVIRONMENTS: Final = "environments"


def image_folder(name: str) -> str:
    """Return the folder of an image's generated files, relative to the spec."""
    return f"{ENVIRONMENTS}/{name}"


def image_platforms(spec: Spec, name: str) -> tuple[str, ...]:
    """Return the platforms of an image, each once, in the spec's order."""
    return tuple(dict.fromkeys(spec.images[name].platforms or spec.defaults.platforms))


def make_request(spec: Spec, name: str) -> LockRequest:
    """Return what has to be locked for an image of the spec."""
    image = spec.images[name]
    requirements = dict.fromkeys((*spec.project.dependencies, *image.dependencies))
    return LockRequest(
        image=name,
        project=spec.project.name,
        folder=image_folder(name),
        python=spec.project.python,
        requirements=tuple(requirements),
        platforms=image_platforms(spec, name),
        allow_source=image.allow_source,
        index=spec.network.index or "",
        indexes=choose_indexes(image, spec.network, requirements),
        exclude_newer=spec.network.exclude_newer or "",
        **_conda(spec, image),
    )


def _conda(spec: Spec, image: Image) -> dict[str, Any]:
    """Return what only conda-lock asks for."""
    if image.locker != "conda-lock":
        return {}
    from envgen.plan.base import find_glibc  # noqa: PLC0415 - reads a table

    return {
        "conda": image.conda,
        "channels": image.channels,
        "cuda": image.gpu.cuda if image.gpu else "",
        "glibc": find_glibc(spec, image),
    }
