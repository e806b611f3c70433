"""A labelled picture, whatever format it was read from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GOOD", "GOOD_NAMES", "PICTURES", "SPLITS", "Box", "Sample", "boxed_sample", "outward"]

Box = tuple[int, int, int, int, str]
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SPLITS = ("train", "val", "test")
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

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, the first of which is `label`."""
        return (self.label, *self.others)


def boxed_sample(path: Path, split: str, group: str, boxes: Sequence[Box]) -> Sample:
    """A picture that has the classes of its boxes as labels, the first box's first; without boxes it is good."""
    label, *others = dict.fromkeys(name for *_, name in boxes) or (GOOD,)
    return Sample(path, label, split, group, tuple(boxes), others=tuple(others))


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
