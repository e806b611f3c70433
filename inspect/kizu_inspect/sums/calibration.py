"""How far confidence and accuracy lie apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["expected_calibration_error"]

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
