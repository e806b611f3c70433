"""From calibrated probabilities to a verdict with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from kizu_inspect.recipe import ClassRule
from kizu_inspect.results import Judgement, Verdict
from kizu_inspect.sums.scores import probability_text

__all__ = ["decide", "defect_log_odds", "likely", "most_log_odds", "picture_probabilities", "probabilities_of"]

SMALLEST = float(np.finfo(np.float64).tiny)
"""Below it a probability counts as this, 2.2e-308: log-odds end at ±708."""
BELOW_ONE = float(np.nextafter(1.0, 0.0))


def probabilities_of(
    logits: npt.NDArray[np.float64], *, temperature: float, good: int | None = None, several: bool = False
) -> npt.NDArray[np.float64]:
    """Calibrated probabilities (N, C) of logits (N, C), in double precision: a softmax, or where a part may have several
    classes each defect's sigmoid over good, and for good the product of their complements."""
    scaled = logits / temperature
    if not several:
        return np.asarray(softmax(scaled, axis=1), np.float64)
    p = expit(scaled if good is None else scaled - scaled[:, good, None])
    if good is not None:
        # Not 1 - p, which is 0 from a logit of 37: a sure verdict would lose how sure it is.
        p[:, good] = expit(np.delete(scaled[:, good, None] - scaled, good, axis=1)).prod(axis=1)
    return np.asarray(p, np.float64)


def most_log_odds(views: npt.NDArray[np.float64], *, good: int, several: bool) -> npt.NDArray[np.float64]:
    """The most that any view of a picture has for each class: (C,) log-odds over good, from calibrated probabilities (V, C).

    Less the log of the number of views: so much more often one of them is high by chance. For good itself 0. Where a part may
    have `several` classes, each one's own odds, which end at 37.
    """
    p = np.maximum(views, SMALLEST)
    against = 1 - np.minimum(views, BELOW_ONE) if several else p[:, good, None]
    most: npt.NDArray[np.float64] = (np.log(p) - np.log(against)).max(axis=0) - np.log(len(views))
    most[good] = 0.0
    return most


def picture_probabilities(
    most: npt.NDArray[np.float64], *, good: int, several: bool, temperature: float, offset: float
) -> npt.NDArray[np.float64]:
    """The probabilities (N, C) of pictures from the most log-odds (N, C) that any of their views has.

    What a view's log-odds mean is not what a picture's do. Every defect's are moved by `offset` and divided by `temperature`,
    both fitted on whole pictures (Platt, 1999).
    """
    moved = most + offset
    moved[:, good] = 0.0
    return probabilities_of(moved, temperature=temperature, good=good, several=several)


def defect_log_odds(probabilities: npt.NDArray[np.float64], *, good: int, several: bool) -> npt.NDArray[np.float64]:
    """log(p(defect) / p(good)) of calibrated probabilities (N, C): (N,), the evidence for a defect in nats.

    Unlike the score, 1 − p(good), it does not run into 1: the last digits of a sure verdict still tell how much speaks for it.
    """
    p = np.delete(probabilities, good, axis=1)
    defective = -np.expm1(np.log1p(-np.minimum(p, BELOW_ONE)).sum(axis=1)) if several else p.sum(axis=1)
    return np.asarray(np.log(np.maximum(defective, SMALLEST)) - np.log(np.maximum(probabilities[:, good], SMALLEST)))


def likely(probabilities: npt.NDArray[np.float64], *, good: int | None, several: bool) -> npt.NDArray[np.bool_]:
    """Which defect classes (N, C) are found: those more probable than good, or of several each that is more likely than not.

    Where no class is good and a part has one, that is not asked: none.
    """
    if good is None and not several:
        return np.zeros(probabilities.shape, bool)
    found = probabilities > (0.5 if several else probabilities[:, good, None])
    if good is not None:
        found[:, good] = False
    return np.asarray(found, bool)


