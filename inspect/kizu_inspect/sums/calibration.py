"""How far confidence and accuracy lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kizu_inspect.sums.intervals import Share

__all__ = ["ReliabilityBin", "expected_calibration_error", "reliability"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def expected_calibration_error(probabilities: Floats, labels: Ints, *, bins: int = 15) -> float:
    """Mean distance of confidence and accuracy over equal-width bins of confidence, weighted by their counts (Guo et al.)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(
        sum(
            abs(float(confidence[which == b].mean()) - float(correct[which == b].mean())) * float((which == b).mean())
            for b in np.unique(which)
        )
    )


@dataclass(frozen=True)
class ReliabilityBin:
    """Parts of nearly one defect score: calibrated, their score is the share that is defective."""

    low: float
    high: float
    """The bin's ends, the upper one excluded but for 1."""
    score: float
    """The mean of their scores."""
    defective: Share


def reliability(scores: Sequence[float], defective: Sequence[bool], *, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """Scores of 0 to 1 in equal-width bins beside what the parts are; bins without a part are left out.

    Raises ValueError where there are more of one than of the other.
    """
    gathered: dict[int, list[tuple[float, bool]]] = {}
    for score, bad in zip(scores, defective, strict=True):
        gathered.setdefault(min(bins - 1, int(score * bins)), []).append((score, bad))
    return tuple(
        ReliabilityBin(
            which / bins, (which + 1) / bins, sum(score for score, _ in parts) / len(parts),
            Share(sum(bad for _, bad in parts), len(parts)),
        )
        for which, parts in sorted(gathered.items())
    )  # fmt: skip
