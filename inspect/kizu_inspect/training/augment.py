"""Harmless changes that a picture may show on the line: position, orientation, lighting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing it asks the internet for a newer version
import albumentations as A
import cv2

__all__ = ["Augmentation"]


class Augmentation:
    """Flips, transposition (square pictures), reflected shifts, gain and offset; what lies beside a picture moves with it."""

    def __init__(self, *, height_px: int, width_px: int, shift_px: int, seed: int) -> None:
        steps: list[A.BasicTransform] = [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]
        if height_px == width_px:
            steps.append(A.Transpose(p=0.5))
        steps += [
            A.Pad(shift_px, border_mode=cv2.BORDER_REFLECT_101),  # with the crop a shift, at a quarter of a warp's time
            A.RandomCrop(height_px, width_px),
            A.RandomBrightnessContrast(brightness_limit=0.12, contrast_limit=0.15, p=0.8),
        ]
        self._compose = A.Compose(steps, seed=seed)

    def __call__(
        self, image: npt.NDArray[np.uint8], *beside: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.uint8], tuple[npt.NDArray[np.uint8], ...]]:
        """The changed picture (H, W, 3), and those (H, W) that lie beside it, moved as it was but in their own light; uint8."""
        changed = self._compose(image=image, masks=list(beside))
        return changed["image"], tuple(changed["masks"])

    def state(self) -> list[Any]:
        """What the next changes depend on, as plain values."""
        return [[one.random_generator.bit_generator.state, one.py_random.getstate()] for one in self._drawing]

    def restore(self, state: Sequence[Any]) -> None:
        """Goes on as where the state was taken."""
        for one, (of_numpy, of_python) in zip(self._drawing, state, strict=True):
            one.random_generator.bit_generator.state = of_numpy
            one.py_random.setstate(of_python)

    @property
    def _drawing(self) -> tuple[Any, ...]:
        """All that draw: the whole and each of its parts have generators of their own."""
        return (self._compose, *self._compose.transforms)
