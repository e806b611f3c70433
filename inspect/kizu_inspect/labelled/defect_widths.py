"""How wide marked defects are, in px of their pictures and of a network's input: what squeezing leaves of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.places import marked_by
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.labelled.shapes import Pixels, pixels_of
from kizu_inspect.picture.images import place
from kizu_inspect.picture.inputs import InputSettings

__all__ = ["Defect", "DefectWidths", "defect_widths", "defects_in", "marked_defects", "widths_of"]

WHOLE_PX: Final = 2.0
"""In px of the input: a line so wide covers at least one px whole, wherever it lies; a thinner one fades into its ground.

Of drawn scratches of 3 px, 1.7 times as strong as the ground's grain, all were found at full resolution; squeezed to 1.5 px
they had an AUROC of 0.83, to 0.75 px one of 0.53 (benchmarks/acceptance/squeezed_scratches.py). Those of four times the grain
were found at 0.4 px too."""
SQUEEZED: Final = 0.5
"""Of its px or fewer a picture has to lose before squeezing is to blame: what is thin at full resolution is thin anywhere."""
LOST_SHARE: Final = 0.1
"""More of the marked defects may not be lost."""
MEASURED: Final = 300
"""Defective pictures that training measures, or up to twice as many: enough to tell a tenth from a fifth."""
BESIDE_PX: Final = 5
"""Pieces of a mask that lie so close are one defect: a faint scratch is marked with gaps."""
Floats = npt.NDArray[np.float64]


def widths_of(sample: Sample, size_px: tuple[int, int], marked: Pixels | None) -> tuple[float, ...]:
    """The mean widths in px of the sample's marked defects, in a picture of (height, width).

    `marked` is what `marked_by` gives. What is marked pixel by pixel has its area over its length; a box that nothing says more
    of has its narrower side, which a slanting scratch falls short of. What is wrong with the marks is passed over: others tell.
    """
    if marked is not None and marked.shape != size_px:
        marked = None
    if sample.areas:
        shapes = [pixels_of(spans, size_px) for _, spans in sample.areas]
        return tuple(_mean_width(shape) for shape in shapes if shape.any())
    if not sample.boxes:
        return () if marked is None else tuple(_mean_width(shape) for shape in _pieces(marked))
    widths = []
    for x1, y1, x2, y2, _ in sample.boxes:
        left, top, right, bottom = max(0, x1), max(0, y1), min(size_px[1], x2), min(size_px[0], y2)
        if left >= right or top >= bottom:
            continue
        inside = None if marked is None else marked[top:bottom, left:right]
        widths.append(
            float(min(right - left, bottom - top)) if inside is None or not inside.any() else _mean_width(inside)
        )  # fmt: skip
    return tuple(widths)


def _mean_width(shape: Pixels) -> float:
    """The pixels (H, W) of one defect, in px² over the longer side of the smallest rectangle around them, at any angle."""
    rows, columns = np.nonzero(shape)
    points = np.column_stack([columns, rows]).astype(np.float32)
    sides = cv2.minAreaRect(points)[1]
    return len(points) / (max(sides) + 1)  # the rectangle goes through the outer pixels' middles


def _pieces(marked: Pixels) -> list[Pixels]:
    """The defects that a mask (H, W) marks, each cut out."""
    joined = cv2.morphologyEx(marked.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((BESIDE_PX, BESIDE_PX), np.uint8))
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    pieces = []
    for number, (x, y, width, height, _) in enumerate(stats.tolist()):
        inside = slice(y, y + height), slice(x, x + width)
        piece = marked[inside] & (numbers[inside] == number)
        if number > 0 and piece.any():
            pieces.append(piece)
    return pieces


@dataclass(frozen=True)
class Defect:
    """One marked defect."""

    width_px: float
    """Its mean width, in px of its picture."""
    picture_px: tuple[int, int]
    """(height, width) of that."""


@dataclass(frozen=True)
class DefectWidths:
    """How wide the marked defects of a set are in a network's input."""

    input_px: tuple[int, int]
    """(height, width) of the input."""
    tiled: bool
    """Whether that is a tile at full resolution, and not the whole picture, squeezed."""
    cell_px: int
    """Side of a cell of the network's map, in px of the input."""
    widths_px: Floats
    """(N,) mean widths in px of the input."""
    lost: int
    """How many are thinner than 2 px there, and lie in pictures of which at most half the px a side are left."""

    @property
    def median_px(self) -> float:
        """Half of them are no wider."""
        return float(np.median(self.widths_px))

    @property
    def tenth_px(self) -> float:
        """A tenth of them is no wider."""
        return float(np.quantile(self.widths_px, 0.1))

    def thinner_than(self, width_px: float) -> int:
        """How many are thinner than so many px of the input."""
        return int((self.widths_px < width_px).sum())

    @property
    def loses(self) -> bool:
        """Whether squeezing loses more than a tenth of them."""
        return self.lost > LOST_SHARE * len(self.widths_px)

    def as_json(self) -> dict[str, object]:
        """The figures for programs."""
        known = len(self.widths_px) > 0
        return {
            "input_px": list(self.input_px),
            "tiled": self.tiled,
            "cell_px": self.cell_px,
            "defects": len(self.widths_px),
            "median_px": self.median_px if known else None,
            "tenth_px": self.tenth_px if known else None,
            "thinner_than_a_cell": self.thinner_than(self.cell_px),
            "thinner_than_2_px": self.thinner_than(WHOLE_PX),
            "lost": self.lost,
        }

    @property
    def said(self) -> str:
        """One line on how wide they are."""
        if len(self.widths_px) == 0:
            return "no defect is marked by a box or mask, so nobody knows how wide defects are in the network's input"
        line = (
            "{count} marked defects: in the input of {width} × {height} px half are at most {median:.1f} px wide "
            "({cells:.1f} cells of {cell} px), a tenth at most {tenth:.1f} px; {thin} are thinner than a cell, {faint} than "
            "2 px"
        )
        return line.format(
            count=len(self.widths_px), width=self.input_px[1], height=self.input_px[0], median=self.median_px,
            cells=self.median_px / self.cell_px, cell=self.cell_px, tenth=self.tenth_px,
            thin=self.thinner_than(self.cell_px), faint=self.thinner_than(WHOLE_PX),
        )  # fmt: skip

    def finding(self, next_step: str) -> Finding | None:
        """The warning that squeezing loses defects; None where it does not."""
        if not self.loses:
            return None
        found = (
            "{lost} of {count} marked defects thinner than 2 px in the input of {width} × {height} px, where faint ones do not "
            "show"
        )
        return Finding(
            "squeezed_away", "squeezing the pictures into the network's input loses defects",
            found=found.format(
                lost=self.lost, count=len(self.widths_px), width=self.input_px[1], height=self.input_px[0]
            ),
            expected="at most a tenth of them", next_step=next_step, severity="warning",
        )  # fmt: skip


