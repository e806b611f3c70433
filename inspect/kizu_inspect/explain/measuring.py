"""What a piece of a map measures: its outline, length, width and area."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["MOST_VERTICES", "Measured", "measure"]

MOST_VERTICES = 64
"""Of a contour; where it has more, it is simplified further until it fits."""

_ERROR_PX = 0.75
_FILLED = 0.75
"""From this share of its rotated box on a piece is as long as the box: an ellipse fills 0.785 of it, a rectangle all."""

_DOUBLED_TO_PX = 2_000_000
"""Boxes up to this are measured at half-pixel steps, so that a line of two pixels is not one pixel wide."""


@dataclass(frozen=True)
class Measured:
    """Outline and sizes of one connected piece, in pixels."""

    contour: tuple[tuple[int, int], ...]
    """The centres (x, y) of its outermost pixels, in order, within 0.75 px where `MOST_VERTICES` allow; holes are not in it."""
    length_px: float
    """Along its middle, with the ends, also around curves; of a branched piece all branches together, of a ring its circle."""
    width_px: float
    """At its widest place: the diameter of the largest circle that lies in it."""
    area_px: int
    """Number of its pixels."""


def measure(piece: npt.NDArray[np.bool_]) -> Measured:
    """Outline and sizes of `piece` (h, w): one piece whose pixels touch by edges or corners, at least one of them.

    A piece that fills its rotated box is as long as that box. Any other is taken for a ribbon with round ends of the same
    perimeter: half of it is the way along the ribbon and around one end of its width, so length = P/2 − (π/2 − 1)·width;
    where it has holes it has no ends, and length = P/2. Ends that are cut off square make a ribbon's length up to
    0.43 widths too long.
    """
    found, levels = cv2.findContours(piece.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    chains = [np.asarray(contour, np.int32)[:, 0] for contour in found]  # (n, 2) each
    outer = chains.pop(next(index for index, level in enumerate(levels[0]) if level[3] < 0))
    area = int(np.count_nonzero(piece))
    width = _width(piece)
    sides = [side + 1 for side in cv2.minAreaRect(outer)[1]]  # its corners are centres of pixels
    length = max(sides)
    if area < _FILLED * sides[0] * sides[1]:
        # A border lies half a pixel outside of its pixels' centres, which is π longer around a piece and shorter around a hole.
        border = sum((max(0.0, _border(hole) - pi) for hole in chains), _border(outer) + pi)
        length = max(length, border / 2 - (0 if chains else (pi / 2 - 1) * width))
    return Measured(_simplified(outer), float(length), width, area)


def _width(piece: npt.NDArray[np.bool_]) -> float:
    """The diameter of the largest circle in it, from the distances to the nearest pixel outside."""
    finer = 2 if piece.size <= _DOUBLED_TO_PX else 1
    shown = cv2.resize(np.pad(piece.astype(np.uint8), 1), None, fx=finer, fy=finer, interpolation=cv2.INTER_NEAREST)
    most = float(cv2.distanceTransform(shown, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())
    # The square of a distance between pixels is whole; OpenCV's root of it differs in its last digit from run to run.
    most = sqrt(round(most**2))
    # At whole pixels a width of 2n − 1 and one of 2n have the same greatest distance n: the middle of both.
    return most if finer == 2 else 2 * most - 0.5


def _border(chain: npt.NDArray[np.int32]) -> float:
    """The length of a closed chain of neighbouring pixels (n, 2).

    Steps along rows, steps along diagonals and changes between them are counted by the weights of Vossepoel and Smeulders
    (Computer Graphics and Image Processing 20, 1982), since a chain of steps of 1 and √2 is longer than the line it stands for.
    """
    steps = np.diff(chain, axis=0, append=chain[:1])
    steps = steps[np.any(steps != 0, axis=1)]
    diagonal = np.all(steps != 0, axis=1)
    corners = np.count_nonzero(np.any(steps != np.roll(steps, 1, axis=0), axis=1))
    return 0.980 * float(np.count_nonzero(~diagonal)) + 1.406 * float(np.count_nonzero(diagonal)) - 0.091 * corners


def _simplified(chain: npt.NDArray[np.int32]) -> tuple[tuple[int, int], ...]:
    error = _ERROR_PX
    while len(shown := cv2.approxPolyDP(chain, error, closed=True)) > MOST_VERTICES:
        error *= 1.5
    return tuple((int(x), int(y)) for x, y in shown[:, 0])
