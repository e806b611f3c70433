"""Labelled sets from class folders and manifests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.dataset import read_as_trained, read_labelled
from kizu_inspect.picture.images import encode_png

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


def test_a_picture_may_have_several_classes_and_a_reference(tmp_path: Path) -> None:
    put(tmp_path, *(f"{i}.png" for i in range(40)), "design.png")
    path = tmp_path / "set.csv"
    lines = [f"{i}.png,{'open|short' if i % 2 else 'good'},,,,,design.png" for i in range(40)]
    head = "path,label,split,group,boxes,mask,reference\n"
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    data = read_labelled(path)
    assert (data.classes, data.good) == (("good", "open", "short"), "good")
    assert {sample.labels for sample in data.samples} == {("good",), ("open", "short")}
    assert all(sample.reference == tmp_path / "design.png" for sample in data.samples)
    (tmp_path / "design.png").write_bytes(encode_png(np.ones((8, 8, 3), np.uint8)))
    assert read_labelled(path).data_hash != data.data_hash  # another reference is another set
    path.write_text(head + lines[0].replace("design", "absent") + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"names files that are not there: found 1: absent[.]png"):
        read_labelled(path)
    path.write_text(head + '0.png,open|short,,,"[[0, 0, 4, 4, ""spur""]]",,\n', encoding="utf-8")
    with pytest.raises(
        DataError, match=r"line 2: a box has a class that the picture has not: found spur; expected open\|short"
    ):
        read_labelled(path)


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
    assert [(sample.path.name, sample.split) for sample in data.samples] == [  # by class and name
        ("2.png", "train"), ("4.png", "val"), ("1.png", "train"), ("3.png", "val"),
    ]  # fmt: skip
    assert data.samples[0].boxes == ((1, 2, 3, 4, "dent"),)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["1.png,good,train,,,", "9.png,dent,train,,,"], r"names files that are not there: found 1: 9\.png"),
        (["1.png,good,train,,,", "2.png,good,val,,,"], r"has one class: found good"),
        (["1.png,good,elsewhere,,,"], r"line 2: unknown split: found elsewhere"),
        (["1.png,good,train,,[[1]],"], r"line 2: boxes are not understood"),
        (["1.png,good,train,,,", "2.png,dent,val,,,"], r"a class has no training picture: found dent"),
        (["1.png,good,train,,,", "2.png,dent,train,,,"], r"no picture in the val split"),
        (
            ["1.png,good,train,g1,,", "2.png,dent,val,g1,,"],
            r"a group lies in two splits: found group g1 in train and val; expected pictures of one part on one side",
        ),
    ],
)
def test_mistakes_in_a_manifest_are_named(tmp_path: Path, lines: list[str], said: str) -> None:
    put(tmp_path, "1.png", "2.png")
    with pytest.raises(DataError, match=said):
        read_labelled(manifest(tmp_path, *lines))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"part\d+_", r"does not tell a picture's group: found 0 groups in part"),
        (r"(part)(\d+)_", r"does not tell a picture's group: found 2 groups"),
        (r"(part", r"group pattern is not understood: found \(part: missing \)"),
    ],
)
def test_a_group_pattern_without_its_one_group_is_named(tmp_path: Path, pattern: str, said: str) -> None:
    put(tmp_path, "a/part1_1.png", "b/part2_1.png")
    with pytest.raises(DataError, match=said):
        read_labelled(tmp_path, group_pattern=pattern)


def test_a_manifest_may_name_pictures_anywhere(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", *(f"{i}.png" for i in range(8)))
    (tmp_path / "list").mkdir()
    rows = [
        f"{tmp_path / 'elsewhere' / f'{i}.png'},{'good' if i % 2 else 'dent'},{'val' if i > 3 else 'train'},,,"
        for i in range(8)
    ]
    absolute = read_labelled(manifest(tmp_path / "list", *rows))
    relative = read_labelled(manifest(tmp_path / "list", *(row.replace(str(tmp_path), "..", 1) for row in rows)))
    assert [sample.path.resolve() for sample in absolute.samples] == [sample.path.resolve() for sample in relative.samples]
    assert len(absolute.data_hash) == 64


def test_a_set_is_shared_out_again_as_its_models_training_did(tmp_path: Path, tiny_bundle: Path) -> None:
    put(tmp_path, *(f"{label}/part{i // 2}_{i}.png" for label in ("good", "dent") for i in range(40)))
    spec = Bundle.load(tiny_bundle).spec
    trained = read_labelled(tmp_path, group_pattern=r"(part\d+)_", seed=5)
    assert (trained.split_seed, trained.group_pattern) == (5, r"(part\d+)_")
    origin = {"seed": 1, "split_seed": trained.split_seed, "group_pattern": trained.group_pattern}
    spec = spec.model_copy(update={"provenance": spec.provenance.model_copy(update=origin)})
    again = read_as_trained(tmp_path, spec)
    assert again == trained
    assert read_labelled(tmp_path).split("test") != trained.split("test")


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data set is not there"):
        read_labelled(tmp_path / "absent")
    with pytest.raises(DataError, match="is empty"):
        read_labelled(tmp_path)