def marked_defects(samples: Sequence[Sample], sizes: Mapping[Path, tuple[int, int]], *, good: str | None) -> list[Defect]:
    """The marked defects of some 300 defective pictures, spread evenly; `sizes` are (width, height) in px by path."""
    defective = [one for one in samples if one.label != good and (one.boxes or one.masked) and one.path in sizes]
    found = []
    for sample in defective[:: max(1, len(defective) // MEASURED)]:
        width, height = sizes[sample.path]
        found += defects_in(sample, (height, width), marked_by(sample, (height, width)))
    return found


def defects_in(sample: Sample, size_px: tuple[int, int], marked: Pixels | None) -> list[Defect]:
    """The sample's marked defects, with their `widths_of`."""
    return [Defect(width, size_px) for width in widths_of(sample, size_px, marked)]


def defect_widths(defects: Sequence[Defect], input_px: tuple[int, int], *, tiled: bool, cell_px: int) -> DefectWidths:
    """How wide `defects` are in a network's input of (height, width), into which whole pictures are fitted unless `tiled`."""
    resize = InputSettings().resize
    scales = np.ones(len(defects))
    for index, defect in enumerate(() if tiled else defects):
        height, width = defect.picture_px
        placed = place(width, height, input_px=input_px, policy=resize)
        scales[index] = min(placed.scale_x, placed.scale_y)
    widths = np.array([defect.width_px for defect in defects], np.float64) * scales
    lost = int(((widths < WHOLE_PX) & (scales <= SQUEEZED)).sum())
    return DefectWidths(input_px, tiled, cell_px, widths, lost)
