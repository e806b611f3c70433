"""Scores that lie near 0 and 1 can be told apart, and where they stand is said in words."""

from __future__ import annotations

import pytest

from kizu_inspect.sums.scores import log_odds, probability_text, standing_text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "0.000"), (1.0, "1.000"), (0.40876, "0.409"), (0.001, "0.001"), (0.999, "0.999"), (1.36e-5, "0.0000136"),
        (0.000999, "0.000999"), (0.9999864, "0.999986"), (0.99901, "0.99901"), (1 - 1e-12, "1.000"), (1.4e-12, "1.4e-12"),
    ],
)  # fmt: skip
def test_as_many_digits_as_tell_it_from_0_and_1(p: float, text: str) -> None:
    assert probability_text(p) == text


def test_odds_are_even_at_a_half_and_end_somewhere() -> None:
    assert [log_odds(p) for p in (0.5, 0.0, 1.0, 1e-9)] == [0.0, -6.0, 6.0, -6.0]
    assert log_odds(10 / 11) == pytest.approx(1.0)
    assert log_odds(1e-5) == pytest.approx(-5.0, abs=1e-4)


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (1.0, "far above the reject limit"), (2e-5, "just above the reject limit"), (1e-4, "above the reject limit"),
        (1.36e-5, "just above the reject limit"), (1.1e-5, "between the limits"), (0.9e-5, "just below the pass limit"),
        (1e-6, "below the pass limit"), (1e-9, "far below the pass limit"), (0.0, "far below the pass limit"),
    ],
)  # fmt: skip
def test_words_say_how_far_a_score_is_from_its_limit(score: float, text: str) -> None:
    assert standing_text(score, pass_below=1e-5, reject_from=1.36e-5) == text
