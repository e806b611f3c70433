"""Learning what pictures of the part look like, whatever they show of it: the limits of the quality gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import exp, log, sqrt
from typing import Final

import numpy as np

from kizu_inspect.gates import MEASURES
from kizu_inspect.labelled.dataset import Sample
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.picture.quality import measure
from kizu_inspect.recipe import Bits

__all__ = ["LEAST_PICTURES", "gates_from", "learn_gates"]

LEAST_PICTURES: Final = 50
"""Fewer pictures do not tell what the next one may look like."""
MOST_PICTURES: Final = 500
"""More would only take longer: the picture files are read once more for it."""
_TAIL: Final = 0.005
_WIDER_FOR_FEW: Final = 10.0
"""The tails of n pictures are known to some 1/√n: at 100 pictures limits lie twice as far out as at very many."""
_LEAST_SCALED: Final = 0.1
"""Below it what is measured on a scale of ratios counts as this."""


def learn_gates(samples: Sequence[Sample], *, seed: int, bits: Bits | None = None) -> dict[str, tuple[float, float]] | None:
    """Limits for each measure from these pictures, good and defective (at most 500 of them, drawn by `seed`).

    None where there are fewer than 50. Raises DataError: a picture that cannot be read.
    """
    if len(samples) < LEAST_PICTURES:
        return None
    chosen = np.random.default_rng(seed).permutation(len(samples))[:MOST_PICTURES]
    with ThreadPoolExecutor(max_workers=4) as pool:
        return gates_from(list(pool.map(lambda index: measure(read_picture(samples[index].path, bits=bits)), chosen)))


def gates_from(measured: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Limits for each measure, as far outside of the pictures' tails as the tails are from the middle, and farther for few.

    The tails are the quantiles 0.005 and 0.995: single odd pictures of the training do not open a gate for their like. A
    measure in which all pictures are alike keeps the room that `MEASURES` gives it; what scales is taken by its logarithm.
    """
    farther = 1 + _WIDER_FOR_FEW / sqrt(len(measured))
    limits = {}
    for name, one in MEASURES.items():
        values = np.array([m[name] for m in measured])
        scaled = np.log(np.maximum(values, _LEAST_SCALED)) if one.scales else values
        low, middle, high = (float(value) for value in np.quantile(scaled, [_TAIL, 0.5, 1 - _TAIL]))
        room = log(1 + one.room) if one.scales else one.room
        least, most = low - max(farther * (middle - low), room), high + max(farther * (high - middle), room)
        limits[name] = (exp(least), exp(most)) if one.scales else (least, most)
    return limits
