"""Where a picture's defects lie, as boxes or masks say."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kizu_inspect.errors import DataError
from kizu_inspect.training.dataset import Box, Sample

__all__ = ["UNSURE", "Places", "defects_of", "places_of"]

UNSURE = 255
BORDER_PX = 8
"""So far beside a defect's box it is not sure what a pixel shows."""
Places = npt.NDArray[np.uint8]
"""(H, W) what each pixel shows: 1 + its class, 0 without a defect, UNSURE near a defect's border or where it is not known."""


def defects_of(sample: Sample, size_px: tuple[int, int]) -> tuple[Box, ...]:
    """The sample's boxes, or those around the pieces of its mask. Raises DataError."""
    height, width = size_px
    for x1, y1, x2, y2, name in sample.boxes:
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise DataError(
                f"a box lies beyond its picture {sample.path}", found=f"{[x1, y1, x2, y2, name]}",
                expected=f"within {width} × {height} px", next_step="Mend the manifest.",
            )  # fmt: skip
    if sample.boxes or sample.mask is None:
        return sample.boxes
    _, _, stats, _ = cv2.connectedComponentsWithStats(_mask(sample, size_px).astype(np.uint8), connectivity=8)
    return tuple(
        (int(x), int(y), int(x + width), int(y + height), sample.label) for x, y, width, height, _ in stats[1:].tolist()
    )


def places_of(sample: Sample, defects: Sequence[Box], classes: Sequence[str], size_px: tuple[int, int]) -> Places:
    """What each pixel of the picture shows, for defects as `defects_of` gives them. Raises DataError."""
    places = np.zeros(size_px, np.uint8)
    for x1, y1, x2, y2, _ in defects:
        places[max(0, y1 - BORDER_PX) : y2 + BORDER_PX, max(0, x1 - BORDER_PX) : x2 + BORDER_PX] = UNSURE
    if sample.boxes or not defects:
        for x1, y1, x2, y2, name in defects:
            places[y1:y2, x1:x2] = classes.index(name) + 1
    else:
        places[_mask(sample, size_px)] = classes.index(sample.label) + 1
    return places


def _mask(sample: Sample, size_px: tuple[int, int]) -> npt.NDArray[np.bool_]:
    mask = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != size_px:
        found = "not a picture" if mask is None else f"{mask.shape[1]} × {mask.shape[0]} px"
        raise DataError(
            f"mask {sample.mask} does not fit its picture", found=found, expected=f"{size_px[1]} × {size_px[0]} px",
            next_step="Mend it, leave it out, or train with --no-places.",
        )  # fmt: skip
    return np.asarray(mask > 127)
