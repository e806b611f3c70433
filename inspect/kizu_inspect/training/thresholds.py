"""PASS and REJECT limits that keep a promised miss rate, and what other promises would cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from kizu_inspect.bundle import Bundle, NoveltyLimit, Promise, Thresholds
from kizu_inspect.decide import most_log_odds
from kizu_inspect.labelled.dataset import Sample
from kizu_inspect.recipe import Device
from kizu_inspect.sums.intervals import clopper_pearson_upper, parts_needed
from kizu_inspect.training.gaps import middle, middles
from kizu_inspect.training.judging import judged
from kizu_inspect.training.limit_support import Support, cautions_of, said_of, supports_of

__all__ = [
    "PROMISES", "Scored", "ThresholdChoice", "TradeOff", "choose_thresholds", "judge_samples", "most_missed", "novelty_limit",
    "trade_off",
]  # fmt: skip

PROMISES = (0.10, 0.05, 0.02, 0.01, 0.005)
LIKE_TRAINING = 0.99
"""So large a share of the good pictures counts as like training: the price of noticing the unknown is the rest."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Pictures as the line would score them, with the truth."""

    scores: Floats
    """(N,) 1 − p(good)."""
    defective: npt.NDArray[np.bool_]
    """(N,)"""
    novelty: Floats | None = None
    """(N,) how unlike anything in training; None where the model does not tell."""
    names: tuple[str, ...] = ()
    """(N,) what people call the pictures; () where nobody asks."""
    most_log_odds: Floats | None = None
    """(N, C) the most that any view of a picture has for each class, see decide; None where no class is good."""
    apart: bool = True
    """Whether they show other parts than those that weights and temperature were chosen on; else they can promise nothing."""


def judge_samples(
    bundle: Bundle, samples: Sequence[Sample], device: Device, *, progress: Callable[[int], None] | None = None
) -> Scored:
    """Scores whole pictures as the line will, in tiles or beside references. Raises DataError where one cannot be judged."""
    good, several = bundle.good_index, bundle.spec.architecture.head.labels == "several"
    scores, novelties, most = [], [], []
    for _, judgement, views in judged(bundle, samples, device, progress=progress):
        if good is not None:
            most.append(most_log_odds(views, good=good, several=several))
        assert judgement.score is not None  # it was judged
        scores.append(judgement.score)
        if judgement.novelty is not None:
            novelties.append(judgement.novelty)
    defective = np.array([sample.label != bundle.spec.good for sample in samples], np.bool_)
    names = tuple(str(sample.path) for sample in samples)
    return Scored(
        np.array(scores), defective, np.array(novelties) if novelties else None, names, np.array(most) if most else None
    )


@cache
def most_missed(defective: int, miss_rate: float) -> int | None:
    """How many of so many defective parts may pass while a promise of `miss_rate` holds; None where not even 0 keeps it."""
    return max((k for k in range(defective) if clopper_pearson_upper(k, defective) <= miss_rate), default=None)


@dataclass(frozen=True)
class ThresholdChoice:
    """Thresholds and what they rest on."""

    thresholds: Thresholds
    said: str
    """One line: what is promised, or why nothing is."""
    cautions: tuple[str, ...] = ()
    """What is doubtful about them, a line each."""
    supports: tuple[Support, ...] = ()
    """What each limit rests on; pictures are numbered as those that were scored."""
    resting: tuple[str, ...] = ()
    """The same of limits that no single picture decides, a line each."""

    @property
    def lines(self) -> str:
        """All that there is to say."""
        return "\n".join([self.said, *self.cautions, *self.resting])


def choose_thresholds(scored: Scored, *, promised_miss_rate: float, overkill_limit: float) -> ThresholdChoice:
    """The largest PASS limit that keeps the promise, and the smallest REJECT limit within `overkill_limit`.

    Both lie in the middle (of log-odds) of their gaps. Where no good picture scores between the PASS limit and fainter defects,
    it moves below these: it costs nothing, and a defect a little fainter than those of the set is found too. Where the set is
    too small for the promise, both limits are the threshold of best accuracy and promise nothing. A picture that decides a
    limit alone is named in the choice's cautions.
    """
    chosen = _choose(scored, promised_miss_rate=promised_miss_rate, overkill_limit=overkill_limit)

    def limits_of(scores: Floats, defective: npt.NDArray[np.bool_]) -> tuple[float, float]:
        some = replace(scored, scores=scores, defective=defective)
        limits = _choose(some, promised_miss_rate=promised_miss_rate, overkill_limit=overkill_limit).thresholds
        return limits.pass_below, limits.reject_from

    names = scored.names or tuple(f"picture {number}" for number in range(len(scored.scores)))
    supports = supports_of(scored.scores, scored.defective, limits_of)
    return replace(
        chosen, supports=supports, cautions=cautions_of(chosen.thresholds, supports, names),
        resting=said_of(supports, scored.scores, names),
    )  # fmt: skip


