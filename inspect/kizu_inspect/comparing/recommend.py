"""Which of several trained candidates to take, by figures of the same validation pictures, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kizu_inspect.evaluation.figures import Figure, bootstrap, wilson
from kizu_inspect.sums.intervals import clopper_pearson_upper
from kizu_inspect.training.thresholds import Scored, choose_thresholds, most_missed

__all__ = ["RULE", "AtPromise", "Measured", "Recommendation", "at_promise", "recommend"]

DRAWS = 1000
AS_CHEAP = 1.5
RULE: Final = (
    "First whoever does not flag significantly more good parts than the best, at a PASS limit that misses at most the promised "
    "share (where no class is good: whoever names significantly fewer pictures right is out); significant is what holds in "
    "97.5 % of 1,000 redraws of the same pictures for all. Of these, whoever points at the defect as often as the best map, "
    f"within its 95 % interval. Of these, whoever costs at most {AS_CHEAP} times the least forward pass. Of these, the lowest "
    "validation loss."
)


@dataclass(frozen=True)
class Measured:
    """What one trained candidate showed on the pictures that limits are set on; the same pictures for all candidates."""

    right: npt.NDArray[np.bool_]
    """(N,) whether the class was found."""
    scored: Scored | None
    """None where no class is good, or a kind of picture is missing."""
    validation_loss: float
    """On the other half, which chose the weights."""
    maps: dict[str, Figure]
    """pointing and enrichment of the default method; empty where no picture says where its defect lies."""
    parameters: int
    steps: int
    seconds_a_step: float | None
    """None where no time was to be kept."""
    alone_ms: float
    """A forward pass of one input of the network."""
    together_ms: float
    """A forward pass of 16 inputs, a sixteenth of it."""

    @property
    def accuracy(self) -> Figure:
        """The share of pictures whose class was found."""
        return wilson(int(self.right.sum()), len(self.right))


@dataclass(frozen=True)
class AtPromise:
    """What a PASS limit costs that misses at most the promised share."""

    pass_below: float
    missed: int
    defective: int
    bound: float
    """One-sided 95 % Clopper-Pearson upper bound of the miss rate."""
    kept: bool
    """Whether the bound is within the promise; else the limit misses at most the promised share of the pictures at hand."""
    good_flagged: Figure
    """Good parts for REVIEW or REJECT."""


@dataclass(frozen=True)
class Recommendation:
    """A candidate's name, and in one sentence why."""

    name: str
    reason: str


def at_promise(scored: Scored, promised_miss_rate: float) -> AtPromise:
    """The cost of the promise on pictures both good and defective; too few of these for any promise still compare evenly."""
    bad, good = np.sort(scored.scores[scored.defective]), scored.scores[~scored.defective]
    chosen = choose_thresholds(scored, promised_miss_rate=promised_miss_rate, overkill_limit=1.0).thresholds
    kept = chosen.promise is not None
    limit = chosen.pass_below if kept else float(bad[_allowed(len(bad), promised_miss_rate)])
    missed = int((bad < limit).sum())
    bound = clopper_pearson_upper(missed, len(bad))
    return AtPromise(limit, missed, len(bad), bound, kept, wilson(int((good >= limit).sum()), len(good)))


def recommend(measured: Mapping[str, Measured], *, promised_miss_rate: float) -> Recommendation:
    """Applies RULE to at least one candidate."""
    names, said = list(measured), ""
    if len(names) == 1:
        return Recommendation(names[0], f"{names[0]} is recommended: no other candidate could be trained.")
    join = ""
    for stage in (_by_verdict, _by_maps, _by_cost, _by_loss):
        outcome = stage({name: measured[name] for name in names}, promised_miss_rate)
        if outcome is None:
            continue
        kept, before = outcome.kept, len(names)
        if len(kept) == 1:
            said += join + outcome.one
        elif len(kept) < before:
            said += f"{join}{len(kept)} of {before} {outcome.some}"
        else:
            said += f"{join}{'both' if before == 2 else f'all {before}'} {outcome.every}"
        join = "; " if len(kept) == before else "; among these "
        names = kept
        if len(names) == 1:
            break
    return Recommendation(names[0], f"{names[0]} is recommended: {said}.")


@dataclass(frozen=True)
class _Outcome:
    """Whom one stage of the rule keeps, and what to say where that is one, some or every candidate."""

    kept: list[str]
    one: str
    some: str
    every: str


