"""A reference is found by name and laid over its picture; what does not fit is told."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from boards_world import HEIGHT, WIDTH, design, photo, spoil
from kizu_inspect.errors import ConfigError, ImageError
from kizu_inspect.picture.reference import References, align
from kizu_inspect.recipe import AlignmentSettings, ReferenceSettings

SHIFT = AlignmentSettings()


def warped(board: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The board seen through a homography (3, 3), as RGB."""
    seen = cv2.warpPerspective(board, onto, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return np.repeat(seen[:, :, None], 3, axis=2)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-7, 5), (14, 11)])
def test_a_shifted_reference_is_moved_onto_its_picture_and_into_its_light(shift: tuple[int, int]) -> None:
    picture = photo(spoil(design(1), ["copper"], 1)[0], 1, shift=shift)
    aligned = align(picture, design(1), SHIFT)
    assert aligned.correlation > 0.97
    clean = photo(design(1), 1, shift=shift)[..., 0].astype(int)
    inside = (slice(15, -15), slice(15, -15))
    assert np.abs(aligned.reference[inside] - clean[inside]).mean() < 6  # the photo's noise is 3, its light 0.9 of the design's


def test_a_shift_by_a_fraction_of_a_pixel_is_found() -> None:
    smooth = cv2.GaussianBlur(design(2), (0, 0), 2)
    onto = np.array([[1, 0, 2.4], [0, 1, -1.6], [0, 0, 1.0]])
    picture = warped(smooth, onto)
    whole = warped(smooth, np.array([[1, 0, 2.0], [0, 1, -2.0], [0, 0, 1.0]]))
    aligned = align(picture, smooth, SHIFT)
    inside = (slice(10, -10), slice(10, -10))
    left = np.abs(aligned.reference[inside].astype(int) - picture[..., 0][inside]).mean()
    assert left < 0.25 * np.abs(whole[..., 0][inside].astype(int) - picture[..., 0][inside]).mean()


def test_a_change_of_view_needs_a_homography() -> None:
    onto = np.array([[1.02, 0.015, -2.0], [-0.01, 0.985, 3.0], [4e-5, -3e-5, 1.0]])
    picture = warped(design(3), onto)
    moved = align(picture, design(3), SHIFT)
    seen = align(picture, design(3), AlignmentSettings(kind="homography"))
    assert seen.correlation > 0.98 > moved.correlation


def test_a_large_picture_is_searched_small_and_placed_sharply() -> None:
    rng = np.random.default_rng(0)
    large = cv2.normalize(cv2.GaussianBlur(rng.random((1500, 2000), np.float32), (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    large = np.asarray(large, np.uint8)
    picture = cv2.warpAffine(large, np.array([[1, 0, 61], [0, 1, -37.0]]), (2000, 1500))
    aligned = align(np.repeat(picture[:, :, None], 3, axis=2), large, SHIFT)
    assert aligned.correlation > 0.9999
    assert np.array_equal(aligned.reference, picture)  # moved by whole pixels, and where it does not reach the picture itself


def test_a_reference_that_does_not_fit_is_told() -> None:
    picture = photo(design(4), 4)
    with pytest.raises(ImageError, match="another size than the picture: found 96 × 160 px; expected 192 × 160 px"):
        align(picture, design(4)[:, :96], SHIFT)
    noise = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    with pytest.raises(ImageError, match="does not fit the picture: found a correlation of"):
        align(picture, noise, SHIFT)
    with pytest.raises(ImageError, match="does not fit"):
        align(picture, np.full((HEIGHT, WIDTH), 90, np.uint8), SHIFT)
    flat = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    assert align(flat, np.full((HEIGHT, WIDTH), 120, np.uint8), SHIFT).reference.mean() == 90
    specked = flat.copy()
    specked[20:60, 30:70] = 0  # an empty board with a defect: nothing to fit it by, and no reason to refuse it
    assert align(specked, np.full((HEIGHT, WIDTH), 90, np.uint8), SHIFT).reference[20:60, 30:70].min() > 80


def test_without_alignment_the_reference_stays_where_it_is() -> None:
    picture = photo(design(6), 6, shift=(2, 0))
    aligned = align(picture, design(6), AlignmentSettings(kind="none"))
    assert aligned.correlation < align(picture, design(6), SHIFT).correlation


def test_references_are_found_by_name(tmp_path: Path) -> None:
    for number in (7, 8):
        cv2.imwrite(str(tmp_path / f"{number}_temp.png"), design(number))
    settings = ReferenceSettings(path=tmp_path, pattern=r"(.+)_test[.]png", name=r"\1_temp.png")
    references = References(settings, SHIFT)
    for number in (7, 8):
        assert references.aligned(photo(design(number), number), f"{number}_test.png").correlation > 0.97
    with pytest.raises(ImageError, match=r"no reference by its name: found 7[.]png"):
        references.aligned(photo(design(7), 7), "7.png")
    with pytest.raises(ImageError, match="no reference by its name: found no name"):
        references.aligned(photo(design(7), 7), None)
    with pytest.raises(ImageError, match=r"reference cannot be opened: found .*9_temp[.]png: No such file"):
        references.aligned(photo(design(7), 7), "9_test.png")
    wrong = References(settings.model_copy(update={"name": r"\2.png"}), SHIFT)
    with pytest.raises(ImageError, match="does not go with its pattern"):
        wrong.aligned(photo(design(7), 7), "7_test.png")


def test_settings_that_cannot_work_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        ReferenceSettings(path=tmp_path, pattern="(")
    with pytest.raises(ConfigError, match=r"recipe.reference cannot be used: found reference cannot be opened"):
        References(ReferenceSettings(path=tmp_path / "absent.png"), SHIFT)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ConfigError, match="cannot be read"):
        References(ReferenceSettings(path=tmp_path / "text.png"), SHIFT)
    with pytest.raises(ConfigError, match="names no folder"):
        References(ReferenceSettings(path=tmp_path / "absent", pattern="(.+)"), SHIFT)


def test_a_pattern_that_would_take_years_costs_its_picture_only(tmp_path: Path) -> None:
    references = References(ReferenceSettings(path=tmp_path, pattern="((?:a|aa)+)b"), SHIFT)
    with pytest.raises(ImageError, match=r"recipe[.]reference[.]pattern takes too long: found the name aaa"):
        references.aligned(np.zeros((64, 64, 3), np.uint8), "a" * 200)
