"""From a map to boxes: its connected pieces above a threshold on the fixed scale."""

from __future__ import annotations

import cv2
import numpy as np

from kizu_inspect.heatmap import sample_grid
from kizu_inspect.results import Heatmap, Region

__all__ = ["find_regions"]

LEAST_PEAK = 1.1
"""A piece that rises above the threshold by less than a tenth is more often noise than a defect: on 320 validation boards
of DeepPCB this leaves 0.016 false regions a board of 0.041, and 0.992 of the defects covered of 0.994."""


def find_regions(heatmap: Heatmap, *, threshold: float, smallest_px: int = 4) -> tuple[Region, ...]:
    """One box for each connected piece of the map at or above `threshold` (0 to 1, on the fixed scale), strongest first.

    Boxes are in pixels of the original picture; pieces of fewer than `smallest_px` pixels are left out, and those that hardly
    rise above the threshold.
    """
    if not heatmap.status.has_map or heatmap.peak < threshold * LEAST_PEAK:
        return ()
    hot = sample_grid(heatmap.grid.astype(np.float32) * np.float32(heatmap.peak), heatmap.geometry)  # (H, W), not clipped
    total = float(hot.sum())
    count, labels, stats, _ = cv2.connectedComponentsWithStats((hot >= threshold).astype(np.uint8), connectivity=8)
    regions = []
    for index in range(1, count):
        x, y, width, height, area = (int(value) for value in stats[index])
        if area < smallest_px:
            continue
        inside = hot[y : y + height, x : x + width][labels[y : y + height, x : x + width] == index]
        if inside.max() < threshold * LEAST_PEAK:
            continue
        regions.append(
            Region(
                x1=x,
                y1=y,
                x2=x + width,
                y2=y + height,
                label=heatmap.target,
                score=float(inside.max()),
                share=float(inside.sum()) / total,
            )
        )
    return tuple(sorted(regions, key=lambda region: (-region.score, -region.share)))
