"""Which base image an image stands on, and why."""

from typing import Final

import msgspec

from envgen.spec.model import Image, Spec

_DISTRO: Final = {"2026.11": "trixie"}
"""The distribution of slim bases by epoch: Debian's stable release on the epoch's first day."""


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
    if image.base in {"auto", "slim"}:
        why = {
            "auto": "nothing in the lock links a system CUDA, so the smallest image with this "
            "Python is enough",
            "slim": "the spec asks for the slim Python image",
        }
        return BaseChoice(
            image=official_python(spec),
            official_python=True,
            reason=f"{why[image.base]}; {_DISTRO[spec.epoch]} is the stable Debian of epoch "
            f"{spec.epoch}",
        )
    from envgen.registry.reference import parse_reference  # noqa: PLC0415 - rarely needed

    return BaseChoice(
        image=str(parse_reference(image.base)),
        official_python=False,
        reason="the spec names it",
    )
