"""Intervals against published tables and scipy's."""

from __future__ import annotations

import subprocess
import sys

import pytest
from scipy.stats import binom, binomtest

from kizu_inspect.evaluation.figures import Figure, wilson
from kizu_inspect.sums.intervals import (
    Share,
    clopper_pearson,
    clopper_pearson_lower,
    clopper_pearson_upper,
    wilson_interval,
)

# Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998) 857-872, table I:
# hits, n, the score method without continuity correction, the Clopper-Pearson method.
NEWCOMBE = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]
CASES = [(0, 1), (1, 1), (3, 12), (0, 40), (40, 40), (997, 1000), (1, 100_000)]


@pytest.mark.parametrize(("hits", "n", "score", "exact"), NEWCOMBE)
def test_intervals_are_those_of_newcombes_table(
    hits: int, n: int, score: tuple[float, float], exact: tuple[float, float]
) -> None:
    assert wilson_interval(hits, n) == pytest.approx(score, abs=5.1e-5)
    assert clopper_pearson(hits, n) == pytest.approx(exact, abs=5.1e-5)


@pytest.mark.parametrize(("hits", "n"), CASES)
def test_intervals_are_those_of_scipy(hits: int, n: int) -> None:
    theirs = binomtest(hits, n)
    for ours, method in ((wilson_interval(hits, n), "wilson"), (clopper_pearson(hits, n), "exact")):
        expected = theirs.proportion_ci(confidence_level=0.95, method=method)
        assert ours == pytest.approx((expected.low, expected.high), abs=1e-12)
    upper = binomtest(hits, n, alternative="less").proportion_ci(0.95, method="exact").high
    lower = binomtest(hits, n, alternative="greater").proportion_ci(0.95, method="exact").low
    assert clopper_pearson_upper(hits, n) == Share(hits, n).upper_bound == pytest.approx(upper, abs=1e-12)
    assert clopper_pearson_lower(hits, n) == pytest.approx(lower, abs=1e-12)


@pytest.mark.parametrize("n", [1, 59, 300, 100_000])
def test_without_a_hit_the_bound_has_a_closed_form(n: int) -> None:
    assert clopper_pearson_upper(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-12)


def test_the_rule_of_three() -> None:
    """About 3/n: Hanley and Lippman-Hand, If nothing goes wrong, is everything all right?, JAMA 249 (1983) 1743-1745."""
    assert clopper_pearson_upper(0, 100) == pytest.approx(3 / 100, rel=0.02)


def test_the_exact_bound_keeps_its_promise_at_every_rate() -> None:
    """Exactly enumerated: the bound fails for a rate where the hits that lead to one below it come too often."""
    n = 40
    bounds = [clopper_pearson_upper(hits, n) for hits in range(n + 1)]
    failing = [sum(binom.pmf(k, n, rate / 500) for k in range(n + 1) if bounds[k] < rate / 500) for rate in range(501)]
    assert 0.045 < max(failing) <= 0.05


def test_nothing_counted_says_so_and_is_never_zero_per_cent() -> None:
    assert wilson_interval(0, 0) == clopper_pearson(0, 0) == (0.0, 1.0)
    assert Share(0, 0).text == Share(0, 0).dppm_text == "– (0 of 0)"
    assert Share(0, 0).percent == "–"


def test_a_share_is_shown_with_denominator_and_interval() -> None:
    assert Share(27, 29).text == "93.1 % (27 of 29; 95 % interval 78.0 to 98.1 %)"
    assert Share(1, 1000).dppm_text == "1,000 DPPM (1 of 1,000; 95 % interval 177 to 5,643 DPPM)"


@pytest.mark.parametrize(("hits", "n"), [(3, 2), (-1, 2), (0, -1)])
def test_what_is_no_share_is_refused(hits: int, n: int) -> None:
    for make in (wilson_interval, clopper_pearson_upper, clopper_pearson_lower, Share):
        with pytest.raises(ValueError, match=f"found {hits} of {n}"):
            make(hits, n)


def test_a_figure_of_the_evaluation_has_the_same_interval() -> None:
    assert wilson(81, 263) == Figure(81 / 263, *wilson_interval(81, 263), 263)
    assert wilson(0, 0) == Figure(None, None, None, 0)


def test_importing_the_sums_brings_no_heavy_library() -> None:
    modules = ", ".join(
        f"kizu_inspect.sums.{name}"
        for name in ("agreement", "audit_sample", "calibration", "control_charts", "intervals", "pareto", "yields")
    )
    heavy = "{'torch', 'sklearn', 'statsmodels', 'pandas', 'scipy.stats'}"
    code = f"import sys, {modules}; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