def decide(
    probabilities: npt.NDArray[np.float64],
    classes: Sequence[str],
    good: str | None,
    *,
    pass_below: float,
    reject_from: float,
    width_px: int | None = None,
    height_px: int | None = None,
    found: Sequence[str] = (),
    exclusive: bool = True,
    novelty: float | None = None,
    novelty_limit: float | None = None,
    rules: Mapping[str, ClassRule] = MappingProxyType({}),
) -> Judgement:
    """The judgement of one picture from its probabilities (C,).

    `found` are the defect classes that are found, for the reason (default: the most probable one). Where classes are not
    `exclusive` their probabilities do not sum to 1.
    score = 1 − p(good); PASS below `pass_below`, REJECT from `reject_from`, REVIEW between. What would pass but is unlike
    the training pictures (`novelty` above its limit) goes to REVIEW. `rules` are the classes' own.
    Values that are no probabilities give ERROR: what was not judged is never PASS. Where no class is good every part is
    rejected with its class.
    """
    if not np.isfinite(probabilities).all() or not np.isfinite(0.0 if novelty is None else novelty):
        return Judgement(Verdict.ERROR, "the model gave no finite probabilities", width_px=width_px, height_px=height_px)
    values = {name: float(p) for name, p in zip(classes, probabilities, strict=True)}
    predicted = max(values, key=lambda name: values[name])
    defects = {name: p for name, p in values.items() if name != good}
    target = max(defects, key=lambda name: defects[name])
    named = ", ".join(found) or target
    score = 1.0 if good is None else min(1.0, math.fsum(defects.values())) if exclusive else 1 - values[good]
    told = f"defect score {probability_text(score)}"
    if good is None:
        verdict, reason = Verdict.REJECT, f"no class is good; most probable: {target} ({probability_text(values[target])})"
    elif score >= reject_from:
        verdict, reason = Verdict.REJECT, f"{named}: {told} ≥ reject limit {probability_text(reject_from)}"
    elif score < pass_below:
        verdict, reason = Verdict.PASS, f"{told} < pass limit {probability_text(pass_below)}"
    else:
        verdict = Verdict.REVIEW
        limits = f"pass limit {probability_text(pass_below)} and reject limit {probability_text(reject_from)}"
        reason = f"{named}: {told} between {limits}"
    verdict, why = _by_class(verdict, values, found or (target,), rules)
    reason = f"{reason}; {why}" if why else reason
    # Where a class is good the limit is that of good parts, which known defects exceed too: it says nothing of those.
    asked = verdict is Verdict.PASS or good is None
    if asked and novelty is not None and novelty_limit is not None and novelty > novelty_limit:
        verdict = Verdict.REVIEW if verdict is Verdict.PASS else verdict
        reason = f"unlike the training pictures: novelty {novelty:.2f} > limit {novelty_limit:.2f}; {reason}"
    return Judgement(verdict, reason, values, predicted, target, score, width_px, height_px, novelty)


def _by_class(
    verdict: Verdict, values: Mapping[str, float], named: Sequence[str], rules: Mapping[str, ClassRule]
) -> tuple[Verdict, str]:
    """The verdict under the classes' own rules, with what they changed."""
    over = {
        name: rule.reject_from
        for name, rule in rules.items()
        if rule.reject_from is not None and values[name] >= rule.reject_from
    }
    if over:
        said = ", ".join(
            f"{name}: {probability_text(values[name])} ≥ its own reject limit {probability_text(limit)}"
            for name, limit in over.items()
        )
        return Verdict.REJECT, said
    severities = {name: rules[name].severity if name in rules else "major" for name in named}
    critical = [name for name, severity in severities.items() if severity == "critical"]
    if verdict is Verdict.REVIEW and critical:
        return Verdict.REJECT, f"critical: {', '.join(critical)}"
    if verdict is Verdict.REJECT and all(severity == "minor" for severity in severities.values()):
        return Verdict.REVIEW, f"minor: {', '.join(named)}"
    return verdict, ""
