"""Mask files: which pixels they mark, whatever values their tool writes."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from kizu_inspect.labelled.shapes import Pixels

__all__ = ["indices_of", "read_mask"]

DEFECT_ABOVE: Final = 127
FEW: Final = 8
"""A mask of so many values or fewer names things by them; one of more is grey because its edges are smooth."""
VOID: Final = 255
"""The index by which Pascal VOC draws a border between a thing and the ground, which is neither."""


def read_mask(path: Path) -> Pixels | None:
    """The pixels (H, W) that the mask marks, or None where it is no picture.

    Of a mask with few values, or none above 127, all but 0 is marked: 0 and 1, numbers of classes or of things. One with many
    has smooth edges, or came through JPEG, which spoils small values: above 127 is marked. A palette's first index is the
    ground, unless another one is black; 255 beside other indices is the border that belongs to nothing.
    """
    opened = _opened(path)
    if opened is None:
        return None
    values, colours, lossy = opened
    if colours is not None:
        used = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
        black = [int(index) for index in used if not colours[index].any()]
        ground = black[0] if len(black) == 1 else 0
        return np.asarray((values != ground) & ((values != VOID) | (len(used) < 3)))
    grey = values.max(axis=2) if values.ndim == 3 else values
    highest = int(grey.max(initial=0))
    if not lossy and (highest <= DEFECT_ABOVE or len(np.unique(grey)) <= FEW):
        return np.asarray(grey > 0)
    return np.asarray(grey > (DEFECT_ABOVE if grey.dtype == np.uint8 else highest // 2))


def indices_of(path: Path) -> npt.NDArray[np.uint8] | None:
    """The number (H, W) that each pixel has: of a palette its index, of a grey picture its value; None of any other file."""
    opened = _opened(path)
    if opened is None or opened[0].ndim != 2 or opened[0].dtype != np.uint8:
        return None
    return opened[0]


def _opened(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8] | None, bool] | None:
    """Values (H, W) or (H, W, 3), the colours (256, 3) of a palette, and whether the file's kind changes values."""
    try:
        data = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("PNG", "BMP", "TIFF", "JPEG")) as picture:
                lossy = picture.format == "JPEG"
                if picture.mode == "P":
                    colours = np.zeros((256, 3), np.uint8)
                    given = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
                    colours[: len(given)] = given
                    return np.asarray(picture, np.uint8), colours, lossy
                if picture.mode in ("1", "L", "LA", "RGB", "RGBA"):
                    converted = picture.convert(
                        "L" if picture.mode in ("1", "LA") else "RGB" if picture.mode == "RGBA" else picture.mode
                    )
                    return np.asarray(converted, np.uint8), None, lossy
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, SyntaxError, ValueError, cv2.error):
        return None
    return None if decoded is None or decoded.dtype not in (np.uint8, np.uint16) else (np.asarray(decoded), None, False)
