"""Tiles to train on, from boxes and from masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from kizu_inspect.errors import DataError
from kizu_inspect.labelled.dataset import Sample, read_labelled
from kizu_inspect.labelled.places import UNSURE
from kizu_inspect.picture.inputs import InputSettings, TilingSettings
from kizu_inspect.training.cut_tiles import cut_tiles

CLASSES = ("copper", "good", "hole")
INPUTS = InputSettings(height_px=64, width_px=64, profile="reference", tiling=TilingSettings(stride_px=48))
PLAIN = INPUTS.model_copy(update={"profile": "plain"})


def test_a_tile_shows_its_class_and_no_other(boards_set: Path) -> None:
    samples = read_labelled(boards_set).split("train")
    tiles = cut_tiles(samples, CLASSES, INPUTS, good="good", ring_px=5, seed=0)
    assert tiles.truths is not None
    assert tiles.references is not None
    assert (tiles.images.shape[1:], tiles.references.shape[1:]) == ((64, 64, 3), (64, 64))
    shown = [set(np.unique(truth)) - {0, UNSURE} for truth in tiles.truths]
    for label, classes in zip(tiles.labels, shown, strict=True):
        assert classes == (set() if CLASSES[label] == "good" else {label + 1})
    defects, good = (int((np.isin(tiles.labels, kinds)).sum()) for kinds in ([0, 2], [1]))
    assert defects > 90  # two for each of 108 boxes, but where another defect is too near
    assert good > 150
    # Where there is no defect, picture and reference differ by little more than light and noise.
    clean = tiles.labels == 1
    off = np.abs(tiles.images[clean][..., 0].astype(int) - tiles.references[clean]).mean()
    assert off < 6
    again = cut_tiles(samples, CLASSES, INPUTS, good="good", ring_px=5, seed=0)
    assert np.array_equal(tiles.images, again.images)


def write(tmp_path: Path, *, mask: bool = True) -> Sample:
    picture = np.full((100, 150, 3), 128, np.uint8)
    shape = np.zeros((100, 150), np.uint8)
    cv2.circle(shape, (40, 30), 6, 255, -1)
    cv2.circle(shape, (120, 70), 5, 255, -1)
    cv2.imwrite(str(tmp_path / "part.png"), picture)
    cv2.imwrite(str(tmp_path / "mask.png"), shape)
    return Sample(tmp_path / "part.png", "hole", "train", "1", mask=tmp_path / "mask.png" if mask else None)


def test_each_piece_of_a_mask_gives_tiles(tmp_path: Path) -> None:
    tiles = cut_tiles([write(tmp_path)], CLASSES, PLAIN, good="good", ring_px=5, seed=0)
    assert tiles.truths is not None
    marked = [
        (truth == CLASSES.index("hole") + 1).sum() for truth, label in zip(tiles.truths, tiles.labels, strict=True) if label
    ]
    assert tiles.references is None
    assert (tiles.labels == 2).sum() == 4
    assert min(marked[:4]) >= 80  # pixels of the smaller circle


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    sample = write(tmp_path)
    where = {"good": "good", "ring_px": 5, "seed": 0}
    with pytest.raises(DataError, match="smaller than a tile: found 150 × 100 px; expected at least 104 × 104 px"):
        cut_tiles([sample], CLASSES, PLAIN.model_copy(update={"height_px": 104, "width_px": 104}), **where)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="does not say where its defect lies"):
        cut_tiles([replace(sample, mask=None)], CLASSES, PLAIN, **where)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"a box lies beyond its picture .*found \[100, 50, 151, 90, 'hole'\]"):
        cut_tiles([replace(sample, boxes=((100, 50, 151, 90, "hole"),))], CLASSES, PLAIN, **where)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="has no reference: found an empty reference column"):
        cut_tiles([sample], CLASSES, INPUTS, **where)  # type: ignore[arg-type]
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((50, 50), np.uint8))
    with pytest.raises(DataError, match="does not fit its picture: found 50 × 50 px; expected 150 × 100 px"):
        cut_tiles([sample], CLASSES, PLAIN, **where)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"profile": "part", "tiling": {"stride_px": 48}}, "the part profile compares whole pictures"),
        ({"profile": "plain", "tiling": {"stride_px": 200}}, "leaves gaps between tiles"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        InputSettings.model_validate(settings)
