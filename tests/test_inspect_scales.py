"""Display scales and region thresholds from validation pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kizu_inspect.bundle import Bundle
from kizu_inspect.training.scales import fit_region_threshold


def disc(radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:60, :60]
    return np.hypot(rows - 30, columns - 30) <= radius


def test_the_threshold_is_where_regions_meet_the_defects() -> None:
    """A cone of height 0.9 crosses 0.6 at a third of its radius of 30 px."""
    rows, columns = np.mgrid[:60, :60]
    cone = (0.9 * (1 - np.hypot(rows - 30, columns - 30) / 30)).astype(np.float32)
    assert fit_region_threshold([cone, cone / 2], [disc(10), np.zeros((60, 60), np.bool_) | disc(1)]) == pytest.approx(0.6)
    assert fit_region_threshold([cone], [disc(20)]) == pytest.approx(0.3)


def test_without_places_there_is_a_default() -> None:
    assert fit_region_threshold([], []) == 0.4


def test_a_bundle_carries_a_scale_and_a_threshold_for_each_method(tiny_bundle: Path) -> None:
    scales = Bundle.load(tiny_bundle).spec.explanation
    assert set(scales) == {"cam", "grad-cam", "grad-cam++", "score-cam"}
    assert all(one.scale > 0 and 0.1 <= one.region_threshold <= 0.9 for one in scales.values())
