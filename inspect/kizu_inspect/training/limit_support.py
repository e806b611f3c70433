"""What limits rest on: a PASS limit that one odd picture decides is no limit to run a line by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from kizu_inspect.bundle import Thresholds

__all__ = ["cautions_of", "resting_on"]

MOST_MOVE: Final = 1.0
"""In log-odds: by so much no single picture may move the PASS limit unnoticed."""
EXTREME: Final = 1e-3
NAMED: Final = 3
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def resting_on(
    scores: Floats, defective: Bools, pass_limit: Callable[[Floats, Bools], float]
) -> list[tuple[int, float, float]]:
    """The pictures without which the PASS limit would lie elsewhere, by 1 or more in log-odds: (index, that limit, the move).

    `pass_limit` makes the limit of scores (N,) and truths (N,). The largest move comes first.
    """
    here = _log_odds(pass_limit(scores, defective))
    found = []
    known: dict[tuple[float, bool], float] = {}  # pictures of one score and kind are worth the same
    for index in range(len(scores)):
        kind = float(scores[index]), bool(defective[index])
        if kind not in known:
            known[kind] = pass_limit(np.delete(scores, index), np.delete(defective, index))
        move = abs(_log_odds(known[kind]) - here)
        if move >= MOST_MOVE:
            found.append((index, known[kind], move))
    return sorted(found, key=lambda one: -one[2])


def cautions_of(thresholds: Thresholds, resting: Sequence[tuple[int, float, float]], names: Sequence[str]) -> tuple[str, ...]:
    """What to say of limits, a line each: the pictures that decide the PASS limit alone, and limits that leave no room."""
    lines = []
    if resting:
        without = "; ".join(f"without {names[index]} it would be {limit:.2g}" for index, limit, _ in resting[:NAMED])
        moved = [limit for _, limit, _ in resting]
        # Where one picture fewer changes how many may be missed, or whether anything can be promised, nearly all of them do.
        more = (
            f". In all {len(resting)} pictures do, each by itself, to between {min(moved):.2g} and {max(moved):.2g}: the set "
            "is too small to carry this limit"
            if len(resting) > NAMED
            else ""
        )
        lines.append(
            f"look at these pictures: the PASS limit {thresholds.pass_below:.2g} hangs on single ones: {without}{more}. "
            "A wrong label, or too few validation pictures."
        )
    low, high = thresholds.pass_below, thresholds.reject_from
    if low == high and (low < EXTREME or low > 1 - EXTREME):
        everything = "rejects" if low < EXTREME else "passes"
        lines.append(f"PASS and REJECT limit are both {low:.2g}: a little drift of light or camera {everything} everything")
    return tuple(lines)


def _log_odds(limit: float) -> float:
    return float(logit(np.clip(limit, 1e-9, 1 - 1e-9)))
