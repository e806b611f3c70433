"""Do the regions find the defects? Regions against the boxes that people drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu_inspect.evaluation.figures import Figure, bootstrap, wilson
from kizu_inspect.labelled.dataset import Box
from kizu_inspect.results import Region

__all__ = ["Detected", "compare", "detection_figures"]

LEAST_IOU = 0.1
"""From here on a region covers a box; so does one whose centre lies in the box."""
PRECISION_IOU = 0.33
"""From here on a region counts as a detection for the average precision, as on DeepPCB (Tang et al., 2019)."""


@dataclass(frozen=True)
class Detected:
    """What the regions of one picture are to its boxes."""

    covered: tuple[bool, ...]
    """Of each box: whether a region covers it."""
    named: tuple[bool, ...]
    """Of each covered box: whether its best region bears its class."""
    false_regions: int
    """Regions that touch no box."""
    boxes: tuple[Box, ...]
    regions: tuple[Region, ...]


def compare(regions: Sequence[Region], boxes: Sequence[Box]) -> Detected:
    """Regions of one picture against its boxes."""
    covered, named = [], []
    for box in boxes:
        over = [region for region in regions if _iou(region, box) >= LEAST_IOU or _centre_inside(region, box)]
        covered.append(bool(over))
        if over:
            named.append(max(over, key=lambda region: _iou(region, box)).label == box[4])
    false = sum(not any(_shared(region, box) > 0 for box in boxes) for region in regions)
    return Detected(tuple(covered), tuple(named), false, tuple(boxes), tuple(regions))


def detection_figures(found: Sequence[Detected]) -> dict[str, Figure]:
    """covered (share of boxes), named (share of covered ones with the right class), false_regions (a picture), precision.

    `precision` is the mean over the classes of the average precision at an intersection over union of 0.33.
    """
    covered = [one for picture in found for one in picture.covered]
    named = [one for picture in found for one in picture.named]
    false = np.array([picture.false_regions for picture in found], np.float64)
    figures = {"false_regions": bootstrap(len(found), lambda rows: float(false[rows].mean()))}
    if covered:
        figures["covered"] = wilson(sum(covered), len(covered))
        figures["named"] = wilson(sum(named), len(named))
        ranked = [_Ranked.of(found, name) for name in sorted({box[4] for picture in found for box in picture.boxes})]
        figures["precision"] = bootstrap(
            len(found),
            lambda rows: float(np.mean([one.average_precision(np.bincount(rows, minlength=len(found))) for one in ranked])),
        )
    return figures


@dataclass(frozen=True)
class _Ranked:
    """One class's regions in all pictures, strongest first."""

    picture: npt.NDArray[np.int64]
    """Of each region."""
    hit: npt.NDArray[np.bool_]
    """Whether it is the first to detect a box of its picture."""
    boxes: npt.NDArray[np.int64]
    """How many boxes of the class each picture has."""

    @classmethod
    def of(cls, found: Sequence[Detected], name: str) -> _Ranked:
        rows: list[tuple[float, int, bool]] = []
        for number, picture in enumerate(found):
            free = [box for box in picture.boxes if box[4] == name]
            for region in sorted((one for one in picture.regions if one.label == name), key=lambda one: -one.score):
                best = max(free, key=lambda box: _iou(region, box), default=None)
                hit = best is not None and _iou(region, best) >= PRECISION_IOU
                if hit and best is not None:
                    free.remove(best)
                rows.append((region.score, number, hit))
        rows.sort(key=lambda row: -row[0])
        boxes = [sum(box[4] == name for box in picture.boxes) for picture in found]
        return cls(
            np.array([number for _, number, _ in rows], np.int64),
            np.array([hit for *_, hit in rows], np.bool_),
            np.array(boxes, np.int64),
        )

    def average_precision(self, counts: npt.NDArray[np.int64]) -> float:
        """The area under precision over recall, at all points (Everingham et al., 2010); each picture counts so often."""
        total = int((self.boxes * counts).sum())
        weight = counts[self.picture]
        if total == 0 or weight.sum() == 0:
            return 0.0
        hits = np.cumsum(weight * self.hit)
        precision = hits / np.maximum(1, np.cumsum(weight))
        best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
        return float(np.sum(np.diff(hits, prepend=0) * best_from_here) / total)


def _shared(region: Region, box: Box) -> int:
    """Pixels that both cover."""
    width = min(region.x2, box[2]) - max(region.x1, box[0])
    height = min(region.y2, box[3]) - max(region.y1, box[1])
    return max(0, width) * max(0, height)


def _iou(region: Region, box: Box) -> float:
    shared = _shared(region, box)
    both = (region.x2 - region.x1) * (region.y2 - region.y1) + (box[2] - box[0]) * (box[3] - box[1])
    return shared / (both - shared)


def _centre_inside(region: Region, box: Box) -> bool:
    x, y = (region.x1 + region.x2) / 2, (region.y1 + region.y2) / 2
    return box[0] <= x < box[2] and box[1] <= y < box[3]
