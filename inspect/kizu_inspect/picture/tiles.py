"""Cutting a large picture into overlapping tiles, and what the tiles say back into one answer without seams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.images import CellGeometry
from kizu_inspect.results import GridGeometry

__all__ = ["Box", "Corner", "confined", "merge_maps", "merge_probabilities", "tile_corners"]

Box = tuple[int, int, int, int]
"""x1, y1, x2, y2 in px, right and lower edge exclusive."""
Corner = tuple[int, int]
"""x, y of a tile's upper left pixel in its picture."""
Floats = npt.NDArray[np.float32]


def tile_corners(inside: Box, *, tile_px: tuple[int, int], stride_px: int) -> tuple[Corner, ...]:
    """Where the tiles of `tile_px` (height, width) begin, row by row, so that together they cover `inside`.

    One follows another after `stride_px`; the last of a row or column ends with the edge. Raises ImageError where a tile does
    not fit.
    """
    x1, y1, x2, y2 = inside
    height, width = tile_px
    if x2 - x1 < width or y2 - y1 < height:
        raise ImageError(
            "picture is smaller than a tile", found=f"{x2 - x1} × {y2 - y1} px", expected=f"at least {width} × {height} px",
            next_step="Take larger pictures, or train with smaller tiles.",
        )  # fmt: skip
    columns = [*range(x1, x2 - width, stride_px), x2 - width]
    rows = [*range(y1, y2 - height, stride_px), y2 - height]
    return tuple((x, y) for y in rows for x in columns)


def merge_probabilities(tiles: npt.NDArray[np.float64], *, good: int | None, exclusive: bool = True) -> npt.NDArray[np.float64]:
    """A picture's probabilities (C,) from its tiles' (T, C): it is as good as its worst tile.

    The rest is shared out among the defects by the most that any tile gives each; where classes are not `exclusive` each keeps
    that. Where no class is good: the tiles' mean.
    """
    if good is None or not np.isfinite(tiles).all():
        return np.asarray(tiles.mean(axis=0), np.float64)
    p_good = float(tiles[:, good].min())
    most = tiles.max(axis=0)
    most[good] = 0
    if not exclusive:
        most[good] = p_good
        return np.asarray(most, np.float64)
    merged = most * ((1 - p_good) / most.sum())
    merged[good] = p_good
    return np.asarray(merged, np.float64)


def merge_maps(
    maps: Mapping[Corner, Floats],
    inside: Box,
    cells: CellGeometry,
    *,
    tile_px: tuple[int, int],
    overlap_px: int,
    size_px: tuple[int, int],
) -> tuple[Floats, GridGeometry]:
    """The tiles' raw maps, each (h, w), as one map of `inside`; where no tile has one it is 0.

    Where tiles overlap, each counts by how far a cell lies from its border: no seam shows. `size_px` is the (height, width)
    of the whole picture, `overlap_px` of two neighbours.
    """
    x1, y1, x2, y2 = inside
    height, width = tile_px
    columns = np.arange(x1 + cells.start_px, x2, cells.step_px)
    rows = np.arange(y1 + cells.start_px, y2, cells.step_px)
    total = np.zeros((len(rows), len(columns)), np.float32)
    weight = np.zeros_like(total)
    for (x, y), one in maps.items():
        over_x = _span(columns, x, width, first=x == x1, last=x + width == x2)
        over_y = _span(rows, y, height, first=y == y1, last=y + height == y2)
        u = ((columns[over_x] - x - cells.start_px) / cells.step_px).astype(np.float32)
        v = ((rows[over_y] - y - cells.start_px) / cells.step_px).astype(np.float32)
        sampled = cv2.remap(one, *np.meshgrid(u, v), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        counts = _taper(rows[over_y], y, height, overlap_px, (y == y1, y + height == y2))[:, None]
        counts = counts * _taper(columns[over_x], x, width, overlap_px, (x == x1, x + width == x2))
        total[over_y, over_x] += sampled * counts
        weight[over_y, over_x] += counts
    merged = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    geometry = GridGeometry(
        x1 + cells.start_px, y1 + cells.start_px, cells.step_px, cells.step_px, width_px=size_px[1], height_px=size_px[0]
    )
    return merged, geometry


def _span(centres: npt.NDArray[np.float64], start: int, side: int, *, first: bool, last: bool) -> slice:
    """Which of the picture's cells lie in a tile; those of an outer tile reach to the edge."""
    low = 0 if first else int(np.searchsorted(centres, start - 0.5))
    high = len(centres) if last else int(np.searchsorted(centres, start + side - 0.5))
    return slice(low, high)


def _taper(centres: npt.NDArray[np.float64], start: int, side: int, overlap: int, outer: tuple[bool, bool]) -> Floats:
    """What a tile's cells count along one axis: 1 inside, falling to its inner borders over the overlap."""
    to_start = np.full(len(centres), np.inf) if outer[0] else centres - (start - 0.5)
    to_end = np.full(len(centres), np.inf) if outer[1] else (start + side - 0.5) - centres
    return np.asarray(np.clip(np.minimum(to_start, to_end) / max(1, overlap), 1e-3, 1), np.float32)


def confined(grid: Floats, geometry: GridGeometry, inside: Box) -> tuple[Floats, GridGeometry]:
    """The map with nothing outside `inside`: cells beyond it become 0, and a border of 0 ends it within a cell's step.

    Sampling continues a map's border over the rest of the picture, of which the model saw nothing.
    """
    x1, y1, x2, y2 = inside
    if (x1, y1, x2, y2) == (0, 0, geometry.width_px, geometry.height_px):
        return grid, geometry
    x = geometry.origin_x_px + geometry.step_x_px * np.arange(grid.shape[1])
    y = geometry.origin_y_px + geometry.step_y_px * np.arange(grid.shape[0])
    within = ((y >= y1 - 0.5) & (y < y2 - 0.5))[:, None] & ((x >= x1 - 0.5) & (x < x2 - 0.5))[None]
    bordered = np.pad(np.where(within, grid, np.float32(0)), 1)
    moved = replace(
        geometry, origin_x_px=geometry.origin_x_px - geometry.step_x_px, origin_y_px=geometry.origin_y_px - geometry.step_y_px
    )
    return bordered, moved
