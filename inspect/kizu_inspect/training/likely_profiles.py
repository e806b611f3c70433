"""Which input profiles suit a set, by how alike its pictures are."""

from __future__ import annotations

import cv2
import numpy as np

from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.picture.inputs import ProfileName
from kizu_inspect.recipe import Bits

__all__ = ["likely_profiles", "likeness"]

COMPARED_PICTURES = 200
COMPARED_PX = 64
UNLIKE, ALIKE = 0.3, 0.5
"""Drawn plates are alike by 0.77, pictures of magnetic tiles by 0.18, crops of boards by 0.00."""


def likely_profiles(data: LabelledSet, *, tiled: bool, bits: Bits | None = None) -> tuple[ProfileName, ...]:
    """Which input profiles suit the set: reference where every picture has one, else by how alike the pictures are.

    part where they are alike, surface where they are not (and always in tiles), both to try where that is in doubt.
    """
    if all(sample.reference is not None for sample in data.samples):
        return ("reference",)
    alike = 0.0 if tiled else likeness(data, bits=bits)
    return ("part",) if alike >= ALIKE else ("surface",) if alike < UNLIKE else ("part", "surface")


def likeness(data: LabelledSet, *, bits: Bits | None = None) -> float:
    """How alike the training pictures are (the good ones where there are some): their mean correlation by pairs, −1 to 1.

    Of 200 of them at 64 × 64 px without what varies slowly: light that falls in alike from one side is no common shape.
    """
    train = data.split("train")
    chosen = [sample for sample in train if sample.label == data.good] or list(train)
    rows = np.random.default_rng(0).permutation(len(chosen))[:COMPARED_PICTURES]
    total, count = np.zeros((COMPARED_PX, COMPARED_PX)), 0
    for row in rows:
        grey = read_picture(chosen[row].path, bits=bits).mean(axis=2)
        small = cv2.resize(grey, (COMPARED_PX, COMPARED_PX), interpolation=cv2.INTER_AREA)
        shapes = small - cv2.GaussianBlur(small, (0, 0), COMPARED_PX / 8)
        shapes -= shapes.mean()
        length = float(np.linalg.norm(shapes))
        if length > 0:
            total += shapes / length
            count += 1
    if count < 2:
        return 0.0
    return float((np.square(total).sum() - count) / (count * (count - 1)))  # |Σz|² less each one with itself
