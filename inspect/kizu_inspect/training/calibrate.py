"""Temperature, thresholds and display scales, from the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.stats import beta

from kizu_inspect.bundle import Promise, Thresholds
from kizu_inspect.decide import softmax
from kizu_inspect.errors import DataError

__all__ = [
    "ThresholdChoice", "choose_thresholds", "clopper_pearson_upper", "expected_calibration_error", "fit_temperature",
    "parts_needed", "split_by_group",
]  # fmt: skip

CONFIDENCE = 0.95
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def split_by_group(groups: Sequence[str], *, seed: int) -> tuple[Ints, Ints]:
    """Indices of two halves; pictures of one group stay on one side. Raises DataError where all are of one group."""
    names = sorted(set(groups))
    if len(names) < 2:
        raise DataError(
            "too few groups to calibrate on", found=f"{len(groups)} validation pictures of {len(names)} group",
            expected="two groups or more", next_step="Give the validation split pictures of more parts.",
        )  # fmt: skip
    order = np.random.default_rng(seed).permutation(len(names))
    first = {names[index] for index in order[: len(names) // 2]}
    inside = np.array([group in first for group in groups], dtype=bool)
    return np.flatnonzero(inside), np.flatnonzero(~inside)


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """The temperature (0.05 to 20) of least negative log-likelihood (Guo et al., 2017, https://arxiv.org/abs/1706.04599)."""

    def loss(log_temperature: float) -> float:
        p = softmax(logits, temperature=float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(p[np.arange(len(labels)), labels], 1e-300)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


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


def clopper_pearson_upper(misses: int, n: int) -> float:
    """One-sided 95 % upper bound of a rate with `misses` among `n` (Clopper and Pearson, 1934)."""
    return 1.0 if misses >= n else float(beta.ppf(CONFIDENCE, misses + 1, n - misses))


def parts_needed(miss_rate: float) -> int:
    """Defective parts, none of them missed, that a promise of `miss_rate` takes: 59 for 5 %, 149 for 2 %, 299 for 1 %."""
    return int(np.ceil(np.log(1 - CONFIDENCE) / np.log(1 - miss_rate)))


@dataclass(frozen=True)
class ThresholdChoice:
    """Thresholds and one line that says what they rest on."""

    thresholds: Thresholds
    said: str


def choose_thresholds(
    scores: Floats, defective: npt.NDArray[np.bool_], *, promised_miss_rate: float, overkill_limit: float
) -> ThresholdChoice:
    """The largest PASS limit that keeps the promise, and the smallest REJECT limit within `overkill_limit`.

    `scores` (N,) are 1 − p(good), `defective` (N,) the truth. Where the set is too small for the promise, both limits are the
    threshold of best accuracy and promise nothing.
    """
    bad = np.sort(scores[defective])
    good = scores[~defective]
    n = len(bad)
    allowed = max((k for k in range(n) if clopper_pearson_upper(k, n) <= promised_miss_rate), default=None)
    if allowed is None or len(good) == 0:
        limit = _best_accuracy(scores, defective)
        said = (
            f"no promise: {n} defective and {len(good)} good validation pictures are too few for a miss rate of "
            f"{promised_miss_rate:.1%}, {parts_needed(promised_miss_rate)} defective ones without a miss are needed"
        )
        return ThresholdChoice(Thresholds(pass_below=limit, reject_from=limit), said)
    pass_below = float(bad[allowed])  # the parts below it, `allowed` or fewer, pass
    missed = int((bad < pass_below).sum())
    overkill = sorted({pass_below, *(float(np.nextafter(score, 2)) for score in good if score >= pass_below)})
    reject_from = min(1.0, next(t for t in overkill if float((good >= t).mean()) <= overkill_limit))
    bound = clopper_pearson_upper(missed, n)
    promise = Promise(miss_rate=promised_miss_rate, bound=bound, defective_parts=n, missed=missed)
    said = f"promise kept: {missed} of {n} defective pictures pass, upper bound {bound:.2%} ≤ {promised_miss_rate:.1%}"
    return ThresholdChoice(Thresholds(pass_below=pass_below, reject_from=max(reject_from, pass_below), promise=promise), said)


def _best_accuracy(scores: Floats, defective: npt.NDArray[np.bool_]) -> float:
    """The threshold on the score that decides most pictures right; in the middle of its gap."""
    values = np.unique(scores)
    edges = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [1.0]])
    right = [int(((scores >= edge) == defective).sum()) for edge in edges]
    best = [float(edge) for edge, count in zip(edges, right, strict=True) if count == max(right)]
    return best[len(best) // 2]
