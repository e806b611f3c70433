"""What a network is given of a picture, so that it can be cut and fitted alike in training and on the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from pydantic import Field, model_validator

from kizu_inspect.recipe import AlignmentSettings, Bits
from kizu_inspect.settings import Settings

__all__ = ["CELL_PX", "InputSettings", "ProfileName", "TilingSettings", "size_for", "stride_for"]

CELL_PX: Final = 4
"""Cells of the map that evidence is read from: those of 8 px cannot lie on a scratch of 2."""

LONGEST_PX: Final = 224
"""The longer side of an input that whole pictures are fitted into, unless another is asked for."""

ProfileName = Literal["part", "surface", "reference", "plain"]


class TilingSettings(Settings):
    """A picture is judged in tiles of the input's size, at its own resolution."""

    stride_px: int = Field(
        ge=8, title="Stride", description="From one tile to the next; what is left of a tile is their overlap."
    )


class InputSettings(Settings):
    """What the network is given."""

    height_px: int = Field(default=160, ge=32, le=2048, title="Height", description="Height of the network's input.")
    width_px: int = Field(default=160, ge=32, le=2048, title="Width", description="Width of the network's input.")
    resize: Literal["letterbox", "stretch"] = Field(
        default="letterbox", title="Resize", description="Keep the aspect ratio and reflect the rest, or stretch."
    )
    profile: ProfileName = Field(
        default="part", title="Profile",
        description="part (fixed geometry), surface (texture), reference (compares with another picture) or plain (ImageNet).",
    )  # fmt: skip
    tiling: TilingSettings | None = Field(
        default=None, title="Tiling", description="Judge a picture in overlapping tiles of this height and width; null: whole."
    )

    alignment: AlignmentSettings = AlignmentSettings()
    bits: Bits | None = Field(
        default=None, title="Bits",
        description="How many bits of a 16-bit value the training pictures fill; null: nobody said, and they are taken for 16.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _tiles_overlap(self) -> InputSettings:
        if self.tiling is None:
            return self
        if self.tiling.stride_px > min(self.height_px, self.width_px):
            raise ValueError(
                f"a stride of {self.tiling.stride_px} px leaves gaps between tiles of {self.width_px} × {self.height_px} px"
            )
        if self.profile == "part":
            raise ValueError("the part profile compares whole pictures of one size: tiles take surface, reference or plain")
        return self

    @property
    def size_px(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.height_px, self.width_px


def size_for(sizes: Sequence[tuple[int, int]], *, longest: int | None = None) -> tuple[int, int]:
    """(height, width) of an input for whole pictures of these (width, height), at least one: the median picture's shape.

    Its longer side is at most `longest` px (224), and both are multiples of 8, at least 32.
    """
    width, height = np.median(sizes, axis=0)
    scale = (longest or min(float(LONGEST_PX), max(height, width))) / max(height, width)
    sides = [max(32, round(side * scale / 8) * 8) for side in (height, width)]
    return sides[0], sides[1]


def stride_for(tile_px: int) -> int:
    """From one tile of so many px a side to the next: three quarters of it, in multiples of 8."""
    return max(8, tile_px * 3 // 4 // 8 * 8)
