"""From a map to boxes, on maps whose pieces are known by hand."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from kizu_inspect.explain.regions import find_regions
from kizu_inspect.picture.heatmap import sample_grid
from kizu_inspect.results import GridGeometry, Heatmap, MapStatus

STEP = 4


def heatmap(grid: npt.NDArray[np.float64], *, scale: float = 2.0, status: MapStatus = MapStatus.OK) -> Heatmap:
    """A map of raw values `grid` (h, w), each cell a square of 4 px, on a scale to 2."""
    height, width = grid.shape
    maximum = float(grid.max())
    geometry = GridGeometry(1.5, 1.5, STEP, STEP, width * STEP, height * STEP)
    shown = (grid / maximum if maximum > 0 else grid).astype(np.float16)
    return Heatmap("grad-cam", "scratch", status, shown, maximum, scale, geometry)


def two_pieces() -> npt.NDArray[np.float64]:
    grid = np.zeros((12, 16))
    grid[2:5, 2:6] = 1.6  # 0.8 of the scale
    grid[8:11, 9:14] = 1.0  # 0.5 of it
    return grid


def test_each_piece_is_one_box_the_strongest_first() -> None:
    strong, weak = find_regions(heatmap(two_pieces()), threshold=0.3)
    assert (strong.score, weak.score) == (pytest.approx(0.8, abs=1e-3), pytest.approx(0.5, abs=1e-3))
    assert strong.label == "scratch"
    # Cells 2 to 5 have their centres at 9.5 to 21.5 px; bilinear, 0.3 of 0.8 is crossed 2.5 px outside of them.
    assert (strong.x1, strong.x2, strong.y1, strong.y2) == (7, 25, 7, 21)
    # 0.3 of 0.5 is crossed 1.6 px outside of the centres.
    assert (weak.x1, weak.x2, weak.y1, weak.y2) == (36, 56, 32, 44)


def test_a_share_is_the_pieces_part_of_all_evidence() -> None:
    grid = two_pieces()
    grid[0, 15] = 0.4  # evidence below the threshold counts in the whole
    regions = find_regions(heatmap(grid), threshold=0.01)
    assert sum(region.share for region in regions) == pytest.approx(1, abs=1e-3)
    above = find_regions(heatmap(grid), threshold=0.3)
    assert [region.score for region in above] == pytest.approx([0.8, 0.5], abs=1e-3)
    assert sum(region.share for region in above) < 0.99
    # Without borders, where bilinear values tail off, the shares are those of area times strength: 12 · 1.6 to 15 · 1.0.
    assert regions[0].share / regions[1].share == pytest.approx(12 * 1.6 / (15 * 1.0), rel=0.02)


def test_the_threshold_is_on_the_fixed_scale_not_on_the_pictures_own_maximum() -> None:
    assert len(find_regions(heatmap(two_pieces()), threshold=0.6)) == 1
    assert find_regions(heatmap(two_pieces(), scale=20.0), threshold=0.3) == ()  # a good part stays without regions
    over = find_regions(heatmap(two_pieces(), scale=0.5), threshold=0.3)
    assert over[0].score == pytest.approx(3.2, abs=1e-2)  # stronger than the scale's end, and said so


def test_pieces_that_touch_by_a_corner_are_one_and_specks_are_none() -> None:
    grid = np.zeros((8, 8))
    grid[2, 2] = grid[3, 3] = 2.0
    grid[6, 6] = 1.0
    (one,) = find_regions(heatmap(grid), threshold=0.32, smallest_px=5)
    assert (one.x1, one.y1) < (10, 10) < (one.x2, one.y2)
    assert len(find_regions(heatmap(grid), threshold=0.32, smallest_px=1)) == 2


def test_what_hardly_rises_above_the_threshold_is_no_region() -> None:
    assert [round(one.score, 1) for one in find_regions(heatmap(two_pieces()), threshold=0.45)] == [0.8, 0.5]
    assert [round(one.score, 1) for one in find_regions(heatmap(two_pieces()), threshold=0.46)] == [0.8]
    assert find_regions(heatmap(two_pieces()), threshold=0.75) == ()


def test_regions_are_those_of_the_whole_map_at_every_pixel() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        grid = cv2.GaussianBlur(rng.random((int(rng.integers(3, 30)), int(rng.integers(3, 30)))), (0, 0), 1.2)
        height, width = grid.shape
        step_x, step_y = (float(step) for step in rng.uniform(2.5, 9, 2))
        geometry = GridGeometry(
            float(rng.uniform(-2, 12)), float(rng.uniform(-2, 12)), step_x, step_y,
            int(width * step_x) + 9, int(height * step_y) + 9,
        )  # fmt: skip
        shown = Heatmap("cam", "dent", MapStatus.OK, (grid / grid.max()).astype(np.float16), float(grid.max()), 1.0, geometry)
        threshold = float(np.quantile(grid, 0.8)) / 1.1
        hot = sample_grid(shown.grid.astype(np.float32) * np.float32(shown.peak), geometry)
        count, labels, stats, _ = cv2.connectedComponentsWithStats((hot >= threshold).astype(np.uint8), connectivity=8)
        expected = {
            (x, y, x + w, y + h): (hot[labels == index].max(), hot[labels == index].sum() / hot.sum())
            for index, (x, y, w, h, area) in enumerate(stats[:count].tolist())
            if index > 0 and area >= 4 and hot[labels == index].max() >= 1.1 * threshold
        }
        found = {(one.x1, one.y1, one.x2, one.y2): (one.score, one.share) for one in find_regions(shown, threshold=threshold)}
        assert set(found) == set(expected)
        assert len(found) > 0
        for box, figures in found.items():
            assert figures == pytest.approx(expected[box], rel=2e-3)


@pytest.mark.parametrize("status", [MapStatus.FLAT, MapStatus.ALL_NEGATIVE, MapStatus.NON_FINITE, MapStatus.NO_EVIDENCE_MAP])
def test_what_is_no_map_has_no_regions(status: MapStatus) -> None:
    assert find_regions(heatmap(two_pieces(), status=status), threshold=0.3) == ()


def test_a_region_has_its_piece_contour_and_sizes() -> None:
    shown = heatmap(two_pieces())
    hot = sample_grid(shown.grid.astype(np.float32) * np.float32(shown.peak), shown.geometry) >= 0.3
    for region in find_regions(shown, threshold=0.3):
        box = (slice(region.y1, region.y2), slice(region.x1, region.x2))
        drawn = np.zeros(hot.shape, np.uint8)
        cv2.fillPoly(drawn, [np.array(region.contour, np.int32)], 1)
        assert np.count_nonzero(drawn[box] != hot[box]) <= 0.03 * region.area_px
        assert region.area_px == np.count_nonzero(hot[box])
        xs, ys = zip(*region.contour, strict=True)
        assert (min(xs), min(ys), max(xs) + 1, max(ys) + 1) == (region.x1, region.y1, region.x2, region.y2)
        # Two cells and the way between their centres, and on each side to where the threshold is crossed.
        assert (region.length_px, region.width_px) == pytest.approx((region.x2 - region.x1, region.y2 - region.y1), abs=1)


def test_a_diagonal_and_a_bent_scratch_get_their_true_length() -> None:
    grid = np.zeros((60, 60))
    np.fill_diagonal(grid[10:50, 10:50], 2.0)
    (diagonal,) = find_regions(heatmap(grid), threshold=0.4)
    assert diagonal.length_px == pytest.approx(39 * STEP * 2**0.5, rel=0.03)
    rows, columns = np.mgrid[:60, :60]
    turns = np.linspace(0, np.pi / 2, 500)  # a quarter of a circle
    away = np.min([np.hypot(rows - 45 + 30 * np.cos(turn), columns - 10 - 30 * np.sin(turn)) for turn in turns], axis=0)
    (bent,) = find_regions(heatmap(np.clip(2 - away, 0, 2)), threshold=0.4)
    # Where a map falls from 1 of the scale by 0.5 a cell, 0.4 is crossed 1.2 cells away: what is measured is the warm region.
    around = 2 * 1.2 * STEP
    assert bent.length_px == pytest.approx(30 * STEP * np.pi / 2 + around, rel=0.03)
    assert bent.width_px == pytest.approx(around, abs=1)
