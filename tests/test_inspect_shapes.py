"""Outlines and run lengths become the pixels that other programs make of them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path as Outlined

from kizu_inspect.labelled.shapes import around, fill, pixels_of, pixels_of_runs, runs_of_text, spans_of
from layouts_world import as_text, runs

SIZE = (60, 80)


@pytest.mark.parametrize("seed", range(8))
def test_an_outline_holds_the_pixels_whose_middle_lies_in_it(seed: int) -> None:
    generator = np.random.default_rng(seed)
    angles = np.sort(generator.uniform(0, 2 * np.pi, 9))
    reach = generator.uniform(4, 38, 9)
    corners = np.stack([40 + reach * np.cos(angles), 30 + reach * np.sin(angles)], axis=1)  # some lie beyond the picture
    middles = np.stack(np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5), axis=-1).reshape(-1, 2)
    expected = Outlined(corners).contains_points(middles).reshape(SIZE)
    spans = fill([tuple((float(x), float(y)) for x, y in corners)], SIZE)
    assert np.array_equal(pixels_of(spans, SIZE), expected)
    assert pixels_of(spans, SIZE).sum() > 100


def test_corners_on_whole_pixels_hold_what_lies_between_them() -> None:
    spans = fill([((2, 3), (6, 3), (6, 5), (2, 5))], SIZE)
    assert spans == ((3, 2, 6), (4, 2, 6))
    assert around(spans) == (2, 3, 6, 5)
    both = fill([((2, 3), (6, 3), (6, 5), (2, 5)), ((4, 4), (9, 4), (9, 6), (4, 6))], SIZE)
    assert both == ((3, 2, 6), (4, 2, 9), (5, 4, 9))  # outlines of one thing are joined, not cut out of each other


def test_a_hair_is_not_lost() -> None:
    hair = fill([((10.1, 5.2), (30.1, 5.2), (30.1, 5.3), (10.1, 5.3))], SIZE)
    assert hair == ((5, 10, 31),)
    assert fill([((200, 200), (210, 200), (210, 210))], SIZE) == ()


@pytest.mark.parametrize("seed", range(5))
def test_spans_and_runs_give_the_pixels_back(seed: int) -> None:
    pixels = np.random.default_rng(seed).random(SIZE) < 0.3
    assert np.array_equal(pixels_of(spans_of(pixels), SIZE), pixels)
    counts = runs(pixels)
    assert runs_of_text(as_text(counts)) == counts
    assert np.array_equal(pixels_of_runs(counts, SIZE), pixels)
    assert np.array_equal(pixels_of_runs(runs(pixels, order="C"), SIZE, by_rows=True), pixels)


def test_run_lengths_as_the_coco_programs_write_them() -> None:
    # A 4 × 4 mask with its middle 2 × 2 set, by pycocotools: {"size": [4, 4], "counts": "52203"}
    assert runs_of_text("52203") == [5, 2, 2, 2, 5]
    middle = np.zeros((4, 4), np.bool_)
    middle[1:3, 1:3] = True
    assert np.array_equal(pixels_of_runs([5, 2, 2, 2, 5], (4, 4)), middle)


@pytest.mark.parametrize("text", ["52203P", "5\x002", "~"])
def test_text_that_is_no_run_lengths_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        runs_of_text(text)


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("counts", [[], [5, 2], [-1, 17], [16, 1]])
def test_runs_of_another_size_are_refused(counts: list[int], by_rows: bool) -> None:
    with pytest.raises(ValueError, match="px for 4 × 4"):
        pixels_of_runs(counts, (4, 4), by_rows=by_rows)
