"""What judging and explaining a picture leaves: plain frozen values, shared by every room. Importing this needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Explanation",
    "GridGeometry",
    "Heatmap",
    "ImageRGB",
    "Judgement",
    "MapStatus",
    "ModelInfo",
    "Region",
    "RegionCheck",
    "SizeMm",
    "Verdict",
]

ImageRGB = npt.NDArray[np.uint8]
"""A picture: (H, W, 3) uint8, red first."""


class Verdict(StrEnum):
    """What the system says of one image, mildest first: PASS < REVIEW < ERROR < REJECT."""

    PASS = "PASS"
    REVIEW = "REVIEW"
    ERROR = "ERROR"
    REJECT = "REJECT"

    @property
    def severity(self) -> int:
        """0 (PASS) to 3 (REJECT); a part's verdict is the worst of its views."""
        return list(Verdict).index(self)

    @property
    def flagged(self) -> bool:
        """Whether a person should look at it: REVIEW or REJECT."""
        return self in (Verdict.REVIEW, Verdict.REJECT)


class MapStatus(StrEnum):
    """Whether a map says anything. A map that is not `ok` is shown as such, never as a blank picture."""

    OK = "ok"
    FLAT = "flat"
    ALL_NEGATIVE = "all_negative"
    NON_FINITE = "non_finite"
    NO_EVIDENCE_MAP = "no_evidence_map"
    SIGNED_ACTIVATIONS = "signed_activations"
    """A map, but the method's formula does not apply to some channels, whose activations are negative: they are left out."""

    @property
    def has_map(self) -> bool:
        """Whether there is a map to look at."""
        return self in (MapStatus.OK, MapStatus.SIGNED_ACTIVATIONS)


@dataclass(frozen=True)
class GridGeometry:
    """Where a map's cells lie in the original picture.

    Cell (row i, column j) answers for the pixel (origin_x_px + j·step_x_px, origin_y_px + i·step_y_px); pixel indices are
    those of pixel centres, (0, 0) the upper left. Letterbox, crop and receptive-field offsets are already undone.
    """

    origin_x_px: float
    origin_y_px: float
    step_x_px: float
    step_y_px: float
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Heatmap:
    """One explanation map as it is stored: grid·maximum is the raw, non-negative map."""

    method: str
    target: str
    """The class whose evidence it shows."""
    status: MapStatus
    grid: npt.NDArray[np.float16]
    """(h, w) in [0, 1]: the map divided by its maximum; all 0 where the maximum is 0."""
    maximum: float
    """The raw map's maximum, in the method's unit."""
    scale: float
    """The bundle's fixed display scale for this method: raw values at or above it are drawn at full colour."""
    geometry: GridGeometry

    @property
    def on_scale(self) -> npt.NDArray[np.float32]:
        """The map on the fixed scale: (h, w) float32 in [0, 1]."""
        scaled = self.grid.astype(np.float32) * np.float32(self.maximum / self.scale)
        return np.asarray(np.clip(scaled, 0, 1), np.float32)

    @property
    def peak(self) -> float:
        """The map's maximum as a share of the fixed scale, not clipped."""
        return self.maximum / self.scale


@dataclass(frozen=True)
class SizeMm:
    """What a region measures on the part."""

    length_mm: float
    width_mm: float
    area_mm2: float


@dataclass(frozen=True)
class Region:
    """One connected piece of a map at or above the region threshold, in pixels of the original picture.

    Its sizes are those of the piece: a map is wider than the defect that it shows. Those of regions that were recorded
    before there were any are None, and their contour is empty.
    """

    x1: int
    y1: int
    x2: int
    """Right edge, exclusive."""
    y2: int
    """Lower edge, exclusive."""
    label: str
    score: float
    """The piece's peak on the fixed scale, not clipped."""
    share: float
    """Its share of the map's sum, 0 to 1."""
    contour: tuple[tuple[int, int], ...] = ()
    """Its outer polygon: the centres (x, y) of its outermost pixels, in order, simplified to 64 vertices at most."""
    length_px: float | None = None
    """Along its middle, with its ends, also around curves."""
    width_px: float | None = None
    """At its widest place: the diameter of the largest circle that lies in it."""
    area_px: int | None = None
    """Number of its pixels."""

    def in_mm(self, mm_per_px: float) -> SizeMm | None:
        """Its sizes where a pixel shows a square of `mm_per_px`; None where it has none."""
        if self.length_px is None or self.width_px is None or self.area_px is None:
            return None
        return SizeMm(self.length_px * mm_per_px, self.width_px * mm_per_px, self.area_px * mm_per_px**2)


@dataclass(frozen=True)
class RegionCheck:
    """What the model says of the picture when the map's region is taken away, and when nothing else is left."""

    score_without: float
    """The defect score without the region, 0 to 1."""
    score_only: float
    """The defect score of the region alone, 0 to 1."""
    conflict: bool
    """A flagged part whose region carries too little of the evidence: the map does not explain the verdict."""


@dataclass(frozen=True)
class Explanation:
    """Where the evidence lies."""

    heatmap: Heatmap
    regions: tuple[Region, ...]
    check: RegionCheck | None = None
    """None where the model was not asked again: nothing was judged, or no class is good."""


@dataclass(frozen=True)
class Judgement:
    """What was found of one image: a verdict with its reason. `probabilities` is empty where the image was not judged."""

    verdict: Verdict
    reason: str
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Calibrated, by class name, summing to 1."""
    predicted: str | None = None
    """The most probable class."""
    target: str | None = None
    """The class a map explains: the most probable defect, or the predicted class where no class is good."""
    score: float | None = None
    """1 − p(good), 0 to 1; 1.0 where no class is good."""
    width_px: int | None = None
    height_px: int | None = None
    novelty: float | None = None
    """How unlike anything in training it is, ≥ 0; None where the model does not tell."""
    reference_correlation: float | None = None
    """How well its reference fitted, −1 to 1; None where it has none."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """What the gates looked at, by the names of `gates.MEASURES`; empty where they are off or nothing could be measured."""


@dataclass(frozen=True)
class ModelInfo:
    """Which model judged: what the records keep of a bundle."""

    hash: str
    """SHA-256 of bundle.yaml, which itself names the SHA-256 of the weights."""
    name: str
    classes: tuple[str, ...]
    good: str | None
    """The class that passes; None where the model only tells classes apart."""
    path: Path
    spec: Mapping[str, Any]
    """bundle.yaml as plain JSON values."""
    promise: Mapping[str, Any] | None
    """The promised miss rate with its bound; None where the validation set was too small for one."""
