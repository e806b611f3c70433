"""The golden picture of a model: the mean of the good pictures that it learned from, read without loading the model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from safetensors import SafetensorError, safe_open

from kizu_inspect.errors import BundleError, ImageError
from kizu_inspect.picture.images import place
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.picture.reference import Grey, grey_of
from kizu_inspect.results import ImageRGB

__all__ = ["WEIGHTS_FILE", "golden_over", "read_golden"]

WEIGHTS_FILE: Final = "weights.safetensors"
_TENSOR: Final = "profile.golden"


def read_golden(bundle: Path, *, weights_sha256: str) -> Grey:
    """The golden picture (h, w), at the size of the network's input, of the model in the folder `bundle`.

    Raises BundleError where the weights are gone, are not those of this SHA-256, or have no golden picture.
    """
    weights = bundle / WEIGHTS_FILE
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != weights_sha256:
            raise BundleError(
                f"weights in {weights} are not those of the model that judged", found=f"SHA-256 {found[:12]}…",
                expected=f"{weights_sha256[:12]}…",
            )  # fmt: skip
        with safe_open(weights, framework="numpy") as tensors:
            golden = np.asarray(tensors.get_tensor(_TENSOR), np.float32)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"weights in {weights} have no golden picture that can be read", found=str(error)[:200]) from None
    if golden.ndim != 3 or golden.size == 0:
        raise BundleError(f"weights in {weights} have no golden picture", found=f"shape {golden.shape}", expected="(1, h, w)")
    return np.asarray(np.rint(golden[0].clip(0, 1) * 255), np.uint8)


def golden_over(
    picture: ImageRGB, golden: Grey, inputs: InputSettings, region: tuple[int, int, int, int] | None = None
) -> ImageRGB:
    """The golden picture where the model compares it with `picture` (H, W, 3): over the whole of it or a region of interest.

    Beside the region it is the picture in grey. Raises ImageError for a golden picture of another size than the network's
    input, and a region that lies beyond the picture.
    """
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = region or (0, 0, width, height)
    if golden.shape != inputs.size_px or x2 > width or y2 > height:
        raise ImageError(
            "the golden picture does not go with this picture", found=f"{golden.shape}, region {(x1, y1, x2, y2)}",
            expected=f"{inputs.size_px}, a region within {width} × {height} px",
        )  # fmt: skip
    placed = place(x2 - x1, y2 - y1, input_px=inputs.size_px, policy=inputs.resize)
    left, top = placed.offset_x_px, placed.offset_y_px
    right, bottom = left + round((x2 - x1) * placed.scale_x), top + round((y2 - y1) * placed.scale_y)
    seen = grey_of(picture)
    seen[y1:y2, x1:x2] = cv2.resize(golden[top:bottom, left:right], (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
    return np.repeat(seen[:, :, None], 3, axis=2)