def _by_verdict(measured: Mapping[str, Measured], promised: float) -> _Outcome:
    scored = {name: one.scored for name, one in measured.items() if one.scored is not None}
    if len(scored) < len(measured):
        best = max(measured, key=lambda name: (measured[name].right.mean(), -_loss(measured[name])))
        right = measured[best].right
        share = f"{right.mean():.3f}"
        return _Outcome(
            [name for name, one in measured.items() if name == best or not _less_often(one.right, right)],
            one=f"all others name significantly fewer pictures right ({share})",
            some=f"name about as many pictures right as the best ({best}, {share})",
            every="name about as many pictures right",
        )
    shares = {name: at_promise(one, promised).good_flagged.value or 0.0 for name, one in scored.items()}
    best = min(measured, key=lambda name: (shares[name], _loss(measured[name])))
    share = f"{shares[best]:.3f}"
    return _Outcome(
        [name for name, one in scored.items() if name == best or not _flags_more(one, scored[best], promised)],
        one=f"all others flag significantly more good parts (it: {share})",
        some=f"flag about as few good parts as the best ({best}, {share})",
        every="flag about as many good parts",
    )


def _by_maps(measured: Mapping[str, Measured], _: float) -> _Outcome | None:
    pointing = {name: one.maps["pointing"] for name, one in measured.items() if "pointing" in one.maps}
    values = {name: figure.value for name, figure in pointing.items() if figure.value is not None}
    if len(values) < len(measured):
        return None
    best = max(values, key=lambda name: (values[name], -_loss(measured[name])))
    share = f"{values[best]:.3f}"
    return _Outcome(
        [name for name, value in values.items() if value >= (pointing[best].low or 0.0)],
        one=f"no other points at the defect nearly as often ({share})",
        some=f"point at the defect about as often as the best ({best}, {share})",
        every="point at the defect about as often",
    )


def _by_cost(measured: Mapping[str, Measured], _: float) -> _Outcome:
    best = min(measured, key=lambda name: measured[name].together_ms)
    least = measured[best].together_ms
    return _Outcome(
        [name for name, one in measured.items() if one.together_ms <= AS_CHEAP * least],
        one=f"every other costs more than {AS_CHEAP} times as much (it: {least:.2f} ms)",
        some=f"cost about as much as the cheapest ({best}, {least:.2f} ms)",
        every="cost about as much",
    )


def _by_loss(measured: Mapping[str, Measured], _: float) -> _Outcome:
    best = min(measured, key=lambda name: _loss(measured[name]))
    why = f"its validation loss is the lowest ({measured[best].validation_loss:.3f})"
    return _Outcome([best], one=why, some=why, every=why)


def _loss(one: Measured) -> float:
    return one.validation_loss if np.isfinite(one.validation_loss) else np.inf


def _less_often(right: npt.NDArray[np.bool_], best: npt.NDArray[np.bool_]) -> bool:
    """Whether `right` is significantly rarer than `best` (N,) on the same pictures."""
    difference = bootstrap(len(best), lambda rows: float(best[rows].mean() - right[rows].mean()))
    return difference.low is not None and difference.low > 0


def _flags_more(one: Scored, best: Scored, promised: float) -> bool:
    """Whether `one` flags significantly more good parts than `best` at the promise.

    Good and defective pictures are drawn anew, the same for both: the limit rests on few defective pictures, and what it costs
    varies with them as well as with the good ones.
    """
    generator = np.random.default_rng(0)
    sides = [(scored.scores[scored.defective], scored.scores[~scored.defective]) for scored in (one, best)]
    defective, good = len(sides[0][0]), len(sides[0][1])
    allowed = _allowed(defective, promised)
    differences = []
    for _ in range(DRAWS):
        bad_rows, good_rows = generator.integers(0, defective, defective), generator.integers(0, good, good)
        limits = [np.partition(bad[bad_rows], allowed)[allowed] for bad, _ in sides]
        flagged = [(fine[good_rows] >= limit).mean() for (_, fine), limit in zip(sides, limits, strict=True)]
        differences.append(flagged[0] - flagged[1])
    return bool(np.quantile(differences, 0.025) > 0)


def _allowed(defective: int, promised: float) -> int:
    """How many defective pictures the PASS limit may miss: what keeps the promise, else the promised share of them."""
    most = most_missed(defective, promised)
    return int(promised * defective) if most is None else most
