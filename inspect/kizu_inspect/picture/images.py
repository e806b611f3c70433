"""The way between a picture and the network's input: the one place that knows a picture's geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from kizu_inspect.errors import ImageError
from kizu_inspect.results import GridGeometry, ImageRGB

__all__ = ["CellGeometry", "Placement", "encode_png", "fit_image", "grid_geometry", "place"]

ResizePolicy = Literal["letterbox", "stretch"]


def encode_png(image: ImageRGB) -> bytes:
    """The picture (H, W, 3) RGB or (H, W) grey, uint8, as PNG bytes."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    done, data = cv2.imencode(".png", bgr)
    if not done:
        raise ImageError("picture cannot be encoded", found=f"shape {image.shape}", expected="(H, W, 3) uint8")
    return bytes(data)


@dataclass(frozen=True)
class CellGeometry:
    """Where the cells of a network's last feature map lie: cell (i, j) is centred on input pixel start_px + step_px·(i, j).

    A layer with kernel k, stride t and padding p over cells at c + s·i gives cells at c + s·((k − 1)/2 − p), step s·t, whose
    receptive field is larger by s·(k − 1).
    """

    start_px: float = 0.0
    step_px: float = 1.0
    field_px: float = 1.0
    """Side of the receptive field: a cell sees nothing farther than half of it."""

    def through(self, *, kernel: int, stride: int, padding: int) -> CellGeometry:
        """The cells' geometry after one more convolution or pooling layer."""
        return CellGeometry(
            self.start_px + self.step_px * ((kernel - 1) / 2 - padding),
            self.step_px * stride,
            self.field_px + self.step_px * (kernel - 1),
        )


@dataclass(frozen=True)
class Placement:
    """How a picture lies in the network's input: input = (picture + 0.5)·scale − 0.5 + offset, in pixels, x and y apart."""

    scale_x: float
    scale_y: float
    offset_x_px: int
    offset_y_px: int
    width_px: int
    height_px: int


def place(width_px: int, height_px: int, *, input_px: tuple[int, int], policy: ResizePolicy) -> Placement:
    """Where a picture of this size comes to lie in an input of `input_px` (height, width)."""
    input_height, input_width = input_px
    if policy == "stretch":
        new_width, new_height = input_width, input_height
    else:
        scale = min(input_width / width_px, input_height / height_px)
        new_width = min(input_width, max(1, round(width_px * scale)))
        new_height = min(input_height, max(1, round(height_px * scale)))
    return Placement(
        scale_x=new_width / width_px,
        scale_y=new_height / height_px,
        offset_x_px=(input_width - new_width) // 2,
        offset_y_px=(input_height - new_height) // 2,
        width_px=width_px,
        height_px=height_px,
    )


def fit_image(image: ImageRGB, *, input_px: tuple[int, int], policy: ResizePolicy, nearest: bool = False) -> ImageRGB:
    """The picture (H, W, 3) uint8 as the network's input size; what letterboxing leaves free is filled by reflection.

    `nearest` mixes no values: for pictures whose values are names.
    """
    height, width = image.shape[:2]
    placed = place(width, height, input_px=input_px, policy=policy)
    size = (round(width * placed.scale_x), round(height * placed.scale_y))
    if size != (width, height):
        shrinks = size[0] < width or size[1] < height
        how = cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
    left, top = placed.offset_x_px, placed.offset_y_px
    right, bottom = input_px[1] - size[0] - left, input_px[0] - size[1] - top
    if left or top or right or bottom:
        image = np.asarray(cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT), np.uint8)
    return image


def grid_geometry(cells: CellGeometry, placed: Placement) -> GridGeometry:
    """Where the map's cells lie in the original picture: receptive-field centres with the placement undone."""
    return GridGeometry(
        origin_x_px=(cells.start_px - placed.offset_x_px + 0.5) / placed.scale_x - 0.5,
        origin_y_px=(cells.start_px - placed.offset_y_px + 0.5) / placed.scale_y - 0.5,
        step_x_px=cells.step_px / placed.scale_x,
        step_y_px=cells.step_px / placed.scale_y,
        width_px=placed.width_px,
        height_px=placed.height_px,
    )


def input_geometry(cells: CellGeometry, *, input_px: tuple[int, int]) -> GridGeometry:
    """Where the map's cells lie in the network's input of `input_px` (height, width)."""
    height, width = input_px
    return GridGeometry(cells.start_px, cells.start_px, cells.step_px, cells.step_px, width, height)
