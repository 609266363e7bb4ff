"""Which base image an image stands on, and why."""

import re
from typing import Final, Literal

import msgspec

from envgen.errors import SpecError
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


def is_own_base(image: Image) -> bool:
    """Return whether the spec names the base, and does not leave it to envgen."""
    return image.base not in _OWN_WORDS


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


_SOURCES: Final = {"2026.11": ("trixie", "bookworm")}
"""The distributions whose official Python may be copied, by epoch: the newest glibc first."""

_WITHOUT_PYTHON: Final = (
    "docker.io/library/debian",
    "docker.io/library/ubuntu",
    "docker.io/nvidia/cuda",
)
"""Repositories of images that have no Python (the packages that their Dockerfiles install)."""


def choose_python(spec: Spec, image: Image) -> str:
    """Return the official image whose Python is copied into an own base; empty for none.

    A program runs on the glibc that it was built with and on all later ones (glibc manual,
    "Symbol versioning"), so the base's must not be older.

    Raises:
        SpecError: The base's glibc is not known, or older than that of every official image.

    """
    if image.base in _OWN_WORDS or image.locker == "conda-lock" or image.python_from == "base":
        return ""
    base = choose_base(spec, image).image
    distro = find_distro(base)
    if image.python_from == "auto" and not (distro and _repository(base) in _WITHOUT_PYTHON):
        return ""
    from envgen.tables import distros  # noqa: PLC0415 - few images have an own base

    known = {distro.id: distro for distro in distros()}
    glibc = known[distro].glibc if distro else ""
    for source in _SOURCES[spec.epoch]:
        if glibc and _minor(known[source].glibc) <= _minor(glibc):
            return f"docker.io/library/python:{spec.project.python}-slim-{source}"
    oldest = known[_SOURCES[spec.epoch][-1]]
    fitting = [row.name for row in known.values() if _minor(row.glibc) >= _minor(oldest.glibc)]
    raise SpecError.single(
        f"Python cannot be copied into {base}",
        key=_find_key(spec, image),
        why=f"the oldest official image has the Python of {oldest.name}, which needs glibc "
        f"{oldest.glibc}, and the base has {glibc}"
        if glibc
        else "which glibc it has is not known",
        fix=f"name a base made of {' or '.join(fitting)}, or one that has Python "
        f'{spec.project.python}, with python-from = "base"',
    )


def find_distro(image: str) -> str:
    """Return the `id` of the distribution that an image is made of, as far as its name tells."""
    from envgen.tables import distros, find_base  # noqa: PLC0415 - few images have an own base

    row = find_base(image)
    if row:
        return row.distro
    repository, _, tag = image.partition("@")[0].rpartition(":")
    words = re.split(r"[-_]", f"{repository.rpartition('/')[2]}{tag}-{tag}")
    for distro in distros():
        codename = distro.name.rpartition("(")[2].rstrip(")")
        if not {distro.id, codename}.isdisjoint(words):
            return distro.id
    return ""


def _repository(image: str) -> str:
    return image.partition("@")[0].rpartition(":")[0]


def _minor(glibc: str) -> int:
    return int(glibc.partition(".")[2])


def _find_key(spec: Spec, image: Image) -> str:
    name = next(name for name, other in spec.images.items() if other is image)
    return f"images.{name}.base"


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
