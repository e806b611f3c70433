"""Control charts against published ones, and the signal rules on hand-made points."""

from __future__ import annotations

import statistics
from itertools import pairwise

import numpy as np
import pytest

from kizu_inspect.sums.control_charts import ControlChart, Rule, Signal, laney_chart, p_chart
from kizu_inspect.sums.intervals import Share

# Montgomery, Introduction to Statistical Quality Control, table 7.1: frozen orange juice concentrate cans, 30 samples of 50.
JUICE = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6]
# Attendances at emergency departments seen within four hours, and all, in 20 weeks: Mohammed, Panesar, Laney and Wilson,
# Statistical process control charts for attribute data involving very large sample sizes, BMJ Quality & Safety 22 (2013).
SEEN = [
    266501, 264225, 276532, 281461, 269071, 261215, 270409, 279778, 270483, 270320,
    267923, 271478, 255353, 256820, 261835, 259144, 255910, 260863, 264465, 260989,
]  # fmt: skip
ATTENDED = [
    280443, 276823, 291681, 296155, 282343, 275888, 283867, 295251, 284468, 282529,
    279618, 283932, 266629, 268091, 276803, 271578, 266005, 273520, 278574, 273772,
]  # fmt: skip


def groups(hits: list[int], n: int | list[int]) -> list[Share]:
    """Groups of `n` each, or of their own sizes."""
    sizes = n if isinstance(n, list) else [n] * len(hits)
    return [Share(one, size) for one, size in zip(hits, sizes, strict=True)]


def found(chart: ControlChart, rule: Rule) -> list[tuple[tuple[int, ...], bool]]:
    """One rule's signals: indices, upward."""
    return [(signal.indices, signal.upward) for signal in chart.signals if signal.rule is rule]


def limits(chart: ControlChart) -> tuple[list[float | None], list[float | None]]:
    """Lower and upper ones."""
    return [point.low for point in chart.points], [point.high for point in chart.points]


def test_p_chart_of_montgomerys_orange_juice_cans() -> None:
    chart = p_chart(groups(JUICE, 50))
    assert chart.centre.value == pytest.approx(0.2313, abs=5e-5)
    low, high = limits(chart)
    assert low == pytest.approx([0.0524] * 30, abs=5.1e-5)
    assert high == pytest.approx([0.4102] * 30, abs=5.1e-5)
    assert found(chart, Rule.BEYOND_LIMITS) == [((14,), True), ((22,), True)]  # samples 15 and 23
    assert (chart.sigma_z, chart.no_limits) == (None, None)


def test_laney_chart_of_emergency_attendances_is_that_of_qicharts2() -> None:
    """The figures are those of R's package qicharts2 0.8.1, qic(i, r, n, data = nhs_accidents, chart = 'pp')."""
    chart = laney_chart(groups(SEEN, ATTENDED))
    assert chart.centre.value == pytest.approx(0.95289971134419116, abs=1e-15)
    low, high = limits(chart)
    assert low[:5] == pytest.approx(
        [0.9401296441775141, 0.94004641862513627, 0.9403780655785402, 0.94047300747792362, 0.94017268417608979], abs=1e-14
    )
    assert low[-2:] == pytest.approx([0.9400868775214295, 0.93997499652290417], abs=1e-14)
    assert high[:5] == pytest.approx(
        [0.96566977851086822, 0.96575300406324605, 0.96542135710984212, 0.9653264152104587, 0.96562673851229253], abs=1e-14
    )
    assert high[-2:] == pytest.approx([0.96571254516695282, 0.96582442616547814], abs=1e-14)
    assert found(chart, Rule.BEYOND_LIMITS) == []
    assert len(found(p_chart(groups(SEEN, ATTENDED)), Rule.BEYOND_LIMITS)) > 10  # what p′ is for


def test_laney_limits_are_its_formula_in_plain_steps() -> None:
    generator = np.random.default_rng(3)
    sizes = [int(n) for n in generator.integers(200, 5000, 25)]
    hits = [int(generator.binomial(n, generator.uniform(0.01, 0.05))) for n in sizes]
    mean = sum(hits) / sum(sizes)
    sigma = [(mean * (1 - mean) / n) ** 0.5 for n in sizes]
    z = [(d / n - mean) / s for d, n, s in zip(hits, sizes, sigma, strict=True)]
    sigma_z = statistics.fmean(abs(b - a) for a, b in pairwise(z)) / 1.128
    chart = laney_chart(groups(hits, sizes))
    assert chart.sigma_z == pytest.approx(sigma_z, rel=1e-12)
    low, high = limits(chart)
    assert low == pytest.approx([max(0, mean - 3 * s * sigma_z) for s in sigma], abs=1e-14)
    assert high == pytest.approx([min(1, mean + 3 * s * sigma_z) for s in sigma], abs=1e-14)


def test_groups_that_vary_as_binomial_shares_have_a_sigma_z_near_one() -> None:
    generator = np.random.default_rng(0)
    chart = laney_chart(groups([int(d) for d in generator.binomial(1000, 0.03, 2000)], 1000))
    assert chart.sigma_z == pytest.approx(1, abs=0.05)


def test_limits_are_cut_to_shares_and_a_cut_one_gives_no_signal() -> None:
    low, high = limits(p_chart(groups([1, 0, 2, 1, 0, 1], 50)))
    assert low == [0.0] * 6
    full = p_chart(groups([49, 50, 48, 49, 50, 49], 50))
    assert limits(full)[1] == [1.0] * 6
    assert full.signals == ()
    assert all(limit is not None and 0 < limit < 0.2 for limit in high)


