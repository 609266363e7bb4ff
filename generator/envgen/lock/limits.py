"""What an image weighs at least, and the hosts that take none of that size."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

import msgspec

from envgen.lock.model import LockedLayer
from envgen.resources import PRESETS, read_data

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
    return read_data(_FILE, _Table).limits


def parse_size(text: str) -> int:
    """Return the bytes that a size as `1.5GB` or `800MiB` means.

    Raises:
        ValueError: It is no size.

    """
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(MB|GB|MiB|GiB)", text)
    if found is None or float(found[1]) == 0:
        raise ValueError(text)
    return round(float(found[1]) * _UNITS[found[2]])


def list_platforms(layers: Iterable[LockedLayer]) -> set[str]:
    """Return the platforms that layers are for."""
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
    for platform in sorted(list_platforms(layers)):
        size = least_bytes(layers, platform)
        for limit in size_limits() if size >= LARGE else ():
            if size > limit.bytes:
                yield (
                    f"the packages weigh {size / 1e9:.1f} GB on {platform}, more than {limit.host} "
                    f"takes: {limit.bytes / 1e9:.1f} GB ({limit.source})"
                )
