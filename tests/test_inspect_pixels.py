"""Pixel average precision and AUPRO against scikit-learn, hand-made cases and brute force over all thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score

from kizu_inspect.evaluation.pixels import PixelScores

Map = npt.NDArray[np.float32]
Truth = npt.NDArray[np.bool_] | None


def scores(pictures: Sequence[tuple[Map, Truth]]) -> dict[str, float]:
    tally = PixelScores()
    for values, truth in pictures:
        tally.add(values, truth)
    return {name: float(figure.value or 0) for name, figure in tally.figures().items()}


def aupro_by_force(pictures: Sequence[tuple[Map, Truth]]) -> float:
    """Every value that occurs is a threshold; the curve's trapezoids up to a false share of 0.3."""
    values = np.unique(np.concatenate([one.ravel() for one, _ in pictures]))[::-1]
    sound = np.concatenate([one[~truth] if truth is not None else one.ravel() for one, truth in pictures])
    parts = []
    for one, truth in pictures:
        if truth is not None:
            count, labels = cv2.connectedComponents(truth.astype(np.uint8), connectivity=8)
            parts += [one[labels == index] for index in range(1, count)]
    rate = np.array([0.0, *((sound >= value).mean() for value in values)])
    share = np.array([0.0, *(np.mean([(part >= value).mean() for part in parts]) for value in values)])
    total = 0.0
    for k in range(1, len(rate)):
        left, right = rate[k - 1], min(rate[k], 0.3)
        if right > left:
            slope = (share[k] - share[k - 1]) / (rate[k] - rate[k - 1])
            total += (right - left) * (share[k - 1] + slope * (right - left) / 2)
    return float(total / 0.3)


def drawn(seed: int, count: int) -> list[tuple[Map, Truth]]:
    """Noise in all pictures, warmer on the defects, of which some pictures have two and some none."""
    rng = np.random.default_rng(seed)
    pictures: list[tuple[Map, Truth]] = []
    for number in range(count):
        values = rng.gamma(1.0, 0.05, (40, 50)).astype(np.float32)
        truth = None
        if number % 3:
            truth = np.zeros((40, 50), np.bool_)
            truth[5:9, 4 : 6 + number] = True
            if number % 3 == 2:
                truth[30:33, 40:43] = True
            values[truth] += rng.gamma(2.0, 0.1, int(truth.sum())).astype(np.float32)
        pictures.append((values, truth))
    return pictures


def test_both_agree_with_others_sums_to_the_third_digit() -> None:
    pictures = drawn(1, 15)
    found = scores(pictures)
    truth = np.concatenate([(np.zeros(one.shape, bool) if mask is None else mask).ravel() for one, mask in pictures])
    expected = average_precision_score(truth, np.concatenate([one.ravel() for one, _ in pictures]))
    assert found["pixel_ap"] == pytest.approx(expected, abs=1e-3)
    assert found["aupro"] == pytest.approx(aupro_by_force(pictures), abs=1e-3)
    assert 0.2 < found["pixel_ap"] < 0.98
    assert 0.2 < found["aupro"] < 0.98


def test_a_hand_made_case_where_each_defect_counts_alike() -> None:
    """Twenty sound pixels, a defect of four pixels and one of a single pixel, which alone is found without a false pixel."""
    values, truth = np.zeros((5, 5), np.float32), np.zeros((5, 5), np.bool_)
    truth[0, :4] = truth[4, 4] = True
    values[4, 4] = 3
    values[2, :2] = 2  # two of twenty sound pixels
    values[0, :4] = 1
    found = scores([(values, truth)])
    # Thresholds 3, 2, 1: one hit of one; then of three; then five of seven; all hits are had by then.
    assert found["pixel_ap"] == pytest.approx(1 / 5 * 1 + 4 / 5 * 5 / 7)
    # Overlap 0.5 up to a false share of 0.1; there 1; from (0.1, 1) on it stays 1.
    assert found["aupro"] == pytest.approx((0.1 * 0.5 + 0.2 * 1) / 0.3)


def test_perfect_flat_and_missing_maps() -> None:
    truth = np.zeros((20, 20), np.bool_)
    truth[3:6, 3:9] = True
    perfect = [(truth.astype(np.float32), truth), (np.zeros((20, 20), np.float32), None)]
    assert scores(perfect) == {"pixel_ap": pytest.approx(1), "aupro": pytest.approx(1)}
    flat = [(np.full((20, 20), 0.7, np.float32), truth), (np.full((20, 20), 0.7, np.float32), None)]
    assert scores(flat) == {"pixel_ap": pytest.approx(18 / 800), "aupro": pytest.approx(0.15)}
    assert PixelScores().figures() == {}
    assert scores([(np.ones((4, 4), np.float32), None)]) == {}


def test_the_interval_holds_what_other_pictures_give() -> None:
    tally = PixelScores()
    for values, truth in drawn(2, 60):
        tally.add(values, truth)
    others = [scores(drawn(seed, 60)) for seed in range(3, 13)]
    for name, figure in tally.figures().items():
        assert figure.n == 60
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low < (figure.value or 0) < figure.high
        assert sum(figure.low <= one[name] <= figure.high for one in others) >= 7


def test_few_pictures_give_a_value_without_an_interval() -> None:
    tally = PixelScores()
    for values, truth in drawn(2, 9):
        tally.add(values, truth)
    for figure in tally.figures().values():
        assert figure.value is not None
        assert figure.low is figure.high is None
        assert str(figure) == f"{figure.value:.3f} (n = 9)"


def test_a_negative_zero_is_a_zero() -> None:
    truth = np.zeros((4, 4), np.bool_)
    truth[0, 0] = True
    assert scores([(np.full((4, 4), -0.0, np.float32), truth)]) == scores([(np.zeros((4, 4), np.float32), truth)])
