"""Rectangles whose areas are sizes: the squarified treemap of Bruls et al. (2000)."""

import math
from collections.abc import Sequence

import msgspec


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A rectangle of the plane."""

    x: float
    y: float
    width: float
    height: float


def lay_out(sizes: Sequence[float], within: Box) -> tuple[Box, ...]:
    """Return a box for each size, as close to squares as they can be, in the sizes' order.

    Args:
        sizes: Positive, the largest first.
        within: The box that they fill.

    """
    total = sum(sizes)
    if not sizes or total <= 0:
        return ()
    scale = within.width * within.height / total
    areas = [size * scale for size in sizes]
    boxes: list[Box] = []
    while areas:
        row = _take_row(areas, min(within.width, within.height))
        areas = areas[len(row) :]
        placed, within = _place_row(row, math.fsum(areas), within)
        boxes += placed
    return tuple(boxes)


def _take_row(areas: Sequence[float], side: float) -> list[float]:
    """Return as many areas as make a row along `side` that no further one would make squarer."""
    row = [areas[0]]
    for area in areas[1:]:
        if _worst([*row, area], side) > _worst(row, side):
            break
        row.append(area)
    return row


def _worst(row: Sequence[float], side: float) -> float:
    """Return the largest ratio of two sides in a row."""
    total = sum(row)
    if total <= 0 or side <= 0:
        return float("inf")
    return max(side**2 * max(row) / total**2, total**2 / (side**2 * max(min(row), 1e-12)))


def _place_row(row: Sequence[float], left: float, within: Box) -> tuple[list[Box], Box]:
    """Return the boxes of a row along the shorter side, and the box of the area that is left.

    That box ends where `within` does and has its size from its area. The difference of two sides
    would leave so little of a small area that its box would stand out of the plane.
    """
    lying = within.width < within.height
    side = within.width if lying else within.height
    thick, rest = sum(row) / side, left / side
    boxes, at = [], 0.0
    for area in row:
        long = area / thick
        boxes.append(
            Box(x=within.x + at, y=within.y, width=long, height=thick)
            if lying
            else Box(x=within.x, y=within.y + at, width=thick, height=long)
        )
        at += long
    if lying:
        return boxes, Box(
            x=within.x, y=within.y + within.height - rest, width=within.width, height=rest
        )
    return boxes, Box(
        x=within.x + within.width - rest, y=within.y, width=rest, height=within.height
    )
