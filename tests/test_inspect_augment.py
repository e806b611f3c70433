"""Augmentation moves picture and golden picture together, and nothing else than it says."""

from __future__ import annotations

import cv2
import numpy as np

from kizu_inspect.training.augment import Augmentation

GOLDEN = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (40, 56), dtype=np.uint8), (0, 0), 2)


def test_the_golden_picture_moves_with_the_picture() -> None:
    augment = Augmentation(height_px=40, width_px=56, shift_px=6, seed=1)
    marked = np.zeros_like(GOLDEN)
    marked[10:14, 20:26] = 255  # found again in both, whatever the lighting
    moved = [augment(cv2.merge([marked, marked, marked]), marked) for _ in range(50)]
    assert all(image.shape == (40, 56, 3) and golden.shape == (40, 56) for image, (golden,) in moved)
    assert all((golden > 0).any() and np.array_equal(image[..., 0] > 127, golden > 127) for image, (golden,) in moved)


def test_shifts_reach_as_far_as_they_say() -> None:
    augment = Augmentation(height_px=40, width_px=56, shift_px=6, seed=2)
    spot = np.zeros_like(GOLDEN)
    spot[19:21, 27:29] = 255  # in the middle: flips leave it where it is
    rows, columns = zip(
        *(np.argwhere(augment(cv2.merge([spot] * 3), spot)[1][0] > 0).mean(axis=0) for _ in range(300)), strict=True
    )
    assert (min(rows), max(rows)) == (19.5 - 6, 19.5 + 6)
    assert (min(columns), max(columns)) == (27.5 - 6, 27.5 + 6)


def test_the_same_seed_makes_the_same_pictures() -> None:
    first, second = (Augmentation(height_px=40, width_px=56, shift_px=6, seed=3) for _ in range(2))
    for _ in range(5):
        assert np.array_equal(first(cv2.merge([GOLDEN] * 3), GOLDEN)[0], second(cv2.merge([GOLDEN] * 3), GOLDEN)[0])
