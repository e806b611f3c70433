"""Pictures that are the same, or nearly, on both sides of a split."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kizu_inspect.results import ImageRGB

__all__ = ["ALIKE", "FEWEST", "Floats", "Numbers", "clusters", "look_of", "nearest_alike"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
SIDE = 32
ALIKE = 0.98
"""Two pictures at least so correlated are nearly the same.

A hash of 64 bits has no such limit for parts that all look alike: of two different drawn plates, or two magnetic tiles,
the hashes often differ in none. What remains of a picture without the set's mean does: of 3,000 drawn plates no two on
different sides were above 0.976, while a JPEG of quality 60 and a picture of half the size kept 0.982 with theirs at least,
on drawn plates and on magnetic tiles. A picture moved by 1 px keeps some 0.95 to 0.98, so not every twin is found.
"""
FEWEST = 20
"""Fewer pictures do not tell what is common to all of them from what two share."""
PLAIN = 1.0
"""Grey values: a picture that varies less shows nothing by which to know it again."""
BLOCK = 512


def look_of(picture: ImageRGB) -> Floats:
    """What a picture (H, W, 3) is compared by: 32 × 32 grey values without their local mean, so without most of the light."""
    grey = cv2.cvtColor(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), SIDE / 16), np.float32)


def nearest_alike(looks: Floats, sides: Numbers, contents: Numbers) -> list[tuple[int, int, float]]:
    """(i, j, correlation) for each picture i that has one nearly the same on another side: the one most like it.

    `looks` (N, 32, 32); `sides` (N,) number the side on which each lies, `contents` (N,) the file's contents: equal files are
    not meant here. What all pictures share, their mean, is taken off; of fewer than `FEWEST` none is called alike.
    """
    if len(looks) < FEWEST:
        return []
    vectors = (looks - looks.mean(axis=0)).reshape(len(looks), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-3)
    vectors[np.abs(looks).max(axis=(1, 2)) < PLAIN] = 0  # without the mean, all plain pictures would be each other's twins
    found = []
    for start in range(0, len(vectors), BLOCK):
        rows = slice(start, start + BLOCK)
        block = vectors[rows] @ vectors.T  # (BLOCK, N)
        block[(sides[rows, None] == sides) | (contents[rows, None] == contents)] = -1
        best = block.argmax(axis=1)
        values = block[np.arange(len(best)), best]
        found += [(start + int(i), int(best[i]), float(values[i])) for i in np.flatnonzero(values >= ALIKE)]
    return found


def clusters(pairs: Sequence[tuple[int, int]], n: int) -> list[list[int]]:
    """The pictures that pairs tie together, each cluster once, of n pictures."""
    if not pairs:
        return []
    i, j = np.array(pairs).T
    _, labels = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)
    members: dict[int, list[int]] = {}
    for index in sorted({*i.tolist(), *j.tolist()}):
        members.setdefault(int(labels[index]), []).append(index)
    return list(members.values())
