"""How well judgements of the same parts agree, with the truth and with each other (attribute MSA)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kizu_inspect.sums.intervals import Share

__all__ = [
    "Agreement", "Grade", "PairAgreement", "attribute_agreement", "cohen_kappa", "fleiss_kappa", "pair_agreement",
]  # fmt: skip


class Grade(StrEnum):
    """What a figure of an attribute study is worth."""

    ACCEPTABLE = "acceptable"
    MARGINAL = "marginal"
    UNACCEPTABLE = "unacceptable"


@dataclass(frozen=True)
class Agreement:
    """One appraiser, a person or a system, against known parts judged several times each.

    Limits are those of the AIAG's Measurement Systems Analysis (4th edition): acceptable with an effectiveness of 90 % or more,
    a miss rate up to 2 % and a false alarm rate up to 5 %; marginal with 80, 5 and 10 %.
    """

    effectiveness: Share
    """Parts judged right every time, of all parts."""
    miss_rate: Share
    """Judgements of defective parts that say good, of all of these."""
    false_alarm_rate: Share
    """Judgements of good parts that say defective, of all of these."""

    @property
    def grades(self) -> tuple[Grade, Grade, Grade]:
        """Of effectiveness, miss rate and false alarm rate."""
        return (
            _grade(self.effectiveness.n - self.effectiveness.hits, self.effectiveness.n, 0.10, 0.20),
            _grade(self.miss_rate.hits, self.miss_rate.n, 0.02, 0.05),
            _grade(self.false_alarm_rate.hits, self.false_alarm_rate.n, 0.05, 0.10),
        )

    @property
    def grade(self) -> Grade:
        """The worst of the three."""
        return max(self.grades, key=list(Grade).index)


def attribute_agreement(defective: Sequence[bool], judged: Sequence[Sequence[bool]]) -> Agreement:
    """One appraiser's figures: whether each part is defective (N), and how it was judged each time (N of T ≥ 1).

    True stands for defective in both. Raises ValueError where the numbers of parts or of judgements a part differ, or where
    good or defective parts are missing.
    """
    if len(defective) != len(judged):
        raise ValueError(f"expected judgements of each known part, found {len(judged)} for {len(defective)} parts")
    _times(judged)
    if not any(defective) or all(defective):
        raise ValueError(f"expected both good and defective parts, found {sum(defective)} defective of {len(defective)}")
    right = sum(all(one == truth for one in times) for truth, times in zip(defective, judged, strict=True))
    of_bad = [one for truth, times in zip(defective, judged, strict=True) if truth for one in times]
    of_good = [one for truth, times in zip(defective, judged, strict=True) if not truth for one in times]
    return Agreement(
        Share(right, len(defective)), Share(len(of_bad) - sum(of_bad), len(of_bad)), Share(sum(of_good), len(of_good))
    )


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Agreement of two judges of the same parts beyond chance, −1 to 1 (Cohen, 1960).

    None where both always say the same one class. Raises ValueError where there are no parts, or one judged more of them
    than the other.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"expected two judgements of each of one part or more, found {len(first)} and {len(second)}")
    codes = {label: code for code, label in enumerate(dict.fromkeys([*first, *second]))}
    if len(codes) == 1:
        return None
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    return float(cohen_kappa_score([codes[label] for label in first], [codes[label] for label in second]))


@dataclass(frozen=True)
class PairAgreement:
    """Two judges of the same parts."""

    alike: Share
    """Parts of which both said the same."""
    kappa: float | None
    """Beyond chance; None where both always say the same one class."""

    @property
    def grade(self) -> Grade:
        """By the limits of effectiveness: acceptable from 90 %, marginal from 80 %."""
        return _grade(self.alike.n - self.alike.hits, self.alike.n, 0.10, 0.20)


def pair_agreement(first: Sequence[Hashable], second: Sequence[Hashable]) -> PairAgreement:
    """How often they say the same. Raises ValueError as `cohen_kappa`."""
    kappa = cohen_kappa(first, second)
    return PairAgreement(Share(sum(one == other for one, other in zip(first, second, strict=True)), len(first)), kappa)


def fleiss_kappa(judged: Sequence[Sequence[Hashable]]) -> float | None:
    """Agreement beyond chance of several judgements of each part (N of R ≥ 2), by whomever (Fleiss, 1971).

    At most 1; None where all say the same one class. Raises ValueError where there are no parts, fewer than two judgements
    of a part, or more of one part than of another.
    """
    if _times(judged) < 2:
        raise ValueError("expected two judgements or more of each part, found 1")
    classes = list(dict.fromkeys(label for labels in judged for label in labels))
    if len(classes) == 1:
        return None
    from statsmodels.stats import inter_rater  # takes a second to import

    counted = [Counter(labels) for labels in judged]
    return float(inter_rater.fleiss_kappa([[counts[name] for name in classes] for counts in counted]))


def _times(judged: Sequence[Sequence[object]]) -> int:
    """How often each part was judged."""
    times = sorted({len(one) for one in judged})
    if len(times) != 1 or times[0] == 0:
        raise ValueError(f"expected every part judged equally often, once or more, found {times or 'no parts'}")
    return times[0]


def _grade(wrong: int, n: int, acceptable: float, marginal: float) -> Grade:
    if wrong / n <= acceptable:
        return Grade.ACCEPTABLE
    return Grade.MARGINAL if wrong / n <= marginal else Grade.UNACCEPTABLE
