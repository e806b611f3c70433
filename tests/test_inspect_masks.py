"""A mask marks what its tool meant, whatever values it wrote."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from formats_world import manifest, picture
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.findings import refuse
from kizu_inspect.labelled.masks import read_mask
from kizu_inspect.labelled.places import defects_of, marked_by
from kizu_inspect.labelled.readers import read_samples

SIZE = (40, 60)
SHAPE = np.zeros(SIZE, np.bool_)
SHAPE[10:20, 15:40] = True
VOC_PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0]


def saved(path: Path, pixels: npt.NDArray[np.generic], palette: list[int] | None = None) -> Path:
    image = Image.fromarray(pixels)
    if palette is not None:
        image = Image.frombytes("P", (SIZE[1], SIZE[0]), pixels.astype(np.uint8).tobytes())
        image.putpalette([*palette, *[0] * (768 - len(palette))])
    image.save(path)
    return path


@pytest.mark.parametrize("value", [1, 2, 38, 127, 128, 255])
def test_all_but_0_is_marked_in_a_mask_of_few_values(tmp_path: Path, value: int) -> None:
    pixels = SHAPE.astype(np.uint8) * np.uint8(value)
    for name in ("m.png", "m.bmp", "m.tif"):
        found = read_mask(saved(tmp_path / name, pixels))
        assert found is not None
        assert np.array_equal(found, SHAPE)


def test_numbers_of_things_are_all_marked(tmp_path: Path) -> None:
    pixels = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) % 20 * SHAPE
    found = read_mask(saved(tmp_path / "m.png", pixels.astype(np.uint8)))
    assert np.array_equal(found, pixels > 0)  # type: ignore[arg-type]


def test_smooth_edges_and_jpeg_are_cut_in_the_middle(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(SHAPE.astype(np.float32) * 255, (0, 0), 1.5).astype(np.uint8)
    assert len(np.unique(smooth)) > 8
    assert np.array_equal(read_mask(saved(tmp_path / "m.png", smooth)), smooth > 127)  # type: ignore[arg-type]
    Image.fromarray(SHAPE.astype(np.uint8) * 255).save(tmp_path / "m.jpg", quality=60)
    assert np.array_equal(read_mask(tmp_path / "m.jpg"), SHAPE)  # type: ignore[arg-type]


def test_palettes_name_by_index_or_by_black(tmp_path: Path) -> None:
    classes = SHAPE.astype(np.uint8)
    classes[SHAPE & (np.arange(SIZE[1]) > 30)] = 2
    dark = saved(tmp_path / "voc.png", classes, VOC_PALETTE)
    void = saved(
        tmp_path / "void.png", np.where(np.arange(SIZE[1]) == 5, 255, classes), [*VOC_PALETTE, *[0] * 756, 224, 224, 192]
    )
    turned = saved(tmp_path / "turned.png", (~SHAPE).astype(np.uint8), [255, 255, 255, 0, 0, 0, 9, 9, 9])  # 0 is white
    for file in (dark, void, turned):
        assert np.array_equal(read_mask(file), SHAPE), file  # type: ignore[arg-type]


def test_colours_and_depth(tmp_path: Path) -> None:
    colour = np.zeros((*SIZE, 3), np.uint8)
    colour[SHAPE] = (0, 0, 90)  # dark blue is nearly black in grey
    assert np.array_equal(read_mask(saved(tmp_path / "c.png", colour)), SHAPE)  # type: ignore[arg-type]
    cv2.imwrite(str(tmp_path / "deep.png"), SHAPE.astype(np.uint16))
    assert np.array_equal(read_mask(tmp_path / "deep.png"), SHAPE)  # type: ignore[arg-type]
    (tmp_path / "no.png").write_bytes(b"no picture")
    assert read_mask(tmp_path / "no.png") is None
    assert read_mask(tmp_path / "absent.png") is None


def test_a_mask_that_marks_nothing_is_refused(tmp_path: Path) -> None:
    for number in range(8):
        picture(tmp_path / f"{number}.png", number)
    Image.new("L", (40, 30)).save(tmp_path / "m.png")
    splits = ("train", "val")
    rows = [f"{i}.png,{'good' if i % 2 else 'dent'},{splits[i // 4]},,,{'' if i % 2 else 'm.png'}" for i in range(8)]
    sample = read_labelled(manifest(tmp_path, *rows)).samples[0]
    with pytest.raises(DataError, match=r"mask .*m\.png marks nothing: found no pixel but 0; expected pixels of the defect"):
        defects_of(sample, (30, 40))


def test_classes_of_a_label_map_are_named_by_their_colours(tmp_path: Path) -> None:
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", "dent:128,0,0::", "stain:0,0,90::"]
    (tmp_path / "labelmap.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "SegmentationClass").mkdir()
    colours = np.zeros((30, 40, 3), np.uint8)
    colours[5:9, 5:20] = (128, 0, 0)
    colours[20:25, 30:38] = (0, 0, 90)
    for number, shown in enumerate((colours, np.zeros_like(colours))):
        picture(tmp_path / "JPEGImages" / f"{number}.png", number)
        Image.fromarray(shown).save(tmp_path / "SegmentationClass" / f"{number}.png")
    defective, good = read_samples(tmp_path, group_pattern=None, report=refuse).samples
    assert (defective.labels, good.labels) == (("dent", "stain"), ("good",))
    assert defective.boxes == ((5, 5, 20, 9, "dent"), (30, 20, 38, 25, "stain"))
    assert [name for name, _ in defective.areas] == ["dent", "stain"]
    assert np.array_equal(marked_by(defective, (30, 40)), colours.any(axis=2))  # type: ignore[arg-type]
    colours[0, 0] = (1, 2, 3)
    Image.fromarray(colours).save(tmp_path / "SegmentationClass" / "0.png")
    with pytest.raises(DataError, match=r"0\.png has a colour without a name: found \(1, 2, 3\)"):
        read_samples(tmp_path, group_pattern=None, report=refuse)
