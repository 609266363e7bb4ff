"""What an image weighs at least, and the hosts that take none of that size."""

import logging
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from envgen.errors import EnvgenError
from envgen.lock.model import LockedLayer
from envgen.lock.packages import LockedPackage
from envgen.resources import PRESETS
from envgen.spec.model import Image

_log = logging.getLogger(__name__)

_FILE: Final = PRESETS / "data" / "size_limits.toml"
_UNITS: Final = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}

LARGE: Final = 10**9
"""Bytes to download from which on an image is asked what it weighs unpacked, for the limits."""


class SizeLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A host and the largest image it takes, in bytes of all its layers unpacked."""

    host: str
    bytes: int
    source: str
    verified: bool


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limits: tuple[SizeLimit, ...]


@cache
def size_limits() -> tuple[SizeLimit, ...]:
    """Return the known limits.

    Raises:
        EnvgenError: The table is damaged.

    """
    try:
        return msgspec.convert(tomllib.loads(_FILE.read_text(encoding="utf-8")), _Table).limits
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise EnvgenError.single(str(error), file=_FILE.name) from error


def parse_size(text: str) -> int:
    """Return the bytes that a size as `1.5GB` or `800MiB` means.

    Raises:
        ValueError: It is no size.

    """
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(MB|GB|MiB|GiB)", text)
    if found is None or float(found[1]) == 0:
        raise ValueError(text)
    return round(float(found[1]) * _UNITS[found[2]])


def weigh_layers(
    name: str,
    image: Image,
    packages: Iterable[LockedPackage],
    layers: tuple[LockedLayer, ...],
    ca_certificates: Path | None,
) -> tuple[LockedLayer, ...]:
    """Return the layers with what they weigh unpacked, where a limit of spec or hosts may be near.

    Limits of hosts that they are above are logged as warnings.

    Args:
        name: The image's name.
        image: The image of the spec.
        packages: What all layers hold.
        layers: Without these weights.
        ca_certificates: Certificates that indexes may have.

    """
    downloads = (
        sum(layer.download_bytes.get(p, 0) for layer in layers) for p in _platforms(layers)
    )
    if image.max_size is None and max(downloads, default=0) < LARGE:
        return layers
    from envgen.lock.unpacked import read_unpacked  # noqa: PLC0415 - few images ask

    packages = tuple(package for package in packages if not package.conda)
    known = read_unpacked(packages, ca_certificates)
    weighed = tuple(_weigh(layer, packages, known) for layer in layers)
    for text in find_exceeded(weighed):
        _log.warning("%s: %s", name, text)
    return weighed


def _weigh(
    layer: LockedLayer, packages: Iterable[LockedPackage], known: Mapping[str, int]
) -> LockedLayer:
    from envgen.lock.unpacked import sum_unpacked  # noqa: PLC0415 - few images ask

    if layer.kind in {"conda", "base"}:
        return layer
    members = [p for p in packages if p.name in layer.members or not layer.members]
    sizes = sum_unpacked(members, layer.download_bytes, known)
    return msgspec.structs.replace(layer, unpacked_bytes=sizes)


def _platforms(layers: Iterable[LockedLayer]) -> set[str]:
    return {platform for layer in layers for platform in layer.download_bytes}


def least_bytes(layers: Iterable[LockedLayer], platform: str) -> int:
    """Return what the packages of layers weigh at least once installed.

    What is known only as it is downloaded counts as that: unpacked it is no smaller.
    """
    return sum(_least(layer, platform) for layer in layers)


def _least(layer: LockedLayer, platform: str) -> int:
    return layer.unpacked_bytes.get(platform, layer.download_bytes.get(platform, 0))


def find_exceeded(layers: tuple[LockedLayer, ...]) -> Iterator[str]:
    """Yield the limits of hosts that the packages alone are above, in words."""
    for platform in sorted(_platforms(layers)):
        size = least_bytes(layers, platform)
        for limit in size_limits() if size >= LARGE else ():
            if size > limit.bytes:
                yield (
                    f"the packages weigh {size / 1e9:.1f} GB on {platform}, more than {limit.host} "
                    f"takes: {limit.bytes / 1e9:.1f} GB ({limit.source})"
                )
