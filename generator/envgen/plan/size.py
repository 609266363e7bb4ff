"""What an image may weigh, and what it leaves out to weigh less."""

from functools import cache
from typing import Final

import msgspec

from envgen.errors import LockError
from envgen.lock.limits import least_bytes, parse_size
from envgen.lock.model import LockedImage
from envgen.lock.request import image_platforms
from envgen.plan.model import Decision
from envgen.resources import PRESETS, read_data
from envgen.spec.load import key_prefix
from envgen.spec.model import Image, Spec

_FILE: Final = PRESETS / "data" / "trim.toml"


class TrimRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files that an image may do without: what they are, and what needs them all the same."""

    name: str
    patterns: tuple[str, ...]
    saves: str
    breaks: str
    source: str


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    trims: tuple[TrimRow, ...]


@cache
def trim_rows() -> dict[str, TrimRow]:
    """Return what may be left out, by name.

    Raises:
        EnvgenError: The table is damaged.

    """
    return {row.name: row for row in read_data(_FILE, _Table).trims}


def plan_trim(image: Image) -> tuple[str, ...]:
    """Return the patterns of files that the layers of an image leave out, each once."""
    if not image.trim:
        return ()
    patterns = (pattern for name in image.trim for pattern in trim_rows()[name].patterns)
    return tuple(dict.fromkeys(patterns))


def explain_size(spec: Spec, name: str, locked: LockedImage) -> tuple[Decision, ...]:
    """Return what is known of an image's weight, and what it leaves out."""
    image = spec.images[name]
    platforms = image_platforms(spec, name)
    sizes = " and ".join(
        f"{_least(locked, platform) / 1e6:.0f} MB"
        + (f" on {platform}" if len(platforms) > 1 else "")
        for platform in platforms
    )
    measured = all(
        platform in layer.unpacked_bytes for layer in locked.layers for platform in platforms
    )
    size = Decision(
        about="size",
        choice=f"{'' if measured else 'at least '}{sizes} of packages",
        reason=("unpacked" if measured else "that is what is downloaded; unpacked it is more")
        + (f"; the spec allows {image.max_size} for the image" if image.max_size else ""),
    )
    rows = (trim_rows()[trim] for trim in image.trim)
    return (
        size,
        *(
            Decision(
                about="left out",
                choice=row.name,
                reason=f"the spec asks for it: {row.saves}. It breaks {row.breaks}",
            )
            for row in rows
        ),
    )


def require_size(spec: Spec, name: str, locked: LockedImage, *, spec_file: str) -> None:
    """Refuse an image whose packages alone are larger than the spec allows.

    Raises:
        LockError: They are, on one of its platforms.

    """
    allowed = spec.images[name].max_size
    if allowed is None:
        return
    for platform in image_platforms(spec, name):
        size = _least(locked, platform)
        if size > parse_size(allowed):
            raise LockError.single(
                f"the packages of {name} weigh {size / 1e9:.2f} GB on {platform}, and the spec "
                f"allows {allowed}",
                file=spec_file,
                key=f"{key_prefix(spec_file)}images.{name}.max-size",
                why=_describe_largest(locked, platform),
                fix="ask for builds without CUDA or for fewer packages, leave files out with "
                "`trim`, or allow more",
            )


def _least(locked: LockedImage, platform: str) -> int:
    """Return what the packages weigh at least, those of the distribution among them."""
    apt = locked.apt.unpacked_bytes.get(platform, 0) if locked.apt else 0
    return least_bytes(locked.layers, platform) + apt


def _describe_largest(locked: LockedImage, platform: str) -> str:
    sizes = {
        layer.name: layer.unpacked_bytes.get(platform, layer.download_bytes.get(platform, 0))
        for layer in locked.layers
    }
    if locked.apt:
        sizes["apt"] = locked.apt.unpacked_bytes.get(platform, 0)
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    return "layers: " + ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in largest)
