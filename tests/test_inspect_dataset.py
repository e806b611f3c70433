"""Labelled sets from class folders and manifests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kizu_inspect.errors import DataError
from kizu_inspect.images import encode_png
from kizu_inspect.training.dataset import read_labelled

PNG = encode_png(np.zeros((8, 8, 3), np.uint8))


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG)


def manifest(root: Path, *lines: str) -> Path:
    path = root / "set.csv"
    path.write_text("path,label,split,group,boxes,mask\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_class_folders_are_shared_out_and_the_good_class_is_found(tmp_path: Path) -> None:
    put(tmp_path, *(f"{label}/{i}.png" for label in ("OK", "dent") for i in range(20)))
    data = read_labelled(tmp_path)
    assert (data.classes, data.good) == (("OK", "dent"), "OK")
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [28, 6, 6]
    assert data == read_labelled(tmp_path)


def test_split_folders_are_kept(tmp_path: Path) -> None:
    put(tmp_path, *(f"{split}/{label}/{i}.png" for split in ("train", "val") for label in "ab" for i in range(2)))
    data = read_labelled(tmp_path)
    assert data.good is None
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [4, 4, 0]


def test_a_png_beside_a_jpeg_is_its_mask(tmp_path: Path) -> None:
    put(tmp_path, *(f"{label}/{i}{ending}" for label in "ab" for i in range(8) for ending in (".jpg", ".png")))
    samples = read_labelled(tmp_path).samples
    assert len(samples) == 16
    assert all(sample.mask == sample.path.with_suffix(".png") for sample in samples)


def test_pictures_of_one_group_stay_on_one_side(tmp_path: Path) -> None:
    put(tmp_path, *(f"{label}/part{i // 4}_{i}.png" for label in "ab" for i in range(80)))
    samples = read_labelled(tmp_path, group_pattern=r"(part\d+)_").samples
    sides: dict[str, set[str]] = {}
    for sample in samples:
        sides.setdefault(sample.group, set()).add(sample.split)
    assert len(sides) == 20
    assert all(len(splits) == 1 for splits in sides.values())


def test_a_manifest_keeps_splits_groups_and_boxes(tmp_path: Path) -> None:
    put(tmp_path, "1.png", "2.png", "3.png", "4.png")
    path = manifest(
        tmp_path,
        "1.png,good,train,g,,",
        '2.png,dent,train,h,"[[1, 2, 3, 4, ""dent""]]",',
        "3.png,good,val,i,,",
        "4.png,dent,val,j,,",
    )
    data = read_labelled(path)
    assert data.samples[1].boxes == ((1, 2, 3, 4, "dent"),)
    assert [sample.split for sample in data.samples] == ["train", "train", "val", "val"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["1.png,good,train,,,", "9.png,dent,train,,,"], r"names files that are not there: found 1: 9\.png"),
        (["1.png,good,train,,,", "2.png,good,val,,,"], r"has one class: found good"),
        (["1.png,good,training,,,"], r"line 2: unknown split: found training"),
        (["1.png,good,train,,[[1]],"], r"line 2: boxes are not understood"),
        (["1.png,good,train,,,", "2.png,dent,val,,,"], r"a class has no training picture: found dent"),
        (["1.png,good,train,,,", "2.png,dent,train,,,"], r"no picture in the val split"),
    ],
)
def test_mistakes_in_a_manifest_are_named(tmp_path: Path, lines: list[str], said: str) -> None:
    put(tmp_path, "1.png", "2.png")
    with pytest.raises(DataError, match=said):
        read_labelled(manifest(tmp_path, *lines))


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data set is not there"):
        read_labelled(tmp_path / "absent")
    with pytest.raises(DataError, match="is empty"):
        read_labelled(tmp_path)
