"""From a map to regions: its connected pieces above a threshold on the fixed scale, with boxes, contours and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.explain.measuring import measure
from kizu_inspect.picture.heatmap import sample_grid
from kizu_inspect.results import GridGeometry, Heatmap, Region

__all__ = ["find_regions"]

LEAST_PEAK = 1.1
"""A piece that rises above the threshold by less than a tenth is more often noise than a defect: on 320 validation boards
of DeepPCB this leaves 0.016 false regions a board of 0.041, and 0.992 of the defects covered of 0.994."""


def find_regions(heatmap: Heatmap, *, threshold: float, smallest_px: int = 4) -> tuple[Region, ...]:
    """One region for each connected piece of the map at or above `threshold` (0 to 1, on the fixed scale), strongest first.

    Boxes, contours and sizes are in pixels of the original picture; pieces of fewer than `smallest_px` pixels are left out, and
    those that hardly rise above the threshold.
    """
    if not heatmap.status.has_map or heatmap.peak < threshold * LEAST_PEAK:
        return ()
    grid = heatmap.grid.astype(np.float32) * np.float32(heatmap.peak)  # (h, w), not clipped
    total = _sum(grid, heatmap.geometry)
    regions = []
    for x0, y0, hot in _windows(grid, heatmap.geometry, threshold):
        count, labels, stats, _ = cv2.connectedComponentsWithStats((hot >= threshold).astype(np.uint8), connectivity=8)
        for index in range(1, count):
            x, y, width, height, area = (int(value) for value in stats[index])
            if area < smallest_px:
                continue
            piece = labels[y : y + height, x : x + width] == index
            inside = hot[y : y + height, x : x + width][piece]
            if inside.max() < threshold * LEAST_PEAK:
                continue
            measured = measure(piece)
            regions.append(
                Region(
                    x1=x0 + x,
                    y1=y0 + y,
                    x2=x0 + x + width,
                    y2=y0 + y + height,
                    label=heatmap.target,
                    score=float(inside.max()),
                    share=float(inside.sum()) / total,
                    contour=tuple((x0 + x + across, y0 + y + down) for across, down in measured.contour),
                    length_px=measured.length_px,
                    width_px=measured.width_px,
                    area_px=measured.area_px,
                )
            )
    return tuple(sorted(regions, key=lambda region: (-region.score, -region.share)))


def _windows(
    grid: npt.NDArray[np.float32], geometry: GridGeometry, threshold: float
) -> Iterator[tuple[int, int, npt.NDArray[np.float32]]]:
    """The map's pixels around each group of hot cells, as (x, y) of the window and its values (H, W).

    A pixel is hot only between cells of which one is hot. So what touches in pixels lies in one window, and the memory it takes
    is that of the hot places, not of the picture. Cells of other groups are left out of a window.
    """
    near = cv2.dilate((grid >= threshold).astype(np.uint8), np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    for index in range(1, count):
        column, row, width, height, _ = (int(value) for value in stats[index])
        of_window = slice(row, row + height), slice(column, column + width)
        cells = np.where(labels[of_window] == index, grid[of_window], 0)
        x0, x1 = _pixels(column, width, grid.shape[1], geometry.origin_x_px, geometry.step_x_px, geometry.width_px)
        y0, y1 = _pixels(row, height, grid.shape[0], geometry.origin_y_px, geometry.step_y_px, geometry.height_px)
        inside = replace(
            geometry,
            origin_x_px=geometry.origin_x_px + geometry.step_x_px * column - x0,
            origin_y_px=geometry.origin_y_px + geometry.step_y_px * row - y0,
            width_px=x1 - x0,
            height_px=y1 - y0,
        )
        if x1 > x0 and y1 > y0:
            yield x0, y0, sample_grid(cells.astype(np.float32), inside)


def _pixels(first: int, count: int, of: int, origin: float, step: float, side: int) -> tuple[int, int]:
    """From the centre of a window's first cell to that of its last, or to the picture's edge from an outer cell."""
    start = 0 if first == 0 else int(np.ceil(origin + step * first))
    end = side if first + count == of else int(np.floor(origin + step * (first + count - 1))) + 1
    return max(0, start), min(side, end)


def _sum(grid: npt.NDArray[np.float32], geometry: GridGeometry) -> float:
    """The sum of the map over all pixels: bilinear sampling weighs rows and columns apart."""
    rows = _weights(grid.shape[0], geometry.origin_y_px, geometry.step_y_px, geometry.height_px)
    columns = _weights(grid.shape[1], geometry.origin_x_px, geometry.step_x_px, geometry.width_px)
    return float(rows @ grid.astype(np.float64) @ columns)


def _weights(cells: int, origin: float, step: float, side: int) -> npt.NDArray[np.float64]:
    """What each of the cells along one axis counts over the pixels 0 to `side` in all."""
    place = np.clip((np.arange(side) - origin) / step, 0, cells - 1)
    below = np.minimum(place.astype(np.int64), max(0, cells - 2))
    share = place - below
    weights = np.bincount(below, 1 - share, minlength=cells)
    return np.asarray(weights + np.bincount(np.minimum(below + 1, cells - 1), share, minlength=cells), np.float64)
