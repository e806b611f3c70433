"""Escapes, overkill and review load: by hand, and against plants drawn at random whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from kizu_inspect.results import Verdict
from kizu_inspect.sums.audit_sample import Stratum, audit_estimates
from kizu_inspect.sums.calibration import reliability
from kizu_inspect.sums.intervals import Share, clopper_pearson_upper
from kizu_inspect.sums.outcomes import Drawn, Outcome, outcomes

PASS, REVIEW, REJECT = Verdict.PASS, Verdict.REVIEW, Verdict.REJECT


def passed(total: int, reviewed: dict[Outcome, int], chance: float = 0.1, waiting: int = 0) -> Drawn:
    return Drawn(total, chance, sum(reviewed.values()) + waiting, reviewed, PASS)


def flagged(verdict: Verdict, total: int, good: int, bad: int) -> Drawn:
    return Drawn(total, 1.0, total, {(verdict, False): good, (verdict, True): bad}, verdict)


def test_figures_by_hand() -> None:
    strata = [
        passed(1000, {(PASS, True): 1, (PASS, False): 99}),
        flagged(REVIEW, 50, 30, 20),
        flagged(REJECT, 100, 10, 40),  # half of them reviewed: as many again are taken for good and defective
    ]
    found = outcomes(strata)
    assert found.parts == 1150
    assert (found.escapes.value, found.escapes.escapes, found.escapes.audited) == (10, 1, 100)
    assert found.escapes.upper == pytest.approx(1000 * clopper_pearson_upper(1, 100))
    assert found.outgoing.value == 10 / 1000
    assert found.miss_rate.value == 10 / (10 + 20 + 80)
    assert found.miss_rate.upper == pytest.approx(found.escapes.upper / (found.escapes.upper + 100))
    assert (found.overkill.value, found.overkill.audited) == (20, 50)
    assert found.overkill.upper == pytest.approx(100 * clopper_pearson_upper(10, 50))
    assert found.overkill_rate.value == 20 / (20 + 990 + 30)
    assert found.review_rate.value == found.review_rate.upper == 50 / 1150
    nobody_looked = outcomes([flagged(REVIEW, 50, 0, 0), flagged(REJECT, 100, 1, 1)])
    assert nobody_looked.review_rate.value == 50 / 150
    assert nobody_looked.overkill_rate.value is None  # how many of the 50 are good is not known


def test_escapes_are_those_of_the_audit_sample() -> None:
    """The same as `audit_estimates`, also with draws that wait and several chances."""
    strata = [passed(400, {(PASS, False): 20}, 0.1, 15), passed(600, {(PASS, True): 2, (PASS, False): 28}, 0.05)]
    found = outcomes([*strata, flagged(REJECT, 30, 6, 24)])
    known = audit_estimates([Stratum(400, 0.1, 20, 0, 35), Stratum(600, 0.05, 30, 2)], caught=24)
    assert found.escapes == known.escapes
    assert found.miss_rate.value == pytest.approx(known.miss_rate.value)
    assert found.miss_rate.upper == pytest.approx(known.miss_rate.upper)
    assert found.outgoing.upper == pytest.approx(known.outgoing.upper)


def test_without_an_audit_sample_misses_are_unknown_and_overkill_too() -> None:
    found = outcomes([Drawn(1000, 0.0, 0, {}, PASS), flagged(REJECT, 40, 4, 36)])
    assert found.escapes.value is None
    assert found.miss_rate.value is None
    assert found.outgoing.value is None
    assert found.outgoing.upper == 1.0
    assert found.overkill.value == 4
    assert found.overkill_rate.value is None  # nobody knows how many parts are good


def test_nothing_is_known_of_nothing() -> None:
    found = outcomes([])
    assert [one.value for one in (found.escapes, found.miss_rate, found.overkill, found.review_rate)] == [None] * 4


def test_the_bounds_hold_for_other_limits_too() -> None:
    """Plants of 4,000 scored parts, of which a draw is reviewed: in 95 % or more of them the truth is within the bounds."""
    draw, plants, inside = np.random.default_rng(3), 200, np.zeros(3)
    for seed in range(plants):
        scores = draw.beta(0.3, 3, 4000)
        bad = draw.random(4000) < scores**1.5
        judged = np.where(scores < 0.2, 0, np.where(scores < 0.6, 1, 2))
        seen = draw.random(4000) < np.array([0.1, 1.0, 1.0])[judged]
        then = np.where(scores < 0.3, 0, np.where(scores < 0.5, 1, 2))
        strata = []
        for which in range(3):
            of = judged == which
            counts = {
                (verdict, truth): int((of & seen & (then == other) & (bad == truth)).sum())
                for other, verdict in enumerate((PASS, REVIEW, REJECT))
                for truth in (True, False)
            }
            strata.append(Drawn(int(of.sum()), 0.1 if which == 0 else 1.0, int((of & seen).sum()), counts))
        found = outcomes(strata)
        truth = ((then == 0) & bad).sum(), ((then == 2) & ~bad).sum(), (then == 1).sum() / 4000
        bounds = found.escapes.upper, found.overkill.upper, found.review_rate.upper
        inside += [value <= bound + 1e-9 for value, bound in zip(truth, bounds, strict=True)]
        assert found.overkill.value == pytest.approx(truth[1]), seed  # all that is rejected was reviewed
    assert (inside >= 0.95 * plants).all(), inside


def test_reliability_puts_scores_beside_what_the_parts_are() -> None:
    bins = reliability([0.0, 0.05, 0.1, 0.19, 0.95, 1.0], [False, False, True, False, True, True])
    assert [(one.low, one.high, one.defective) for one in bins] == [
        (0.0, 0.1, Share(0, 2)), (0.1, 0.2, Share(1, 2)), (0.9, 1.0, Share(2, 2)),
    ]  # fmt: skip
    assert [one.score for one in bins] == pytest.approx([0.025, 0.145, 0.975])
    with pytest.raises(ValueError, match="shorter"):
        reliability([0.5], [])


def test_reliability_is_that_of_scikit_learn() -> None:
    from sklearn.calibration import calibration_curve

    draw = np.random.default_rng(0)
    scores = draw.random(500)
    bad = draw.random(500) < scores
    shares, means = calibration_curve(bad, scores, n_bins=10)
    bins = reliability(scores.tolist(), bad.tolist())
    assert [one.defective.value for one in bins] == pytest.approx(shares.tolist())
    assert [one.score for one in bins] == pytest.approx(means.tolist())
