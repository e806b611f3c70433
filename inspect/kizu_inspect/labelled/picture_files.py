"""Reading the picture files of a labelled set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kizu_inspect.errors import DataError, ImageError
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.picture.decoding import decode_image, picture_size
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.picture.reference import Grey, align, grey_of
from kizu_inspect.recipe import Bits

__all__ = ["known_sizes", "read_picture", "read_reference"]


def known_sizes(samples: Iterable[Sample]) -> dict[Path, tuple[int, int]]:
    """Width and height in px of each picture, by its header; without those that cannot be read, which others name."""
    sizes = {}
    for sample in samples:
        try:
            sizes[sample.path] = picture_size(sample.path)
        except (OSError, ImageError):
            continue
    return sizes


def read_reference(sample: Sample, picture: npt.NDArray[np.uint8], inputs: InputSettings) -> Grey:
    """The sample's reference (H, W), laid over its picture (H, W, 3). Raises DataError."""
    if sample.reference is None:
        raise DataError(
            f"picture {sample.path} has no reference", found="an empty reference column", expected="a picture without a defect",
            next_step="Name one in the manifest, or train with another profile.",
        )  # fmt: skip
    try:
        return align(picture, grey_of(read_picture(sample.reference, bits=inputs.bits)), inputs.alignment).reference
    except ImageError as error:
        raise DataError(f"picture {sample.path} cannot be compared with {sample.reference}", found=str(error)) from None


def read_picture(path: Path, *, bits: Bits | None = None) -> npt.NDArray[np.uint8]:
    """The picture in the file, (H, W, 3) RGB; `bits` as of `decode_image`. Raises DataError."""
    try:
        return decode_image(path.read_bytes(), bits=bits)
    except (OSError, ImageError) as error:
        raise DataError(
            f"picture {path} cannot be read", found=str(error), expected="a picture",
            next_step="Mend or remove it, then train again.",
        ) from None  # fmt: skip
