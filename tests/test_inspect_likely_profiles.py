"""Which input profiles are tried on a set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.picture_files import read_picture
from kizu_inspect.picture.inputs import ProfileName
from kizu_inspect.synth import write_set
from kizu_inspect.training.likely_profiles import likely_profiles, likeness
from texture_world import write_alike


@pytest.mark.parametrize(
    ("alike", "profiles"), [(0.0, ("surface",)), (0.4, ("part", "surface")), (0.8, ("part",))]
)  # fmt: skip
def test_pictures_that_are_alike_are_parts_others_surfaces(
    tmp_path: Path, alike: float, profiles: tuple[ProfileName, ...]
) -> None:
    data = read_labelled(write_alike(tmp_path, count=60, alike=alike))
    assert likeness(data) == pytest.approx(alike, abs=0.06)
    assert likely_profiles(data, tiled=False) == profiles
    assert likely_profiles(data, tiled=True) == ("surface",)


def test_drawn_plates_are_parts(tmp_path: Path) -> None:
    data = read_labelled(write_set(tmp_path, count=40, seed=0, size_px=64))
    assert likely_profiles(data, tiled=False) == ("part",)


def test_light_from_one_side_makes_no_likeness(tmp_path: Path) -> None:
    data = read_labelled(write_alike(tmp_path, count=60, alike=0.0))
    slope = np.linspace(-60, 60, 64)[None]
    for sample in data.samples:
        lit = read_picture(sample.path)[..., 0] + slope
        cv2.imwrite(str(sample.path), np.clip(lit, 0, 255).astype(np.uint8))
    assert likely_profiles(data, tiled=False) == ("surface",)


def test_pictures_that_all_have_references_are_compared(boards_set: Path) -> None:
    assert likely_profiles(read_labelled(boards_set), tiled=True) == ("reference",)
