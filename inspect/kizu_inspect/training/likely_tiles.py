"""Whether pictures have to be judged in tiles so that their defects are not squeezed away, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from kizu_inspect.picture.inputs import stride_for
from kizu_inspect.picture.tiles import tile_corners

__all__ = ["LEAST_PX", "Tiles", "likely_tiles"]

USUAL_PX: Final = 128
LEAST_PX: Final = 32
"""The smallest side of a tile, as of any input."""


@dataclass(frozen=True)
class Tiles:
    """Tiles that suit a set."""

    side_px: int
    count: int
    """Of the median picture."""
    times: float
    """How many times the px of the whole picture's input they have together: about so many times the time a picture."""


def likely_tiles(sizes: Sequence[tuple[int, int]], input_px: tuple[int, int]) -> Tiles | None:
    """Tiles of 128 px for pictures of these (width, height), or the largest that fit into every one; None under 32 px.

    `input_px` is the (height, width) that whole pictures would be fitted into.
    """
    side = min(USUAL_PX, min(min(size) for size in sizes) // 8 * 8)
    if side < LEAST_PX:
        return None
    width, height = (int(middle) for middle in np.median(sizes, axis=0))
    count = len(tile_corners((0, 0, width, height), tile_px=(side, side), stride_px=stride_for(side)))
    return Tiles(side, count, count * side**2 / (input_px[0] * input_px[1]))
