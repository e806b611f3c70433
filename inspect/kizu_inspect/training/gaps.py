"""Where in a gap between two scores a limit lies: every place decides the pictures at hand alike, and not those to come."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

__all__ = ["log_odds", "middle", "middles"]

LEAST: Final = 1e-9
"""Scores are told apart by odds from here on, and up to as near to 1."""
SURE: Final = 0.999
"""A defect is one whether the network is sure or surer still: a gap that ends above is halved as if it ended here."""
Floats = npt.NDArray[np.float64]


def log_odds(scores: npt.ArrayLike) -> Floats:
    """Log-odds of scores in [0, 1], of 0 and 1 finite ones: at most 20.7 either way."""
    return np.asarray(logit(np.clip(scores, LEAST, 1 - LEAST)), np.float64)


def middles(low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """The middles in log-odds of gaps: each above `low` and at most `high` (same shapes, `low` < `high`).

    A part scores by its log-odds, on which light and camera act alike everywhere: 0.001 is as far from 0.01 as 0.99 from 0.999.
    """
    below, above = np.asarray(low, np.float64), np.asarray(high, np.float64)
    found = np.array(above)  # where doubles are too coarse, or scores beyond the odds that are told apart
    for surest in (1.0, SURE):
        middle = expit((log_odds(below) + log_odds(np.minimum(above, surest))) / 2)
        inside = (below < middle) & (middle <= above)
        found = np.where(inside, middle, found)
    return found


def middle(low: float, high: float) -> float:
    """One of `middles`."""
    return float(middles(low, high))
