"""Do the maps look at the defect? The pointing game and its relatives, against boxes or masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.evaluation.figures import Figure, bootstrap, wilson
from kizu_inspect.picture.heatmap import sample_grid
from kizu_inspect.results import Heatmap

__all__ = ["Located", "comparison_maps", "explanation_figures", "locate", "map_of"]

WIDEST_TOLERANCE_PX = 15.0


@dataclass(frozen=True)
class Located:
    """How one map lies to the truth."""

    distance_px: float
    """From the map's maximum to the nearest defect pixel; 0 on it, infinite for a map that shows nothing."""
    tolerance_px: float
    """Half a map cell, at most 15 px (Zhang et al., 2018, use 15)."""
    energy: float
    """Share of the map's sum on defect pixels (Wang et al., 2020)."""
    area: float
    """Share of the picture that is defect."""
    iou: float
    """Intersection over union of the defect and the map's pixels at or above `hot_from`."""


def locate(
    map_px: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_], *, cell_px: float, hot_from: float, seed: int
) -> Located:
    """Compares a map (H, W), non-negative, with the truth (H, W). Ties for the maximum are broken at random by `seed`.

    `hot_from` is the region threshold in the map's own unit.
    """
    tolerance = min(WIDEST_TOLERANCE_PX, cell_px / 2)
    total = float(map_px.sum())
    if total <= 0 or not np.isfinite(total):
        return Located(float("inf"), tolerance, 0.0, float(truth.mean()), 0.0)
    tops = np.flatnonzero(map_px == map_px.max())
    row, column = np.unravel_index(int(np.random.default_rng(seed).choice(tops)), map_px.shape)
    distances = cv2.distanceTransform((~truth).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    hot = map_px >= hot_from
    return Located(
        distance_px=float(distances[row, column]),
        tolerance_px=tolerance,
        energy=float(map_px[truth].sum()) / total,
        area=float(truth.mean()),
        iou=float((hot & truth).sum() / (hot | truth).sum()),
    )


def explanation_figures(located: Sequence[Located], *, within_px: float | None = None) -> dict[str, Figure]:
    """pointing, pointing_tolerant, energy, enrichment (mean of energy share ÷ area share; 1 is a uniform map) and iou.

    `within_px` adds the share of maxima within so many pixels of the defect as `pointing_within`.
    """
    n = len(located)
    energy = np.array([one.energy for one in located])
    iou = np.array([one.iou for one in located])
    enrichment = np.array([one.energy / one.area for one in located if one.area > 0])
    figures = {
        "pointing": wilson(sum(one.distance_px == 0 for one in located), n),
        "pointing_tolerant": wilson(sum(one.distance_px <= one.tolerance_px for one in located), n),
        "energy": bootstrap(n, lambda rows: float(energy[rows].mean())),
        "iou": bootstrap(n, lambda rows: float(iou[rows].mean())),
        "enrichment": bootstrap(len(enrichment), lambda rows: float(enrichment[rows].mean())),
    }
    if within_px is not None:
        figures["pointing_within"] = wilson(sum(one.distance_px <= within_px for one in located), n)
    return figures


def map_of(heatmap: Heatmap) -> npt.NDArray[np.float32]:
    """The raw map at every pixel of the picture (H, W); all 0 where there is none."""
    if not heatmap.status.has_map:
        return np.zeros((heatmap.geometry.height_px, heatmap.geometry.width_px), np.float32)
    return sample_grid(heatmap.grid.astype(np.float32) * np.float32(heatmap.maximum), heatmap.geometry)


def comparison_maps(height_px: int, width_px: int, *, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Maps that know nothing of the picture: a figure by which one of them wins is worth nothing.

    `random` (noise in every pixel), `centre` (a Gaussian blob in the middle, a quarter of the picture wide), `empty`, `ones`.
    """
    size = height_px, width_px
    return {
        "random": np.random.default_rng(seed).random(size, dtype=np.float32),
        "centre": _centre(height_px, width_px),
        "empty": np.zeros(size, np.float32),
        "ones": np.ones(size, np.float32),
    }


def _centre(height_px: int, width_px: int) -> npt.NDArray[np.float32]:
    rows = (np.arange(height_px) - (height_px - 1) / 2) / (height_px / 4)
    columns = (np.arange(width_px) - (width_px - 1) / 2) / (width_px / 4)
    return np.asarray(np.exp(-(np.square(rows)[:, None] + np.square(columns)[None]) / 2), np.float32)
