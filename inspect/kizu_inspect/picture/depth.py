"""Values of more than 8 bits: how many of a 16-bit value's bits are filled, and the values as 8 bits."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kizu_inspect.errors import ImageError
from kizu_inspect.recipe import Bits

__all__ = ["depth_of", "to_8_bits"]

_DEPTHS: tuple[Bits, ...] = (8, 10, 12, 14, 16)


def to_8_bits(values: npt.NDArray[Any], *, bits: Bits) -> npt.NDArray[np.uint8]:
    """Values of `bits` bits, uint8 or uint16, of any shape, so that the largest becomes 255; uint8 stays as it is.

    Raises ImageError for values beyond that depth.
    """
    if values.dtype == np.uint8:
        return np.asarray(values, dtype=np.uint8)
    if (largest := int(values.max(initial=0))) >= 1 << bits:
        raise ImageError(
            "the picture's values are larger than its bit depth allows", found=largest, expected=f"at most {(1 << bits) - 1}",
            next_step="Set the camera's bits; 16 where it shifts its values up.",
        )  # fmt: skip
    return np.asarray(_table(bits)[values], dtype=np.uint8)


def depth_of(largest: int) -> Bits:
    """The least of these depths that holds this value."""
    return next((bits for bits in _DEPTHS if largest < 1 << bits), 16)


@cache
def _table(bits: int) -> npt.NDArray[np.uint8]:
    """What each value becomes."""
    scaled: npt.NDArray[np.uint8] = np.rint(np.arange(1 << bits) * (255 / ((1 << bits) - 1))).astype(np.uint8)
    return scaled
