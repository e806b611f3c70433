"""How well a bundle tells good from defect, and the classes apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from kizu_inspect.decide import likely
from kizu_inspect.evaluation.figures import Figure, bootstrap, wilson
from kizu_inspect.results import Judgement, Verdict
from kizu_inspect.sums.calibration import expected_calibration_error

__all__ = ["classification_figures"]


def classification_figures(
    judgements: Sequence[Judgement], labels: Sequence[str], good: str | None, *, several: Sequence[Sequence[str]] | None = None
) -> dict[str, Figure]:
    """accuracy, balanced_accuracy, auroc, miss_rate, overkill_rate, ece and review_rate of judged pictures with known labels.

    `several` are all labels of each picture, for a model that judges each class for itself: `exact` is then the share of the
    pictures whose defect classes are found all, and no other.

    Positive means defective. A miss is a defective picture that passes, overkill a good one that is rejected; REVIEW is
    neither. Pictures with verdict ERROR stay out of every figure.
    """
    kept = [(one, label) for one, label in zip(judgements, labels, strict=True) if one.verdict is not Verdict.ERROR]
    predicted = np.array([one.predicted for one, _ in kept], dtype=object)
    truth = np.array([label for _, label in kept], dtype=object)
    classes = list(kept[0][0].probabilities) if kept else []
    probabilities = np.array([[one.probabilities[name] for name in classes] for one, _ in kept]).reshape(len(kept), -1)
    indices = np.array([classes.index(label) for label in truth], dtype=np.int64)
    scores = np.array([one.score for one, _ in kept], dtype=np.float64)
    verdicts = np.array([one.verdict for one, _ in kept], dtype=object)
    defective = truth != good

    def auroc(rows: npt.NDArray[np.int64]) -> float:
        chosen = defective[rows]
        return float(roc_auc_score(chosen, scores[rows])) if chosen.any() and not chosen.all() else float("nan")

    n = len(kept)
    figures = {
        "accuracy": wilson(int((predicted == truth).sum()), n),
        "balanced_accuracy": bootstrap(n, lambda rows: _balanced_accuracy(truth[rows], predicted[rows])),
        "ece": bootstrap(n, lambda rows: expected_calibration_error(probabilities[rows], indices[rows])),
    }
    if several is not None:
        judged = zip(judgements, several, strict=True)
        wanted = [set(names) - {good} for one, names in judged if one.verdict is not Verdict.ERROR]
        index = None if good is None else classes.index(good)
        found = [{classes[column] for column in np.flatnonzero(row)} for row in likely(probabilities, good=index, several=True)]
        figures["exact"] = wilson(sum(a == b for a, b in zip(wanted, found, strict=True)), n)
    if good is not None:
        figures["auroc"] = bootstrap(n, auroc)
        figures["miss_rate"] = wilson(int((defective & (verdicts == Verdict.PASS)).sum()), int(defective.sum()))
        figures["overkill_rate"] = wilson(int((~defective & (verdicts == Verdict.REJECT)).sum()), int((~defective).sum()))
        figures["review_rate"] = wilson(int((verdicts == Verdict.REVIEW).sum()), n)
    return figures


def _balanced_accuracy(truth: npt.NDArray[np.object_], predicted: npt.NDArray[np.object_]) -> float:
    """Mean recall over the classes that are there."""
    return float(np.mean([(predicted[truth == name] == name).mean() for name in np.unique(truth.astype(str))]))
