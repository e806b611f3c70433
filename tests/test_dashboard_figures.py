"""The sums that pages and reports show."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from kizu_dashboard.figures import Share, first_pass_yield, share_of, wilson_interval
from kizu_inspect.results import Verdict


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (3, 12), (0, 40), (40, 40), (997, 1000), (1, 100_000)])
def test_wilson_interval_is_that_of_scipy(hits: int, n: int) -> None:
    theirs = binomtest(hits, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_nothing_inspected_says_so_and_is_never_zero_per_cent() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert Share(0, 0).text == "– (0 of 0)"


def test_a_share_is_shown_with_denominator_and_interval() -> None:
    assert Share(27, 29).text == "93.1 % (27 of 29; 95 % interval 78.0 to 98.1 %)"


def test_first_pass_yield_counts_review_and_error_as_not_passed() -> None:
    counts = {Verdict.PASS: 6, Verdict.REVIEW: 1, Verdict.ERROR: 1, Verdict.REJECT: 2}
    assert first_pass_yield(counts) == Share(6, 10)
    assert share_of(Verdict.REJECT, counts) == Share(2, 10)


def test_more_hits_than_inspections_are_refused() -> None:
    with pytest.raises(ValueError, match="found 3 of 2"):
        wilson_interval(3, 2)
