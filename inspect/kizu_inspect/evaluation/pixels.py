"""Pixel by pixel against masks: average precision and AUPRO, by which anomaly detectors are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.evaluation.figures import Figure

__all__ = ["PixelScores"]

GROUPS: Final = 10
T_OF_NINE: Final = 2.262
"""The 0.975 quantile of Student's t with GROUPS − 1 degrees of freedom."""
DROPPED_BITS: Final = 15
BINS: Final = 1 << (31 - DROPPED_BITS)
"""Values are told apart by the leading bits of their float32: by 0.4 % at any size, in a tally of fixed size."""
MOST_FALSE: Final = 0.3
"""AUPRO takes the overlap up to this share of the sound pixels, as Bergmann et al. (MVTec AD, IJCV 2021)."""
Floats = npt.NDArray[np.float64]


def _zeros() -> Floats:
    return np.zeros((GROUPS, BINS))


@dataclass
class PixelScores:
    """How many pixels have which value, over all pictures so far: sound and defective ones, and of each defect which share."""

    sound: Floats = field(default_factory=_zeros)
    defective: Floats = field(default_factory=_zeros)
    overlap: Floats = field(default_factory=_zeros)
    defects: Floats = field(default_factory=lambda: np.zeros(GROUPS))
    pictures: int = 0

    def add(self, map_px: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_] | None) -> None:
        """One picture's map (H, W), non-negative and in one unit for all pictures; `truth` (H, W) is None for a good one.

        The unit matters: maps that are each brought to 1 would make good parts as hot as defects. A picture without a map
        counts with zeros. Values within 0.4 % of each other may count as equal.
        """
        positive = np.ascontiguousarray(map_px + np.float32(0), np.float32)  # -0 would have the leading bit of its own
        bins = positive.view(np.uint32) >> DROPPED_BITS
        group = self.pictures % GROUPS
        self.pictures += 1
        if truth is None:
            self.sound[group] += np.bincount(bins.ravel(), minlength=BINS)
            return
        self.sound[group] += np.bincount(bins[~truth], minlength=BINS)
        self.defective[group] += np.bincount(bins[truth], minlength=BINS)
        count, labels = cv2.connectedComponents(truth.astype(np.uint8), connectivity=8)
        for index in range(1, count):
            inside = bins[labels == index]
            self.overlap[group] += np.bincount(inside, minlength=BINS) / len(inside)
        self.defects[group] += count - 1

    def figures(self) -> dict[str, Figure]:
        """`pixel_ap` and `aupro`, with 95 % intervals by a jackknife over tenths of the pictures; nothing without a mask.

        Unless each tenth has defects and sound pixels there is no interval: leaving out a tenth without any changes nothing.

        pixel_ap: Σ (recall − recall before) · precision over all thresholds, as scikit-learn's average_precision_score. aupro:
        the mean share of each connected defect at or above a threshold, integrated over the share of sound pixels there up to
        0.3, and divided by that.
        """
        if not self.defective.any() or not self.sound.any():
            return {}
        found = {}
        for name, score in (("pixel_ap", self._average_precision), ("aupro", self._aupro)):
            every = np.ones(GROUPS, bool)
            value = score(every)
            if not (self.defects.all() and self.sound.any(axis=1).all()):
                found[name] = Figure(value, None, None, self.pictures)
                continue
            left_out = np.array([score(every & (np.arange(GROUPS) != left)) for left in range(GROUPS)])
            spread = np.sqrt((GROUPS - 1) / GROUPS * np.square(left_out - left_out.mean()).sum())
            low, high = np.clip([value - T_OF_NINE * spread, value + T_OF_NINE * spread], 0, 1)
            found[name] = Figure(value, float(low), float(high), self.pictures)
        return found

    def _average_precision(self, groups: npt.NDArray[np.bool_]) -> float:
        hits, false = (_from_above(one[groups]) for one in (self.defective, self.sound))
        if hits[-1] == 0:
            return float("nan")
        gained = np.diff(hits, prepend=0)
        return float((gained * hits / np.maximum(hits + false, 1)).sum() / hits[-1])

    def _aupro(self, groups: npt.NDArray[np.bool_]) -> float:
        false, overlap = _from_above(self.sound[groups]), _from_above(self.overlap[groups])
        defects = float(self.defects[groups].sum())
        if defects == 0 or false[-1] == 0:
            return float("nan")
        rate, share = np.r_[0.0, false / false[-1]], np.r_[0.0, overlap / defects]
        inside = rate <= MOST_FALSE
        at_most = float(np.interp(MOST_FALSE, rate, share))
        return float(np.trapezoid(np.r_[share[inside], at_most], np.r_[rate[inside], MOST_FALSE]) / MOST_FALSE)


def _from_above(counts: Floats) -> Floats:
    """How many lie at or above each value, from the highest value down."""
    total: Floats = counts.sum(axis=0)[::-1].cumsum()
    return total
