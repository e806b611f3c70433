"""What the network is given of a picture: the whole, fitted to its input, or tiles of it, each beside its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.images import CellGeometry, fit_image, grid_geometry, place
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.picture.reference import Grey
from kizu_inspect.picture.tiles import Box, Corner, tile_corners
from kizu_inspect.results import GridGeometry, ImageRGB

__all__ = ["Sight", "look_at", "stacked", "to_input"]


@dataclass(frozen=True)
class Sight:
    """One picture as the network is to see it."""

    image: ImageRGB
    reference: Grey | None
    """(H, W), laid over the picture."""
    inside: Box
    """The region of interest; the whole picture where there is none."""
    corners: tuple[Corner, ...] | None
    """Of the tiles; None where the region of interest is seen in one view."""
    inputs: InputSettings
    correlation: float | None = None
    """How well the reference fitted, −1 to 1; None where there is none."""

    @property
    def views(self) -> int:
        """How many inputs of the network this picture makes."""
        return 1 if self.corners is None else len(self.corners)

    @property
    def size_px(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        height, width = self.image.shape[:2]
        return height, width

    def view(self, number: int) -> tuple[ImageRGB, Grey | None]:
        """Picture (h, w, 3) and reference (h, w) of one view, at the input's size."""
        x1, y1, x2, y2 = self._edges(number)
        image, reference = self.image[y1:y2, x1:x2], None
        if self.reference is not None:
            reference = self.reference[y1:y2, x1:x2]
        if self.corners is not None:
            return image, reference
        size, policy = self.inputs.size_px, self.inputs.resize
        fitted = None if reference is None else np.asarray(fit_image(reference, input_px=size, policy=policy))
        return fit_image(image, input_px=size, policy=policy), fitted

    def geometry(self, number: int, cells: CellGeometry) -> GridGeometry:
        """Where the cells of one view's map lie in the picture."""
        x1, y1, x2, y2 = self._edges(number)
        placed = place(x2 - x1, y2 - y1, input_px=self.inputs.size_px, policy=self.inputs.resize)
        inside = grid_geometry(cells, placed)
        height, width = self.size_px
        return replace(
            inside, origin_x_px=inside.origin_x_px + x1, origin_y_px=inside.origin_y_px + y1, width_px=width, height_px=height
        )

    def _edges(self, number: int) -> Box:
        if self.corners is None:
            return self.inside
        (x, y), (height, width) = self.corners[number], self.inputs.size_px
        return x, y, x + width, y + height

    def overlapping(self, number: int) -> list[int]:
        """The views that share a pixel with this one, itself among them."""
        if self.corners is None:
            return [0]
        (x, y), (height, width) = self.corners[number], self.inputs.size_px
        return [n for n, (left, top) in enumerate(self.corners) if abs(left - x) < width and abs(top - y) < height]


def look_at(image: ImageRGB, reference: Grey | None, inputs: InputSettings, region: Box | None = None) -> Sight:
    """How the network sees a picture (H, W, 3), in all of it or in a region of interest.

    Raises ImageError: a region that lies beyond the picture, a picture that is smaller than a tile.
    """
    height, width = image.shape[:2]
    inside = region or (0, 0, width, height)
    if inside[2] > width or inside[3] > height:
        raise ImageError(
            "the region of interest lies beyond the picture", found=f"{width} × {height} px",
            expected=f"at least {inside[2]} × {inside[3]}", next_step="Mend recipe.region_of_interest.",
        )  # fmt: skip
    corners = None
    if inputs.tiling is not None:
        corners = tile_corners(inside, tile_px=inputs.size_px, stride_px=inputs.tiling.stride_px)
    return Sight(image, reference, inside, corners, inputs)


def stacked(views: Sequence[tuple[ImageRGB, Grey | None]], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Views as the network takes them: (N, 3, H, W) and, where they have references, (N, 1, H, W), float32 in [0, 1]."""
    images = to_input(np.stack([image for image, _ in views]), device)
    references = [reference for _, reference in views if reference is not None]
    if not references:
        return images, None
    return images, torch.from_numpy(np.stack(references)).to(device)[:, None].float() / 255


def to_input(images: ImageRGB, device: torch.device) -> Tensor:
    """(N, H, W, 3) uint8 as (N, 3, H, W) float32 in [0, 1], channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
