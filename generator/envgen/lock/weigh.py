"""What layers weigh unpacked, asked where one of the limits of `lock.limits` may be near."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from envgen.lock.limits import LARGE, find_exceeded, list_platforms
from envgen.lock.model import LockedLayer
from envgen.lock.packages import LockedPackage
from envgen.spec.model import Image

_log = logging.getLogger(__name__)


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
        sum(layer.download_bytes.get(p, 0) for layer in layers) for p in list_platforms(layers)
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
