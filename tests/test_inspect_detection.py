"""Regions against boxes, by cases made by hand."""

from __future__ import annotations

import pytest

from kizu_inspect.evaluation.detection import compare, detection_figures
from kizu_inspect.labelled.dataset import Box
from kizu_inspect.results import Region


def region(x1: int, y1: int, x2: int, y2: int, label: str = "a", score: float = 1.0) -> Region:
    return Region(x1, y1, x2, y2, label, score, 0.5)


def test_a_region_covers_by_overlap_or_by_its_centre() -> None:
    box: Box = (10, 10, 50, 50, "a")
    assert compare([region(10, 10, 50, 14)], [box]).covered == (True,)  # 160 of 1,600 px: 0.1
    assert compare([region(10, 47, 50, 53)], [box]).covered == (False,)  # its centre lies on the edge, outside
    assert compare([region(28, 28, 32, 32)], [box]).covered == (True,)  # 16 px of 1,600, but in the middle
    assert compare([], [box]).covered == (False,)


def test_only_regions_that_touch_no_box_are_false() -> None:
    boxes: list[Box] = [(10, 10, 20, 20, "a"), (60, 60, 70, 70, "b")]
    found = compare([region(19, 19, 40, 40), region(20, 20, 30, 30), region(80, 0, 90, 9)], boxes)
    assert found.false_regions == 2
    assert compare([region(0, 0, 5, 5)], []).false_regions == 1


def test_the_best_region_names_the_defect() -> None:
    box: Box = (10, 10, 30, 30, "a")
    assert compare([region(10, 10, 30, 30, "a", 0.5), region(18, 18, 22, 22, "b", 0.9)], [box]).named == (True,)
    assert compare([region(10, 10, 30, 30, "b")], [box]).named == (False,)
    assert compare([], [box]).named == ()


def test_precision_is_the_area_under_its_curve_over_recall() -> None:
    """Strongest first: hit, false, hit; of three boxes one is never found: (1/1 + 2/3) / 3."""
    boxes: list[Box] = [(0, 0, 10, 10, "a"), (20, 0, 30, 10, "a"), (40, 0, 50, 10, "a")]
    regions = [region(0, 0, 10, 10, score=0.9), region(80, 0, 90, 10, score=0.8), region(20, 0, 30, 10, score=0.7)]
    figures = detection_figures([compare(regions, boxes), compare([], [])])
    assert figures["precision"].value == pytest.approx((1 + 2 / 3) / 3)
    assert figures["covered"].value == pytest.approx(2 / 3)
    assert figures["named"].value == 1
    assert figures["false_regions"].value == pytest.approx(1 / 2)
    twice = [region(0, 0, 10, 10, score=0.9), region(0, 0, 10, 9, score=0.8)]  # a box is found once
    assert detection_figures([compare(twice, boxes[:1])])["precision"].value == pytest.approx(1)
    assert detection_figures([compare([], [])]).keys() == {"false_regions"}