def _choose(scored: Scored, *, promised_miss_rate: float, overkill_limit: float) -> ThresholdChoice:
    scores, defective = scored.scores, scored.defective
    bad, good = np.sort(scores[defective]), np.sort(scores[~defective])
    allowed = most_missed(len(bad), promised_miss_rate)
    if not scored.apart or allowed is None or len(good) == 0:
        limit = _best_accuracy(scores, defective)
        said = _no_promise(scored, promised_miss_rate)
        return ThresholdChoice(Thresholds(pass_below=limit, reject_from=limit), said)
    pass_below = _pass_limit(good, bad, allowed)  # no more parts lie below it than may be missed
    reject_from = _reject_limit(scores, good, pass_below, overkill_limit)
    missed = int((bad < pass_below).sum())
    bound = clopper_pearson_upper(missed, len(bad))
    promise = Promise(miss_rate=promised_miss_rate, bound=bound, defective_parts=len(bad), missed=missed)
    said = f"promise kept: {missed} of {len(bad)} defective pictures pass, upper bound {bound:.2%} ≤ {promised_miss_rate:.1%}"
    return ThresholdChoice(Thresholds(pass_below=pass_below, reject_from=reject_from, promise=promise), said)


def _no_promise(scored: Scored, promised_miss_rate: float) -> str:
    """Why nothing is promised."""
    bad, good = int(scored.defective.sum()), int((~scored.defective).sum())
    if not scored.apart:
        said = (
            "no promise: all validation pictures are of one group, so the {count} that set the limits may show the same parts "
            "as those that chose the weights; pictures of two groups or more are needed"
        )
        return said.format(count=bad + good)
    return (
        f"no promise: {bad} defective and {good} good pictures, in the half of the validation split that sets limits, are too "
        f"few for a miss rate of {promised_miss_rate:.1%}: {parts_needed(promised_miss_rate)} defective ones without a miss "
        "are needed"
    )


def _pass_limit(good: Floats, bad: Floats, allowed: int) -> float:
    """The largest limit below which no more than `allowed` of `bad` lie, lowered as far as that flags no further good picture.

    Both are in order. It lies in the middle of the gap between the highest good picture that passes and the next defective one;
    where no good picture passes, above the defective ones that may be missed.
    """
    limit = float(bad[allowed])
    passed, missed = good[good < limit], bad[bad < limit]
    if len(passed):
        highest = float(passed[-1])
        return middle(highest, float(bad[bad > highest][0]))
    return middle(float(missed[-1]), limit) if len(missed) else limit


def _reject_limit(scores: Floats, good: Floats, pass_below: float, overkill_limit: float) -> float:
    """The smallest limit from `pass_below` on that rejects no more of `good` (in order), in the middle of its gap."""
    allowed = max(count for count in range(len(good) + 1) if count / len(good) <= overkill_limit)
    highest = float(good[len(good) - 1 - allowed]) if allowed < len(good) else 0.0  # the highest that is not rejected
    if highest < pass_below:
        return pass_below
    above = scores[scores > highest]
    return middle(highest, float(above.min())) if len(above) else min(1.0, float(np.nextafter(highest, 2)))


def novelty_limit(scored: Scored, *, share: float = LIKE_TRAINING) -> NoveltyLimit | None:
    """The novelty that `share` of the good pictures (of all where none is good) do not exceed; None where it is not known."""
    if scored.novelty is None:
        return None
    known = scored.novelty if scored.defective.all() else scored.novelty[~scored.defective]
    return NoveltyLimit(limit=float(np.quantile(known, share, method="higher")), share=share, pictures=len(known))


def _best_accuracy(scores: Floats, defective: npt.NDArray[np.bool_]) -> float:
    """The threshold on the score that decides most pictures right; in the middle of its gap."""
    values = np.unique(scores)
    edges = np.concatenate([[0.0], middles(values[:-1], values[1:]), [1.0]])
    bad, good = np.sort(scores[defective]), np.sort(scores[~defective])
    right = len(bad) - np.searchsorted(bad, edges) + np.searchsorted(good, edges)
    best = [float(edge) for edge in edges[right == right.max()]]
    return best[(len(best) - 1) // 2]  # of two the lower: 1 is as good as the gap's middle where all defects score 1


@dataclass(frozen=True)
class TradeOff:
    """What one promise costs on the pictures at hand."""

    promised_miss_rate: float
    needed: int
    """Defective pictures without a miss that it takes at least."""
    chosen: Thresholds | None
    """None where the set is too small for it."""
    reviewed: float | None
    """Share of the good pictures that go to REVIEW: the price of a promise."""
    rejected: float | None
    """Share of the good pictures that are rejected: overkill."""


def trade_off(scored: Scored, *, overkill_limit: float, promises: Sequence[float] = PROMISES) -> list[TradeOff]:
    """What each of several promises would cost."""
    rows = []
    good = scored.scores[~scored.defective]
    for promise in promises:
        limits = _choose(scored, promised_miss_rate=promise, overkill_limit=overkill_limit).thresholds
        if limits.promise is None:
            rows.append(TradeOff(promise, parts_needed(promise), None, None, None))
            continue
        rejected = float((good >= limits.reject_from).mean())
        flagged = float((good >= limits.pass_below).mean())
        rows.append(TradeOff(promise, parts_needed(promise), limits, flagged - rejected, rejected))
    return rows
