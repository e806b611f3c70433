"""Tiles cover a picture, and what they say comes back without seams."""

from __future__ import annotations

import numpy as np
import pytest

from kizu_inspect.errors import ImageError
from kizu_inspect.picture.heatmap import sample_grid
from kizu_inspect.picture.images import CellGeometry
from kizu_inspect.picture.tiles import confined, merge_maps, merge_probabilities, tile_corners
from kizu_inspect.results import GridGeometry

CELLS = CellGeometry(start_px=3.5, step_px=8, field_px=50)


@pytest.mark.parametrize(("size", "stride"), [((64, 64), 48), ((64, 64), 64), ((200, 333), 48), ((65, 64), 8)])
def test_tiles_cover_every_pixel_and_end_with_the_edge(size: tuple[int, int], stride: int) -> None:
    height, width = size
    seen = np.zeros((height, width), int)
    for x, y in tile_corners((0, 0, width, height), tile_px=(64, 64), stride_px=stride):
        assert 0 <= x <= width - 64
        assert 0 <= y <= height - 64
        seen[y : y + 64, x : x + 64] += 1
    assert seen.min() >= 1


def test_tiles_keep_to_the_region_of_interest() -> None:
    corners = tile_corners((20, 30, 120, 94), tile_px=(64, 64), stride_px=48)
    assert corners == ((20, 30), (56, 30))


def test_a_picture_smaller_than_a_tile_is_told() -> None:
    with pytest.raises(ImageError, match="smaller than a tile: found 63 × 80 px; expected at least 64 × 64 px"):
        tile_corners((0, 0, 63, 80), tile_px=(64, 64), stride_px=48)


def test_a_picture_is_as_good_as_its_worst_tile() -> None:
    tiles = np.array([[0.98, 0.01, 0.01], [0.1, 0.85, 0.05], [0.2, 0.05, 0.75]])  # good, a, b
    merged = merge_probabilities(tiles, good=0)
    assert merged == pytest.approx([0.1, 0.9 * 0.85 / 1.6, 0.9 * 0.75 / 1.6])
    assert merged.sum() == pytest.approx(1)
    assert merge_probabilities(tiles[:1], good=0) == pytest.approx(tiles[0])
    assert merge_probabilities(tiles, good=None) == pytest.approx(tiles.mean(axis=0))
    assert np.isnan(merge_probabilities(np.array([[0.5, 0.5], [np.nan, np.nan]]), good=0)).any()


def spot(geometry: GridGeometry, shape: tuple[int, int], at: tuple[float, float]) -> np.ndarray:
    """What cells would say of a blob of 20 px around `at` (x, y)."""
    x = geometry.origin_x_px + geometry.step_x_px * np.arange(shape[1])
    y = geometry.origin_y_px + geometry.step_y_px * np.arange(shape[0])
    return np.exp(-((x[None] - at[0]) ** 2 + (y[:, None] - at[1]) ** 2) / 400).astype(np.float32)


@pytest.mark.parametrize("stride", [40, 48, 64])
@pytest.mark.parametrize("at", [(30.0, 40.0), (96.0, 64.0), (141.0, 99.0)])
def test_a_spot_comes_back_where_it_is_and_no_seam_shows(at: tuple[float, float], stride: int) -> None:
    height, width = 140, 203  # not a multiple of anything: the last tiles lie across the others' cells
    inside = (0, 0, width, height)
    maps = {}
    for x, y in tile_corners(inside, tile_px=(64, 64), stride_px=stride):
        maps[x, y] = spot(GridGeometry(x + 3.5, y + 3.5, 8, 8, 64, 64), (8, 8), at)
    merged, geometry = merge_maps(maps, inside, CELLS, tile_px=(64, 64), overlap_px=64 - stride, size_px=(height, width))
    drawn, exact = sample_grid(merged, geometry), spot(GridGeometry(0, 0, 1, 1, width, height), (height, width), at)
    assert drawn.shape == (height, width)
    peak_y, peak_x = np.unravel_index(int(drawn.argmax()), drawn.shape)
    assert abs(peak_x - at[0]) <= 4
    assert abs(peak_y - at[1]) <= 4
    assert np.abs(drawn - exact)[8:-8, 8:-8].max() < 0.12  # bilinear between cells of 8 px


def test_where_no_tile_has_a_map_there_is_none() -> None:
    merged, _ = merge_maps(
        {(0, 0): np.ones((8, 8), np.float32)}, (0, 0, 192, 64), CELLS, tile_px=(64, 64), overlap_px=16, size_px=(64, 192)
    )
    assert merged.shape == (8, 24)
    assert (merged[:, :8] == 1).all()
    assert (merged[:, 8:] == 0).all()


def test_nothing_shows_outside_the_region_of_interest() -> None:
    geometry = GridGeometry(43.5, 23.5, 8, 8, 200, 160)
    grid, moved = confined(np.ones((8, 8), np.float32), geometry, (40, 20, 104, 84))
    drawn = sample_grid(grid, moved)
    assert (drawn[24:80, 44:100] == 1).all()
    outside = np.ones((160, 200), bool)
    outside[16:88, 36:108] = False  # it fades out within half a cell
    assert (drawn[outside] == 0).all()
    whole = GridGeometry(3.5, 3.5, 8, 8, 64, 64)
    assert confined(np.ones((8, 8), np.float32), whole, (0, 0, 64, 64))[1] == whole