@pytest.mark.parametrize(
    ("hits", "n", "said"),
    [
        ([], 10, "no limits: nothing was inspected"),
        ([0, 0, 0], 10, "no limits: none of 30 parts is defective"),
        ([10, 10], 10, "no limits: each of 20 parts is defective"),
    ],
)
def test_without_variation_there_are_no_limits_and_it_says_so(hits: list[int], n: int, said: str) -> None:
    for chart in (p_chart(groups(hits, n)), laney_chart(groups(hits, n))):
        assert chart.no_limits == said
        assert limits(chart) == ([None] * len(hits), [None] * len(hits))
        assert chart.signals == ()


def test_laney_limits_take_variation_between_groups() -> None:
    """Equal shares of unequal groups: 1/3, 2/6, …, which differ in no bit of the sums either."""
    flat = laney_chart(groups([1, 2, 7, 11, 49], [3, 6, 21, 33, 147]))
    assert (flat.sigma_z, flat.no_limits) == (0, "no limits: σ_z is 0, each of 5 groups has the same share")
    alone = laney_chart(groups([3], 10))
    assert (alone.sigma_z, alone.no_limits) == (
        None, "no limits: the variation between groups takes two groups or more, there is 1",
    )  # fmt: skip
    assert p_chart(groups([3], 10)).no_limits is None


def test_a_group_without_parts_is_refused() -> None:
    for make in (p_chart, laney_chart):
        with pytest.raises(ValueError, match="leave it out"):
            make([Share(1, 10), Share(0, 0)])


# Hand-made: groups of 100 around p̄ = 0.2, so σ = 0.04; 0.32 is on the 3σ limit, 0.28 on 2σ.
def test_a_point_beyond_the_limits_but_not_on_them() -> None:
    chart = p_chart(groups([32, 8, 20, 20], 100))
    assert chart.centre == Share(80, 400)
    assert chart.signals == ()
    chart = p_chart(groups([33, 7, 20, 20], 100))
    assert found(chart, Rule.BEYOND_LIMITS) == [((0,), True), ((1,), False)]


def test_nine_in_a_row_on_one_side_but_not_eight_and_not_over_the_line() -> None:
    eight = p_chart(groups([21, 22] * 4 + [19, 18] * 4, 100))
    assert eight.centre == Share(320, 1600)
    assert found(eight, Rule.ONE_SIDE) == []
    assert found(p_chart(groups([21] * 9 + [11], 100)), Rule.ONE_SIDE) == [(tuple(range(9)), True)]
    on_the_line = p_chart(groups([21] * 4 + [20] + [21] * 5 + [11], 100))
    assert on_the_line.centre == Share(220, 1100)
    assert found(on_the_line, Rule.ONE_SIDE) == []


def test_a_run_is_one_signal_as_long_as_it_lasts() -> None:
    chart = p_chart(groups([22, 18] + [19] * 12 + [32], 100))
    assert found(chart, Rule.ONE_SIDE) == [(tuple(range(1, 14)), False)]


def test_six_rising_or_falling_but_not_five_and_not_with_a_pause() -> None:
    assert found(p_chart(groups([17, 18, 20, 21, 23, 20], 100)), Rule.STEADY) == []
    assert found(p_chart(groups([20, 17, 18, 20, 21, 23, 24, 20], 100)), Rule.STEADY) == [((1, 2, 3, 4, 5, 6), True)]
    assert found(p_chart(groups([24, 23, 22, 20, 18, 17, 16], 100)), Rule.STEADY) == [(tuple(range(7)), False)]
    assert found(p_chart(groups([17, 18, 20, 20, 21, 23, 24], 100)), Rule.STEADY) == []


def test_a_run_of_shares_not_of_counts() -> None:
    """Counts rise while the shares stay the same or fall."""
    sizes = [100, 110, 120, 130, 140, 150, 160]
    assert found(p_chart(groups([20, 22, 24, 26, 28, 30, 32], sizes)), Rule.STEADY) == []
    assert found(p_chart(groups([20, 21, 22, 23, 24, 25, 26], sizes)), Rule.STEADY) == [(tuple(range(7)), False)]


def test_two_of_three_beyond_two_sigma_on_one_side() -> None:
    around = [20] * 6
    chart = p_chart(groups([29, 20, 29, 11, 20, 11, *around], 100))
    assert chart.centre == Share(240, 1200)
    assert found(chart, Rule.NEAR_LIMITS) == [((0, 2), True), ((3, 5), False)]
    apart = p_chart(groups([29, 20, 20, 29, 11, 20, 20, 11, *around], 100))
    assert found(apart, Rule.NEAR_LIMITS) == []
    both_sides = p_chart(groups([29, 11, *around], 100))
    assert found(both_sides, Rule.NEAR_LIMITS) == []
    on_the_line = p_chart(groups([28, 28, 12, 12, *around], 100))
    assert found(on_the_line, Rule.NEAR_LIMITS) == []


def test_signals_of_a_laney_chart_are_told_by_its_own_limits() -> None:
    chart = laney_chart(groups(JUICE, 50))
    assert chart.sigma_z is not None
    assert chart.sigma_z > 1
    beyond = {signal.indices[0] for signal in chart.signals if signal.rule is Rule.BEYOND_LIMITS}
    outside = {
        index
        for index, point in enumerate(chart.points)
        if point.high is not None and point.share.value is not None and point.share.value > point.high
    }
    assert beyond == outside
    assert chart.signals == tuple(sorted(chart.signals, key=lambda signal: (list(Rule).index(signal.rule), signal.indices)))
    assert all(isinstance(signal, Signal) and signal.indices == tuple(sorted(signal.indices)) for signal in chart.signals)
