"""Shapes that several tools write, as outlines."""

from __future__ import annotations

import math
from typing import Final

from kizu_inspect.labelled.shapes import Outline

__all__ = ["ellipse", "finite", "turned_box"]

CORNERS: Final = 128
FURTHEST_PX: Final = 1e7


def finite(*numbers: object) -> tuple[float, ...]:
    """The numbers. Raises ValueError or TypeError where one is none, or no place in a picture."""
    values = tuple(float(number) for number in numbers)  # type: ignore[arg-type]
    if not all(math.isfinite(value) and abs(value) < FURTHEST_PX for value in values):
        raise ValueError("a coordinate that lies nowhere")
    return values


def ellipse(x: float, y: float, across: float, down: float, degrees: float = 0.0) -> Outline:
    """An ellipse around (x, y) with these half axes, turned clockwise."""
    turn = math.radians(degrees)
    steps = [2 * math.pi * step / CORNERS for step in range(CORNERS)]
    around = [(across * math.cos(step), down * math.sin(step)) for step in steps]
    return tuple((x + a * math.cos(turn) - b * math.sin(turn), y + a * math.sin(turn) + b * math.cos(turn)) for a, b in around)


def turned_box(x1: float, y1: float, x2: float, y2: float, degrees: float, *, about: tuple[float, float]) -> Outline:
    """A box turned clockwise about a point."""
    turn = math.radians(degrees)
    cx, cy = about
    corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    return tuple(
        (cx + (x - cx) * math.cos(turn) - (y - cy) * math.sin(turn), cy + (x - cx) * math.sin(turn) + (y - cy) * math.cos(turn))
        for x, y in corners
    )
