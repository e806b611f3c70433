"""A labelled picture, whatever format it was read from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GOOD", "GOOD_NAMES", "PICTURES", "SPLITS", "SPLIT_NAMES", "Area", "Box", "Sample", "Spans", "outward"]

Box = tuple[int, int, int, int, str]
Spans = tuple[tuple[int, int, int], ...]
"""(row, start, end) of the pixels of an area, rows from above; end exclusive."""
Area = tuple[str, Spans]
"""A class and the pixels that show it."""
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SPLITS = ("train", "val", "test")
SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
"""What people call the splits, in small letters."""
GOOD_NAMES = ("good", "ok", "normal", "pass", "free")
GOOD = GOOD_NAMES[0]
"""The label of a picture on which nobody marked anything."""
ROUNDED_PX = 0.01
"""An edge on a pixel's border that was written as a share of the picture, with six decimals, comes back so far beside it."""


@dataclass(frozen=True)
class Sample:
    """One labelled picture."""

    path: Path
    label: str
    split: str
    """train, val or test; empty until it is shared out."""
    group: str
    """What must stay on one side of a split: part, lot, exposure series."""
    boxes: tuple[Box, ...] = ()
    """(x1, y1, x2, y2, class) in pixels of the picture; right and lower edge exclusive."""
    mask: Path | None = None
    reference: Path | None = None
    """A picture of the same part, or of its design, without a defect."""
    others: tuple[str, ...] = ()
    """Further labels of a picture with defects of several classes."""
    areas: tuple[Area, ...] = ()
    """What an annotation's outlines or runs cover, in pixels of the picture: a mask that has no file."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, the first of which is `label`."""
        return (self.label, *self.others)

    @property
    def masked(self) -> bool:
        """Whether it is said pixel by pixel where its defects lie."""
        return self.mask is not None or bool(self.areas)


def outward(x1: float, y1: float, x2: float, y2: float) -> tuple[int, int, int, int]:
    """The smallest box of whole pixels that holds the given one (edges in px, right and lower exclusive).

    An empty or inverted box stays so. Raises ValueError where a number is not finite.
    """
    if not all(math.isfinite(edge) for edge in (x1, y1, x2, y2)):
        raise ValueError("a box's edge is not a finite number")
    (left, right), (top, bottom) = _outward(x1, x2), _outward(y1, y2)
    return left, top, right, bottom


def _outward(low: float, high: float) -> tuple[int, int]:
    start = math.floor(low + ROUNDED_PX)
    return start, math.ceil(high - ROUNDED_PX) if high > low else math.floor(high + ROUNDED_PX)
