"""PASS and REJECT limits that keep a promised miss rate, and what other promises would cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.special import expit, logit

from kizu_inspect.bundle import Bundle, NoveltyLimit, Promise, Thresholds
from kizu_inspect.decide import most_log_odds
from kizu_inspect.errors import DataError
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.dataset import Sample
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.network.devices import pick_device
from kizu_inspect.recipe import UNGATED, Device, Recipe
from kizu_inspect.sums.intervals import clopper_pearson_upper, parts_needed
from kizu_inspect.training.limit_support import cautions_of, resting_on

__all__ = [
    "PROMISES", "Scored", "ThresholdChoice", "TradeOff", "choose_thresholds", "draw_trade_off", "judge_samples", "most_missed",
    "novelty_limit", "trade_off", "write_trade_off",
]  # fmt: skip

PROMISES = (0.10, 0.05, 0.02, 0.01, 0.005)
LIKE_TRAINING = 0.99
"""So large a share of the good pictures counts as like training: the price of noticing the unknown is the rest."""
BATCH = 32
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


def judge_samples(
    bundle: Bundle, samples: Sequence[Sample], device: Device, *, progress: Callable[[int], None] | None = None
) -> Scored:
    """Scores whole pictures as the line will, in tiles or beside references. Raises DataError where one cannot be judged."""
    inspector = Inspector(bundle, Recipe(bundle=bundle.path, gates=UNGATED), device=pick_device(device), max_batch=BATCH)
    good, several = bundle.good_index, bundle.spec.architecture.head.labels == "several"
    scores, novelties, most = [], [], []
    bits = bundle.spec.input.bits
    for start in range(0, len(samples), BATCH):
        some = samples[start : start + BATCH]
        references = [None if sample.reference is None else read_picture(sample.reference, bits=bits) for sample in some]
        batch = inspector.judge([read_picture(sample.path, bits=bits) for sample in some], references=references)
        for index, (sample, judgement) in enumerate(zip(some, batch.judgements, strict=True)):
            if judgement.score is None:
                raise DataError(f"picture {sample.path} cannot be judged", found=judgement.reason, expected="a verdict")
            if good is not None:
                most.append(most_log_odds(batch.views_of(index), good=good, several=several))
            scores.append(judgement.score)
            if judgement.novelty is not None:
                novelties.append(judgement.novelty)
        if progress is not None:
            progress(len(scores))
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
    """Thresholds and one line that says what they rest on."""

    thresholds: Thresholds
    said: str
    cautions: tuple[str, ...] = ()
    """What is doubtful about them, a line each."""

    @property
    def lines(self) -> str:
        """All that there is to say."""
        return "\n".join([self.said, *self.cautions])


def choose_thresholds(scored: Scored, *, promised_miss_rate: float, overkill_limit: float) -> ThresholdChoice:
    """The largest PASS limit that keeps the promise, and the smallest REJECT limit within `overkill_limit`.

    Where no good picture scores between that limit and fainter defects, the PASS limit moves below these, to the middle (of
    log-odds) of their gap to the good ones: it costs nothing, and a defect a little fainter than those of the set is found too.
    Where the set is too small for the promise, both limits are the threshold of best accuracy and promise nothing. A picture
    that decides the PASS limit alone is named in the choice's cautions.
    """
    chosen = _choose(scored, promised_miss_rate=promised_miss_rate, overkill_limit=overkill_limit)

    def pass_limit(scores: Floats, defective: npt.NDArray[np.bool_]) -> float:
        return _pass_limit(scores, defective, promised_miss_rate)

    names = scored.names or tuple(f"picture {number}" for number in range(len(scored.scores)))
    resting = resting_on(scored.scores, scored.defective, pass_limit)
    return replace(chosen, cautions=cautions_of(chosen.thresholds, resting, names))


def _pass_limit(scores: Floats, defective: npt.NDArray[np.bool_], promised_miss_rate: float) -> float:
    """The PASS limit: that of the promise, or of best accuracy where the set is too small for it."""
    bad, good = np.sort(scores[defective]), scores[~defective]
    allowed = most_missed(len(bad), promised_miss_rate)
    if allowed is None or len(good) == 0:
        return _best_accuracy(scores, defective)
    return _lowered(float(bad[allowed]), good, bad)


def _choose(scored: Scored, *, promised_miss_rate: float, overkill_limit: float) -> ThresholdChoice:
    scores, defective = scored.scores, scored.defective
    bad = np.sort(scores[defective])
    good = scores[~defective]
    n = len(bad)
    if most_missed(n, promised_miss_rate) is None or len(good) == 0:
        limit = _best_accuracy(scores, defective)
        said = (
            f"no promise: {n} defective and {len(good)} good validation pictures are too few for a miss rate of "
            f"{promised_miss_rate:.1%}, {parts_needed(promised_miss_rate)} defective ones without a miss are needed"
        )
        return ThresholdChoice(Thresholds(pass_below=limit, reject_from=limit), said)
    pass_below = _pass_limit(scores, defective, promised_miss_rate)  # no more parts lie below it than may be missed
    missed = int((bad < pass_below).sum())
    overkill = sorted({pass_below, *(float(np.nextafter(score, 2)) for score in good if score >= pass_below)})
    reject_from = min(1.0, next(t for t in overkill if float((good >= t).mean()) <= overkill_limit))
    bound = clopper_pearson_upper(missed, n)
    promise = Promise(miss_rate=promised_miss_rate, bound=bound, defective_parts=n, missed=missed)
    said = f"promise kept: {missed} of {n} defective pictures pass, upper bound {bound:.2%} ≤ {promised_miss_rate:.1%}"
    return ThresholdChoice(Thresholds(pass_below=pass_below, reject_from=max(reject_from, pass_below), promise=promise), said)


def novelty_limit(scored: Scored, *, share: float = LIKE_TRAINING) -> NoveltyLimit | None:
    """The novelty that `share` of the good pictures (of all where none is good) do not exceed; None where it is not known."""
    if scored.novelty is None:
        return None
    known = scored.novelty if scored.defective.all() else scored.novelty[~scored.defective]
    return NoveltyLimit(limit=float(np.quantile(known, share, method="higher")), share=share, pictures=len(known))


def _lowered(limit: float, good: Floats, bad: Floats) -> float:
    """A PASS limit lowered as far as that flags no further good picture: to the middle, in log-odds, of the gap above them."""
    passed = good[good < limit]
    if len(passed) == 0:
        return limit
    highest = float(passed.max())
    edges = np.clip([highest, float(bad[bad > highest].min())], 1e-9, 1 - 1e-9)
    middle = float(expit(logit(edges).mean()))
    return middle if highest < middle <= limit else limit


def _best_accuracy(scores: Floats, defective: npt.NDArray[np.bool_]) -> float:
    """The threshold on the score that decides most pictures right; in the middle of its gap."""
    values = np.unique(scores)
    edges = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [1.0]])
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


def draw_trade_off(axes: Axes, scored: Scored, chosen: Thresholds) -> None:
    """Misses over good pictures flagged, for every PASS limit: what was seen, and the bound that may be promised."""
    bad, good = np.sort(scored.scores[scored.defective]), scored.scores[~scored.defective]
    if len(bad) == 0 or len(good) == 0:
        axes.text(0.5, 0.5, "no trade-off without good and defective pictures", ha="center", va="center")
        return
    limits = np.unique(np.concatenate([[0.0], bad, [1.0]]))
    missed = np.searchsorted(bad, limits)
    flagged = [float((good >= limit).mean()) for limit in limits]
    axes.plot(flagged, missed / len(bad), drawstyle="steps-post", label=f"misses seen (of {len(bad)})")
    bounds = [clopper_pearson_upper(int(misses), len(bad)) for misses in missed]
    axes.plot(flagged, bounds, drawstyle="steps-post", label="95 % upper bound")
    here = float((good >= chosen.pass_below).mean())
    axes.axvline(here, color="grey", linestyle=":", label=f"PASS limit {chosen.pass_below:.3f}")
    axes.set(title="Trade-off", xlabel=f"good pictures not passed (of {len(good)})", ylabel="miss rate", xlim=(-0.02, 1.02))
    axes.set_ylim(-0.01, max(0.2, min(1.0, 2 * bounds[0])))
    axes.legend()


def write_trade_off(path: Path, scored: Scored, chosen: Thresholds) -> None:
    """Draws the trade-off as PNG."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    draw_trade_off(figure.subplots(), scored, chosen)
    figure.savefig(path, dpi=110)
