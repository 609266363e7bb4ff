"""Which base image an image stands on, and why."""

from typing import Final, Literal

import msgspec

from envgen.spec.model import Image, Spec

_DISTRO: Final = {"2026.11": "trixie"}
"""The distribution of slim bases by epoch: Debian's stable release on the epoch's first day."""

CUDA_FLAVOURS: Final[dict[str, Literal["base", "runtime", "cudnn-runtime"]]] = {
    "cuda-base": "base",
    "cuda-runtime": "runtime",
    "cuda-cudnn-runtime": "cudnn-runtime",
}
"""The flavour of nvidia/cuda that a spec's `base` asks to take CUDA libraries from."""

_OWN_WORDS: Final = frozenset({"auto", "slim", *CUDA_FLAVOURS})


class BaseChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A base image before its digest is known.

    Attributes:
        image: The canonical reference, without digest unless the spec gives one.
        official_python: Whether it is an official Python image, whose contents are known.
        reason: Why it was chosen.

    """

    image: str
    official_python: bool
    reason: str


def official_python(spec: Spec) -> str:
    """Return the slim official image with the project's Python; builds take their pip from it."""
    return f"docker.io/library/python:{spec.project.python}-slim-{_DISTRO[spec.epoch]}"


def choose_base(spec: Spec, image: Image) -> BaseChoice:
    """Return the base of an image of the spec."""
    if image.base in _OWN_WORDS and image.locker == "conda-lock":
        return BaseChoice(
            image=f"docker.io/library/debian:{_DISTRO[spec.epoch]}-slim",
            official_python=False,
            reason="conda brings the Python, so a Debian without one is enough; "
            f"{_DISTRO[spec.epoch]} is the stable Debian of epoch {spec.epoch}",
        )
    if image.base in _OWN_WORDS:
        why = {
            "auto": "the smallest image with this Python is enough",
            "slim": "the spec asks for the slim Python image",
        }
        cuda = "the smallest image with this Python, and CUDA libraries in a layer of their own"
        return BaseChoice(
            image=official_python(spec),
            official_python=True,
            reason=f"{why.get(image.base, cuda)}; {_DISTRO[spec.epoch]} is the stable Debian of "
            f"epoch {spec.epoch}",
        )
    from envgen.registry.reference import parse_reference  # noqa: PLC0415 - rarely needed

    return BaseChoice(
        image=str(parse_reference(image.base)),
        official_python=False,
        reason="the spec names it",
    )


def wants_system_cuda(image: Image, *, links: bool) -> bool:
    """Return whether an image takes CUDA libraries out of one of nvidia/cuda.

    Args:
        image: The image of the spec.
        links: Whether packages load such libraries that none of them brings.

    """
    return image.base in CUDA_FLAVOURS or (image.base == "auto" and bool(image.gpu) and links)


def ask_system_cuda(image: Image) -> str:
    """Return what a spec says about these libraries; where it says other, a lock is stale."""
    return f"{image.base} {image.gpu.cuda if image.gpu else 'auto'}"


_OLDEST_GLIBC: Final = "2.28"
"""Of a base that no table knows. conda-lock's own default, and what conda-forge builds for at most
(conda-forge/conda-forge-pinning-feedstock, c_stdlib_version)."""


def find_glibc(spec: Spec, image: Image) -> str:
    """Return the glibc of an image's base, as far as the tables tell."""
    from envgen.tables import distros, find_base  # noqa: PLC0415 - only conda-lock asks

    row = find_base(choose_base(spec, image).image)
    known = {distro.id: distro.glibc for distro in distros()}
    return known.get(row.distro, _OLDEST_GLIBC) if row else _OLDEST_GLIBC
