"""The report as one page of HTML that needs nothing else: no script, no font, no network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from envgen.render.environment import open_templates
from envgen.report.markdown import size_text
from envgen.report.model import ImageReport, Report, WeighedLayer
from envgen.report.treemap import Box, lay_out

_TEMPLATE: Final = Path(__file__).with_name("page.html.j2")

MARK: Final = '<meta name="generator" content="envgen explain">'
"""By this line a report is told from a page of somebody else's."""

_PLANE: Final = Box(x=0, y=0, width=1000, height=420)
_HEAD: Final = 22.0  # of a layer's box, for its name
_GAP: Final = 2.0
_SMALLEST: Final = 0.002  # of the whole; what is smaller is drawn together
_LETTER: Final = 7.2  # width of a letter at the size that the style sheet gives names


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """A package on the plane.

    Attributes:
        box: Its place.
        name: What is written in it where it fits, else nothing.
        title: What it is, in full.

    """

    box: Box
    name: str
    title: str


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A layer on the plane, with the tiles of its packages.

    Attributes:
        number: Its place among the layers, which gives its colour.
        box: Its place on the plane.
        name: What is written above it where it fits.
        title: What it is, in full.
        tiles: Its packages.

    """

    number: int
    box: Box
    name: str
    title: str
    tiles: tuple[Tile, ...]


def write_page(report: Report) -> str:
    """Return the page."""
    environment = open_templates(_TEMPLATE.parent, {"size": size_text}, escape=True)
    images = [_describe(image) for image in report.images]
    return environment.render_template(_TEMPLATE.name, report=report, images=images)


def _describe(image: ImageReport) -> dict[str, Any]:
    return {
        "image": image,
        "fields": tuple(_place_layers(image)),
        "plane": _PLANE,
        "heaviest": sorted(
            ((package, layer.name) for layer in image.layers for package in layer.packages),
            key=lambda pair: -pair[0].download_bytes,
        )[:15],
    }


def _place_layers(image: ImageReport) -> Iterator[Field]:
    weighed = [layer for layer in image.layers if layer.download_bytes]
    ordered = sorted(weighed, key=lambda layer: -layer.download_bytes)
    boxes = lay_out([layer.download_bytes for layer in ordered], _PLANE)
    numbers = {layer.name: number for number, layer in enumerate(image.layers)}
    for layer, box in zip(ordered, boxes, strict=True):
        title = f"{layer.name}: {size_text(layer.download_bytes)}"
        named = _fits(title, box) and box.height >= 2 * _HEAD
        room = _below_head(box) if named else box
        yield Field(
            number=numbers[layer.name] % 6,
            box=_shrink(box),
            name=title if named else "",
            title=title,
            tiles=tuple(_place_packages(layer, room, image.download_bytes)),
        )


def _place_packages(layer: WeighedLayer, box: Box, total: int) -> Iterator[Tile]:
    drawn = [p for p in layer.packages if p.download_bytes >= total * _SMALLEST]
    small = [p for p in layer.packages if 0 < p.download_bytes < total * _SMALLEST]
    rest = sum(package.download_bytes for package in small)
    entries = [
        (package.download_bytes, package.name, f"{package.name} {package.version}")
        for package in drawn
    ]
    if rest:
        entries.append((rest, f"{len(small)} more", f"{len(small)} smaller packages"))
    entries.sort(key=lambda entry: -entry[0])
    boxes = lay_out([size for size, _, _ in entries], box)
    for (size, name, title), place in zip(entries, boxes, strict=True):
        yield Tile(
            box=_shrink(place),
            name=name if _fits(name, place) else "",
            title=f"{title}: {size_text(size)}",
        )


def _below_head(box: Box) -> Box:
    return Box(x=box.x, y=box.y + _HEAD, width=box.width, height=box.height - _HEAD)


def _shrink(box: Box) -> Box:
    gap = min(_GAP, box.width / 4, box.height / 4)
    return Box(
        x=round(box.x + gap / 2, 1),
        y=round(box.y + gap / 2, 1),
        width=round(box.width - gap, 1),
        height=round(box.height - gap, 1),
    )


def _fits(text: str, box: Box) -> bool:
    return box.width >= len(text) * _LETTER + 8 and box.height >= 18
