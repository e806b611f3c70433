"""Drawing a stored heatmap over its photo, always on the bundle's fixed scale."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.results import GridGeometry, Heatmap, ImageRGB

__all__ = ["COLOUR_TABLE", "COLOUR_TABLES", "colour_legend", "overlay", "sample_grid", "upsample"]

COLOUR_TABLES: Final[dict[str, ImageRGB]] = {
    name: np.ascontiguousarray(cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], number)[:, 0, ::-1])
    for name, number in (
        ("inferno", cv2.COLORMAP_INFERNO), ("viridis", cv2.COLORMAP_VIRIDIS), ("cividis", cv2.COLORMAP_CIVIDIS),
    )
}  # fmt: skip
"""(256, 3) RGB each, by name: lighter throughout the scale, so readable with every common colour blindness."""

COLOUR_TABLE: Final = COLOUR_TABLES["inferno"]
"""That of reports and exports."""

STRIP_PX = 1 << 20


def sample_grid(grid: npt.NDArray[np.float32], geometry: GridGeometry) -> npt.NDArray[np.float32]:
    """The grid (h, w) at every pixel of the original picture (H, W): bilinear between cell centres, border clamped."""
    columns = (np.arange(geometry.width_px, dtype=np.float32) - geometry.origin_x_px) / geometry.step_x_px
    rows = (np.arange(geometry.height_px, dtype=np.float32) - geometry.origin_y_px) / geometry.step_y_px
    sampled = np.empty((geometry.height_px, geometry.width_px), np.float32)
    strip = max(1, STRIP_PX // geometry.width_px)  # the coordinates of all pixels would take three times the map's memory
    for start in range(0, geometry.height_px, strip):
        x, y = np.meshgrid(columns.astype(np.float32), rows[start : start + strip].astype(np.float32))
        sampled[start : start + strip] = cv2.remap(grid, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled


def upsample(heatmap: Heatmap) -> npt.NDArray[np.float32]:
    """The map on the fixed scale at every pixel of the original picture: (H, W) float32 in [0, 1]."""
    return sample_grid(heatmap.on_scale, heatmap.geometry)


def overlay(image: ImageRGB, heatmap: Heatmap, *, opacity: float = 0.5) -> ImageRGB:
    """The photo (H, W, 3) with the map coloured over it; where the map is cold the photo stays as it is.

    `opacity` (0 to 1) is reached at a quarter of the scale, so that weak evidence shows weakly.
    """
    hot = upsample(heatmap)
    coloured = COLOUR_TABLE[np.rint(hot * 255).astype(np.uint8)]  # (H, W, 3)
    alpha = (opacity * np.clip(hot * 4, 0, 1))[:, :, None]
    return np.asarray(np.rint(image * (1 - alpha) + coloured * alpha), np.uint8)


def colour_legend(width_px: int, height_px: int) -> ImageRGB:
    """A bar of the colour map from 0 (left) to the full scale (right): (height_px, width_px, 3)."""
    shades = np.rint(np.linspace(0, 255, width_px)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(COLOUR_TABLE[shades], (height_px, width_px, 3)))
