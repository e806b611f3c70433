"""Class folders of pictures that are alike to a chosen degree: from textures (0) to one part in its place (1)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIDE = 64


def write_alike(out: Path, *, count: int, alike: float) -> Path:
    """`count` grey pictures in two class folders, whose mean correlation by pairs is about `alike`."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(SIDE, SIDE))
    for number in range(count):
        label = ("good", "dark")[number % 2]
        (out / label).mkdir(parents=True, exist_ok=True)
        picture = 128 + 30 * (np.sqrt(alike) * common + np.sqrt(1 - alike) * rng.normal(size=(SIDE, SIDE)))
        if label == "dark":
            picture[20:36, 24:40] -= 60
        cv2.imwrite(str(out / label / f"{number}.png"), np.clip(picture, 0, 255).astype(np.uint8))
    return out
