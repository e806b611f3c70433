"""Pareto bars against qcc's."""

from __future__ import annotations

import pytest

from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.pareto import pareto


def test_pareto_of_qccs_example() -> None:
    """The example of pareto.chart in R's package qcc (Scrucca, 2004), with the table that it prints."""
    counts = {"price code": 80, "schedule date": 27, "supplier code": 66, "contact num.": 94, "part num.": 33}
    bars = pareto(counts)
    assert [(bar.name, bar.share.hits, bar.cumulative.hits) for bar in bars] == [
        ("contact num.", 94, 94), ("price code", 80, 174), ("supplier code", 66, 240), ("part num.", 33, 273),
        ("schedule date", 27, 300),
    ]  # fmt: skip
    cumulative = [100 * (bar.cumulative.value or 0) for bar in bars]
    assert cumulative == pytest.approx([31.33333, 58, 80, 91, 100], abs=1e-5)
    assert bars[0].share == Share(94, 300)


def test_ties_go_by_name_and_what_never_came_is_left_out() -> None:
    assert [bar.name for bar in pareto({"dent": 2, "stain": 0, "crack": 2, "scratch": 5})] == ["scratch", "crack", "dent"]
    assert pareto({}) == pareto({"dent": 0}) == ()


def test_a_count_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="'dent': -1"):
        pareto({"dent": -1})
