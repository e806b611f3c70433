"""What each pixel of a picture shows: masks before boxes, a thin ring of doubt, and nothing punished that nobody marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.places import UNSURE, Places, defects_of, places_of
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.synth import write_set
from kizu_inspect.training.pictures import load_pictures

CLASSES = ("dent", "good", "scratch")
SIZE = (60, 90)
RING = 2


@pytest.fixture
def scratch(tmp_path: Path) -> Sample:
    """A picture with a thin diagonal scratch as mask, and the box around it."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.line(mask, (20, 10), (60, 50), 255, 1)
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    cv2.imwrite(str(tmp_path / "part.png"), np.full((*SIZE, 3), 128, np.uint8))
    box = (20, 10, 61, 51, "scratch")
    return Sample(tmp_path / "part.png", "scratch", "train", "1", boxes=(box,), mask=tmp_path / "mask.png")


def shown_by(sample: Sample) -> Places:
    return places_of(sample, defects_of(sample, SIZE), CLASSES, SIZE, ring_px=RING)


def test_a_mask_wins_over_the_box_around_it(scratch: Sample) -> None:
    places = shown_by(scratch)
    mask = cv2.imread(str(scratch.mask), cv2.IMREAD_GRAYSCALE) > 127  # type: ignore[operator]
    assert np.array_equal(places == CLASSES.index("scratch") + 1, mask)
    assert np.array_equal(places, shown_by(replace(scratch, boxes=())))


def test_only_a_thin_ring_is_unsure(scratch: Sample) -> None:
    places = shown_by(scratch)
    mask = cv2.imread(str(scratch.mask), cv2.IMREAD_GRAYSCALE) > 127  # type: ignore[operator]
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert np.array_equal(places == UNSURE, (distance > 0) & (distance <= RING))
    assert places[15, 55] == 0  # within the scratch's box, and not on it


def test_a_box_alone_counts_as_filled(scratch: Sample) -> None:
    places = shown_by(replace(scratch, mask=None))
    assert (places[10:51, 20:61] == CLASSES.index("scratch") + 1).all()
    assert set(np.unique(places)) == {0, UNSURE, CLASSES.index("scratch") + 1}


def test_the_smaller_of_two_boxes_names_what_the_mask_shows_in_both(scratch: Sample) -> None:
    dent = (38, 28, 43, 33, "dent")
    places = shown_by(replace(scratch, boxes=(dent, *scratch.boxes), others=("dent",)))
    assert places[30, 40] == CLASSES.index("dent") + 1
    assert places[15, 25] == CLASSES.index("scratch") + 1


def test_a_box_in_which_the_mask_shows_nothing_is_unsure(scratch: Sample) -> None:
    places = shown_by(replace(scratch, boxes=(*scratch.boxes, (70, 5, 80, 15, "dent")), others=("dent",)))
    assert (places[5:15, 70:80] == UNSURE).all()
    assert places[15, 25] == CLASSES.index("scratch") + 1


def test_what_nobody_marked_is_not_called_good(scratch: Sample) -> None:
    """A picture with two classes of which one alone has a box: the other may lie anywhere."""
    places = shown_by(replace(scratch, mask=None, others=("dent",)))
    assert set(np.unique(places)) == {UNSURE, CLASSES.index("scratch") + 1}


def test_a_mask_of_several_classes_without_boxes_names_none(scratch: Sample) -> None:
    assert set(np.unique(shown_by(replace(scratch, boxes=(), others=("dent",))))) == {UNSURE}


def test_a_good_picture_shows_nothing(scratch: Sample) -> None:
    good = replace(scratch, label="good", boxes=(), mask=None)
    assert not places_of(good, (), CLASSES, SIZE, ring_px=RING).any()


def test_a_thin_defect_survives_a_smaller_input(tmp_path: Path) -> None:
    """A line of a third of the input's pixel: nearest neighbours would leave dots of it."""
    mask, picture = np.zeros((600, 600), np.uint8), np.full((600, 600, 3), 128, np.uint8)
    cv2.line(mask, (100, 300), (500, 300), 255, 2)
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    cv2.imwrite(str(tmp_path / "part.png"), picture)
    sample = Sample(tmp_path / "part.png", "scratch", "train", "1", mask=tmp_path / "mask.png")
    inputs = InputSettings(height_px=200, width_px=200)
    loaded = load_pictures([sample], CLASSES, inputs, good="good", ring_px=RING)
    assert loaded.truths is not None
    line = loaded.truths[0] == CLASSES.index("scratch") + 1
    assert line.any(axis=0)[35:165].all()
    assert line.sum(axis=0).max() <= 2
    assert (loaded.truths[0] == UNSURE).any(axis=1).sum() <= 2 * RING + 4


def test_a_drawn_scratch_is_taught_as_its_mask(tmp_path: Path) -> None:
    """As the network gets it: `kizu synth` writes boxes and masks, and the box of a scratch is mostly sound metal."""
    data = read_labelled(write_set(tmp_path, count=30, seed=3, size_px=96))
    inputs = InputSettings(height_px=96, width_px=96)
    scratched = [sample for sample in data.samples if sample.label == "scratch"]
    loaded = load_pictures(scratched, data.classes, inputs, good=data.good, ring_px=3)
    assert loaded.truths is not None
    for sample, truth in zip(scratched, loaded.truths, strict=True):
        mask = cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE) > 127  # type: ignore[operator]
        assert np.array_equal(truth == data.classes.index("scratch") + 1, mask)
