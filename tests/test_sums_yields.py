"""Yields and rates of known parts."""

from __future__ import annotations

import pytest

from kizu_inspect.results import Verdict
from kizu_inspect.sums.intervals import Share, clopper_pearson
from kizu_inspect.sums.yields import Reviewed, RolledYield, first_pass_yield, first_verdicts, reviewed, share_of

PASS, REVIEW, ERROR, REJECT = Verdict


def test_first_pass_yield_counts_review_and_error_as_not_passed() -> None:
    counts = {PASS: 6, REVIEW: 1, ERROR: 1, REJECT: 2}
    assert first_pass_yield(counts) == Share(6, 10)
    assert share_of(REJECT, counts) == Share(2, 10)
    assert first_pass_yield({}) == Share(0, 0)


def test_a_part_counts_once_by_the_worst_of_its_views_the_first_time() -> None:
    counts = first_verdicts(
        [
            ("whole", "top", PASS), ("whole", "side", PASS),
            ("bent", "top", PASS), ("bent", "side", REJECT),
            ("dusty", None, REVIEW), ("dusty", None, PASS),  # wiped and judged again
            ("dark", None, ERROR), ("dark", None, PASS),
            ("worn", None, PASS), ("worn", None, REJECT),  # came back later
        ]
    )  # fmt: skip
    assert counts == {PASS: 2, REVIEW: 1, ERROR: 1, REJECT: 1}
    assert first_pass_yield(counts) == Share(2, 5)


def test_rolled_yield_of_minitabs_label_process() -> None:
    """Minitab's help, What are throughput yield and rolled throughput yield?: 0.95 · 0.84 · 0.88 = 0.70."""
    rolled = RolledYield((Share(950, 1000), Share(840, 1000), Share(880, 1000)))
    assert rolled.value == pytest.approx(0.70, abs=0.005)
    low, high = rolled.interval
    limits = [clopper_pearson(hits, 1000, confidence=1 - 0.05 / 3) for hits in (950, 840, 880)]
    assert low == pytest.approx(limits[0][0] * limits[1][0] * limits[2][0])
    assert high == pytest.approx(limits[0][1] * limits[1][1] * limits[2][1])
    assert (
        rolled.text == f"70.2 % (3 stations, 1,000 or more parts at each; 95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    )


def test_rolled_yield_of_one_station_is_its_own_and_of_an_idle_one_unknown() -> None:
    alone = RolledYield((Share(27, 29),))
    assert (alone.value, alone.interval) == (27 / 29, clopper_pearson(27, 29))
    idle = RolledYield((Share(27, 29), Share(0, 0)))
    assert idle.value is None
    assert idle.interval[0] == 0
    assert idle.text == "– (2 stations, 0 or more parts at each)"
    with pytest.raises(ValueError, match="found none"):
        RolledYield(())


def test_rates_of_known_parts() -> None:
    """Hand-made: 100 defective parts of which 5 passed, 900 good ones of which 18 were rejected."""
    counts = Reviewed(tp=95, fp=18, tn=882, fn=5)
    assert (counts.miss_rate, counts.overkill, counts.outgoing) == (Share(5, 100), Share(18, 900), Share(5, 887))
    assert counts.outgoing.dppm == pytest.approx(1e6 * 5 / 887)
    assert Reviewed(0, 0, 10, 0).miss_rate.text == "– (0 of 0)"
    with pytest.raises(ValueError, match="fn=-1"):
        Reviewed(0, 0, 0, -1)


def test_review_is_neither_miss_nor_overkill_and_error_stays_out() -> None:
    judged = [(verdict, defective) for verdict in Verdict for defective in (False, True)]
    assert reviewed(judged) == Reviewed(tp=2, fp=1, tn=2, fn=1)
    assert reviewed(judged).miss_rate == Share(1, 3)
    assert reviewed(judged).overkill == Share(1, 3)
