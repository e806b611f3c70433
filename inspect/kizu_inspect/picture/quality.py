"""Measuring what a picture looks like, whatever it shows."""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Final

import cv2
import numpy as np

from kizu_inspect.results import ImageRGB

__all__ = ["measure"]

_DARKEST: Final = 2
_BRIGHTEST: Final = 253
_LAPLACIAN: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_COARSE: Final = 4
_MOST_PX: Final = 4_000_000
_BAND_PX: Final = 64
_SAMPLES: Final = 8


def measure(image: ImageRGB) -> dict[str, float]:
    """What is to be known of a picture (H, W, 3) before it is judged: every one of `gates.MEASURES`.

    level, spread, noise: of its grey, in 8-bit levels; noise after Immerkær (Computer Vision and Image Understanding 64, 1996).
    black, white: shares of the pixels at most 2, at least 253. blank: of all rows, or of all columns, the share that holds one
    colour alone. tones: how many of the 256 levels occur. sharpness: the log of the mean step between neighbours over that of
    the picture at a quarter of its size: less out of focus, more with noise, the same under another light. Noise and sharpness
    of more than 4 megapixels are those of even bands of rows.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    counts = np.bincount(grey.ravel(), minlength=256)
    shares, levels = counts / grey.size, np.arange(256)
    level = float(shares @ levels)
    values = _bands(grey).astype(np.float32)
    height_of_bands = len(values)
    small = cv2.resize(
        values, (max(1, width // _COARSE), max(1, height_of_bands // _COARSE)), interpolation=cv2.INTER_AREA
    )  # fmt: skip
    red, green, blue = (float(one) for one in cv2.mean(image)[:3])
    return {
        "width_px": float(width),
        "height_px": float(height),
        "blank": max(_blank_rows(image), _blank_rows(image.swapaxes(0, 1))),
        "level": level,
        "spread": sqrt(float(shares @ (levels - level) ** 2)),
        "black": float(shares[: _DARKEST + 1].sum()),
        "white": float(shares[_BRIGHTEST:].sum()),
        "tones": float(np.count_nonzero(counts)),
        "noise": float(np.abs(cv2.filter2D(values, -1, _LAPLACIAN)).mean()) * sqrt(pi / 2) / 6,
        "sharpness": log((_step(values) + 0.05) / (_step(small) + 0.05)),
        "red_over_blue": red - blue,
        "green_over_others": green - (red + blue) / 2,
    }


def _blank_rows(image: ImageRGB) -> float:
    """The share of the rows that hold one colour alone."""
    first = image[:, :1]
    alike = (image[:, :: max(1, image.shape[1] // _SAMPLES)] == first).all(axis=(1, 2))  # few rows are worth a closer look
    blank = (image[alike] == first[alike]).all(axis=(1, 2))
    return float(blank.sum() / len(image))


def _bands(grey: cv2.typing.MatLike) -> cv2.typing.MatLike:
    """The picture, or of a large one even bands of whole rows, `_MOST_PX` in all: noise and sharpness show in a part of it."""
    height, width = grey.shape
    count = max(1, _MOST_PX // (width * _BAND_PX))
    if height <= count * _BAND_PX:
        return grey
    starts = np.linspace(0, height - _BAND_PX, count).astype(int)
    return np.concatenate([grey[start : start + _BAND_PX] for start in starts])


def _step(values: cv2.typing.MatLike) -> float:
    """The mean difference between neighbours, along rows and along columns."""
    return sum(float(np.abs(np.diff(values, axis=axis)).mean()) if values.shape[axis] > 1 else 0.0 for axis in (0, 1))
