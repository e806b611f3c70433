"""A PASS limit that one picture decides: taken out one after the other, by hand, against what is said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from kizu_inspect.training.thresholds import Scored, choose_thresholds


def scored(good: np.ndarray, bad: np.ndarray) -> Scored:
    names = tuple([f"good-{i}" for i in range(len(good))] + [f"bad-{i}" for i in range(len(bad))])
    return Scored(np.concatenate([good, bad]), np.arange(len(names)) >= len(good), names=names)


def limits(of: Scored) -> np.ndarray:
    """PASS and REJECT limit in log-odds."""
    chosen = choose_thresholds(of, promised_miss_rate=0.05, overkill_limit=0.05).thresholds
    return logit(np.clip([chosen.pass_below, chosen.reject_from], 1e-9, 1 - 1e-9))


def without(of: Scored, index: int) -> Scored:
    return Scored(np.delete(of.scores, index), np.delete(of.defective, index))


@pytest.mark.parametrize(("count", "seed"), [(30, 0), (59, 1), (80, 0), (80, 2), (93, 1), (93, 3)])
def test_any_picture_moves_the_limits_by_less_than_one_or_is_named(seed: int, count: int) -> None:
    """With 80 defective pictures the limit keeps the promise, with 30 it is that of best accuracy; 59 are just enough for a
    promise and 93 for one that allows a miss, so that one fewer changes the rule itself."""
    rng = np.random.default_rng(seed)
    bad = expit(rng.normal(5, 3, count))
    good = expit(rng.normal(-5, 2, 24))
    if seed % 3 == 0:
        bad[0] = 1e-5  # a wrong label, or a freak
    one = scored(good, bad)
    choice = choose_thresholds(one, promised_miss_rate=0.05, overkill_limit=0.05)
    here = limits(one)
    moves = np.array([np.abs(limits(without(one, index)) - here) for index in range(len(one.scores))])
    columns = {"PASS": 0, "REJECT": 1, "PASS and REJECT": 0}
    assert {support.limit for support in choice.supports} in ({"PASS", "REJECT"}, {"PASS and REJECT"})
    for support in choice.supports:
        of_limit = moves[:, columns[support.limit]]
        assert [rest.picture for rest in support.odd] == sorted(np.flatnonzero(of_limit >= 1), key=lambda row: -of_limit[row])
        said = " ".join(line for line in choice.cautions if f"the {support.limit} limit" in line)
        named = {name for name in one.names if f"without {name} " in said}
        assert named == {one.names[rest.picture] for rest in support.odd[:3]}
        assert ("hangs on single ones" in said) == bool(support.odd)
        assert (f"In all {len(support.odd)} pictures do" in said) == (len(support.odd) > 3)
        if not support.odd and of_limit.any():  # the one that it rests on most is named all the same
            (line,) = (line for line in choice.resting if line.startswith(f"{support.limit} limit"))
            assert {rest.picture for rest in support.most} == set(np.flatnonzero(of_limit == max(0.1, of_limit.max())))
            if not support.most:
                assert line.endswith("whichever picture were missing, it would hardly move")
                continue
            most = support.most[0]
            if len(support.most) == 1:
                assert f"rests most on {one.names[most.picture]} (score {one.scores[most.picture]:.2g}): without it" in line
            else:  # nothing tells them apart: none is named, or shown
                assert f"without any one of {len(support.most)} pictures" in line
                assert support.named == ()
            moved = choose_thresholds(without(one, most.picture), promised_miss_rate=0.05, overkill_limit=0.05).thresholds
            assert most.without == (moved.reject_from if support.limit == "REJECT" else moved.pass_below)
            assert line.endswith(f"it would be {most.without:.2g}")


def test_an_odd_part_is_named_with_the_limit_without_it() -> None:
    bad = np.append(1e-5, np.linspace(0.9, 0.999, 79))
    one = scored(np.full(100, 1e-6), bad)
    choice = choose_thresholds(one, promised_miss_rate=0.03, overkill_limit=0.01)
    assert choice.thresholds.promise is None  # 99 without a miss are needed: the limit of best accuracy
    kept = choose_thresholds(scored(np.full(100, 1e-6), np.append(bad, np.linspace(0.9, 0.99, 39))), promised_miss_rate=0.03,
                             overkill_limit=0.01)  # fmt: skip
    assert kept.thresholds.promise is not None
    assert kept.thresholds.pass_below < 1e-4
    assert len(kept.cautions) == 2
    assert "without bad-0 it would be 0.003" in kept.cautions[0]
    assert "a little drift of light or camera rejects everything" in kept.cautions[1]


def test_a_set_that_is_just_large_enough_is_told() -> None:
    """By hand: with 99 defective pictures 3 % may be promised, with 98 nothing: the limit of best accuracy is that of
    the mean log-odds of 1e-6 and 0.9, odds of 0.003."""
    bad = np.append(1e-5, np.linspace(0.9, 0.999, 98))
    choice = choose_thresholds(scored(np.full(100, 1e-6), bad), promised_miss_rate=0.03, overkill_limit=0.01)
    assert choice.thresholds.promise is not None
    assert "without bad-0 it would be 0.003" in choice.cautions[0]


def test_well_supported_limits_bring_no_caution() -> None:
    rng = np.random.default_rng(0)
    one = scored(expit(rng.normal(-4, 1, 300)), expit(rng.normal(6, 1, 300)))
    choice = choose_thresholds(one, promised_miss_rate=0.05, overkill_limit=0.01)
    assert choice.cautions == ()
    assert len(choice.resting) == len(choice.supports) > 0  # what they rest on is said all the same
    assert choice.lines.splitlines() == [choice.said, *choice.resting]


def test_a_limit_that_no_picture_moves_says_so() -> None:
    """By hand: whichever picture is left out, others of its score stay."""
    one = scored(np.repeat(0.2, 40), np.repeat(0.9, 80))
    choice = choose_thresholds(one, promised_miss_rate=0.05, overkill_limit=0.0)
    assert choice.resting == ("PASS and REJECT limit 0.6: whichever picture were missing, it would hardly move",)
    assert choice.supports[0].named == ()
