"""Every format becomes the same samples."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torchvision.ops import box_convert

from formats_world import HEIGHT, WIDTH, manifest, picture, voc_xml, write_coco, write_mvtec, write_voc, write_yolo
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.choices import Unlabelled
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.findings import Finding, refuse
from kizu_inspect.labelled.readers import read_samples
from kizu_inspect.labelled.readers.manifest import write_manifest
from kizu_inspect.labelled.samples import Sample, outward
from layouts_world import LAYOUTS


def samples_of(path: Path, *, unlabelled: Unlabelled = "refuse") -> dict[str, Sample]:
    """The samples by their file's name without ending, as the set has them."""
    read = read_samples(path, group_pattern=None, report=refuse, unlabelled=unlabelled)
    return {sample.path.stem: sample for sample in read.samples}


def findings_of(path: Path) -> list[Finding]:
    findings: list[Finding] = []
    read_samples(path, group_pattern=None, report=findings.append)
    return findings


def test_mvtec_keeps_masks_and_shares_its_pictures_out_anew(tmp_path: Path) -> None:
    root = write_mvtec(tmp_path / "bottle", good=30, dent=20)
    data = read_labelled(root)
    assert (data.classes, data.good) == (("dent", "good"), "good")
    dents = [sample for sample in data.samples if sample.label == "dent"]
    assert {sample.mask for sample in dents} == {root / "ground_truth" / "dent" / f"{i:03}_mask.png" for i in range(20)}
    assert Counter(sample.split for sample in dents) == {"train": 14, "val": 3, "test": 3}
    kept = read_samples(root, group_pattern=None, report=refuse, splits="keep").samples
    assert Counter((sample.label, sample.split) for sample in kept) == {
        ("good", "train"): 30, ("good", "test"): 1, ("dent", "test"): 20,
    }  # fmt: skip


def test_voc_counts_from_one_and_includes_both_edges(tmp_path: Path) -> None:
    root = write_voc(
        tmp_path,
        {
            "a": voc_xml(("dent", 1, 1, WIDTH, HEIGHT)),
            "b": voc_xml(("scratch", 5, 6, 5, 6), ("dent", 0, "2.5", 7, 9)),
            "c": voc_xml(),
        },
        {"train": ["a", "c"], "val": ["b"]},
    )
    found = samples_of(root)
    assert found["a"].boxes == ((0, 0, WIDTH, HEIGHT, "dent"),)  # the whole picture
    assert found["b"].boxes == ((4, 5, 5, 6, "scratch"), (0, 1, 7, 9, "dent"))  # one pixel; from a tool that counts from 0
    assert found["b"].labels == ("scratch", "dent")
    assert (found["c"].label, found["c"].boxes) == ("good", ())
    assert {name: sample.split for name, sample in found.items()} == {"a": "train", "b": "val", "c": "train"}


def test_voc_pictures_outside_the_lists_are_left_out_and_told(tmp_path: Path) -> None:
    root = write_voc(tmp_path, {"a": voc_xml(), "b": voc_xml()}, {"train": ["a"]})
    assert set(samples_of(root)) == {"a"}
    assert [(finding.kind, finding.pictures) for finding in findings_of(root)] == [
        ("unmarked_good", (root / "JPEGImages" / "a.png",)),
        ("left_out", (root / "JPEGImages" / "b.png",)),
    ]


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (("annotations/instances_train.json", "annotations/instances_val.json"), ("images", "images")),
        (("annotations/instances_train2017.json", "annotations/instances_val2017.json"), ("train2017", "val2017")),
        (("annotations/train.json", "annotations/val.json"), ("images/train", "images/val")),
        (("train/_annotations.coco.json", "valid/_annotations.coco.json"), ("train", "valid")),
    ],
    ids=["images", "years", "folders", "beside"],
)
def test_coco_files_name_their_splits_and_find_their_pictures(
    tmp_path: Path, names: tuple[str, str], places: tuple[str, str]
) -> None:
    write_coco(tmp_path / names[0], {"a.png": [(1, (1, 2, 3, 4))], "b.png": []}, tmp_path / places[0])
    write_coco(tmp_path / names[1], {"c.png": [(2, (0, 0, 5, 5))]}, tmp_path / places[1])
    found = samples_of(tmp_path)
    assert {name: (one.label, one.split) for name, one in found.items()} == {
        "a": ("dent", "train"), "b": ("good", "train"), "c": ("scratch", "val"),
    }  # fmt: skip
    alone = samples_of(tmp_path / names[0])
    assert {name: one.split for name, one in alone.items()} == {"a": "", "b": ""}  # one file has nothing to part from


@pytest.mark.parametrize("name", ["a.png", "A.JPG"])
def test_a_json_of_one_picture_is_not_that_of_the_set(tmp_path: Path, name: str) -> None:
    write_coco(tmp_path / "set.json", {name: [(1, (1, 2, 3, 4))]}, tmp_path)
    write_coco((tmp_path / name).with_suffix(".json"), {name: [(2, (0, 0, 5, 5))]}, tmp_path)
    (found,) = samples_of(tmp_path).values()
    assert found.boxes == ((1, 2, 4, 6, "dent"),)


def test_a_json_of_labelme_is_not_that_of_a_longer_name(tmp_path: Path) -> None:
    for seed, (name, label) in enumerate({"a": "dent", "a.b": "scratch"}.items()):
        picture(tmp_path / f"{name}.png", seed)
        shape = {"label": label, "points": [[1, 2], [9, 8]], "shape_type": "rectangle"}
        content = {"shapes": [shape], "imagePath": "renamed since.png", "imageWidth": WIDTH, "imageHeight": HEIGHT}
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    assert {name: one.boxes for name, one in samples_of(tmp_path).items()} == {
        "a": ((1, 2, 9, 8, "dent"),), "a.b": ((1, 2, 9, 8, "scratch"),),
    }  # fmt: skip


def test_coco_boxes_are_those_of_torchvision_taken_outward(tmp_path: Path) -> None:
    given = [(3.25, 4.5, 10.5, 7.25), (0, 0, WIDTH, HEIGHT), (7.0, 8.0, 2.0, 3.0)]
    file = write_coco(tmp_path / "set.json", {"a.png": [(1, box) for box in given]}, tmp_path)
    content = json.loads(file.read_text(encoding="utf-8"))
    outline = {"image_id": 10, "category_id": 2, "bbox": [], "segmentation": [[3, 4, 9, 5, 6, 12], [1, 8, 2, 9, 2, 8]]}
    content["annotations"].append(outline)
    file.write_text(json.dumps(content), encoding="utf-8")
    edges = box_convert(torch.tensor(given, dtype=torch.float64), "xywh", "xyxy").tolist()
    expected = [(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2), "dent") for x1, y1, x2, y2 in edges]
    assert list(samples_of(file)["a"].boxes) == [*expected, (1, 4, 9, 12, "scratch")]


def test_yolo_boxes_are_those_of_torchvision_on_the_pixels_they_were_drawn_on(tmp_path: Path) -> None:
    drawn = torch.tensor([[3, 4, 10, 12], [0, 0, WIDTH, HEIGHT], [17, 1, 18, 2], [13, 7, 20, 29]], dtype=torch.float64)
    shares = box_convert(drawn, "xyxy", "cxcywh") / torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    lines = [f"{i % 2} " + " ".join(f"{value:.6f}" for value in row) for i, row in enumerate(shares.tolist())]
    outline = f"1 {5 / WIDTH} {6 / HEIGHT} {9 / WIDTH} {7 / HEIGHT} {6 / WIDTH} {11 / HEIGHT}"
    root = write_yolo(tmp_path, {"a.png": "\n".join([*lines, outline, ""]), "b.png": "", "c.png": None})
    (finding,) = (one for one in findings_of(root) if one.severity == "error")
    assert (finding.kind, finding.pictures) == ("unannotated", (root / "images" / "c.png",))
    found = samples_of(root, unlabelled="good")
    expected = [(*row, ("dent", "scratch")[i % 2]) for i, row in enumerate(drawn.int().tolist())]
    assert list(found["a"].boxes) == [*expected, (5, 6, 9, 11, "scratch")]
    assert (found["b"].label, found["c"].label) == ("good", "good")


def test_yolo_splits_are_folders_or_lists_of_pictures(tmp_path: Path) -> None:
    described = "path: .\ntrain: ../images/train\nval: [images/val]\ntest: test.txt\nnames: {0: dent, 1: scratch}\n"
    half = "0 0.5 0.5 0.5 0.5\n"
    root = write_yolo(tmp_path, {"train/a.png": half, "val/b.png": half, "c.png": "1 0.5 0.5 0.1 0.1"}, described=described)
    (root / "test.txt").write_text("./images/c.png\n", encoding="utf-8")
    found = samples_of(root)
    assert {name: (one.label, one.split) for name, one in found.items()} == {
        "a": ("dent", "train"), "b": ("dent", "val"), "c": ("scratch", "test"),
    }  # fmt: skip
    assert found["a"].boxes == ((WIDTH // 4, HEIGHT // 4, WIDTH * 3 // 4, math.ceil(HEIGHT * 3 / 4), "dent"),)
    assert samples_of(root / "data.yaml").keys() == found.keys()


def coco(root: Path) -> Path:
    boxes = {f"{i}.png": [(1 + i % 2, (1.5, 2, 3, 4.25))] if i % 3 else [] for i in range(24)}
    return write_coco(root / "coco" / "set.json", boxes, root / "coco")


def voc(root: Path) -> Path:
    names = {f"{i:02}": voc_xml(("dent", 2, 3, 9, 9)) if i % 2 else voc_xml() for i in range(24)}
    return write_voc(root / "voc", names, {"train": [*names][:12], "val": [*names][12:]})


def yolo(root: Path) -> Path:
    return write_yolo(root / "yolo", {f"{i}.png": "0 0.5 0.5 0.2 0.3\n1 0.1 0.1 0.1 0.1" if i % 2 else "" for i in range(24)})


def folders(root: Path) -> Path:
    for i in range(24):
        picture(root / "folders" / ("good" if i % 2 else "dent") / f"{i}.png", i)
    return root / "folders"


def mvtec(root: Path) -> Path:
    return write_mvtec(root / "mvtec", good=20, dent=20)


@pytest.mark.parametrize("write", [coco, voc, yolo, folders, mvtec])
def test_a_manifest_of_any_set_is_read_as_the_set_itself(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    out = tmp_path / "lists" / "set.csv"
    write_manifest(out, read_samples(path, group_pattern=None, report=refuse).samples)
    direct, converted = read_labelled(path), read_labelled(out)
    assert len(direct.samples) >= 24
    assert (direct.classes, direct.good) == (converted.classes, converted.good)
    plain = [(one.path.resolve(), one.labels, one.split, one.group, one.boxes, one.mask is None) for one in direct.samples]
    again = [(one.path.resolve(), one.labels, one.split, one.group, one.boxes, one.mask is None) for one in converted.samples]
    assert plain == again
    assert not Path(out.read_text(encoding="utf-8").splitlines()[1].split(",")[0]).is_absolute()


def test_a_box_is_taken_outward_and_an_empty_one_stays_empty() -> None:
    assert outward(1.2, 2, 3.0001, 4.5) == (1, 2, 3, 5)
    assert outward(5.5, 5.5, 5.5, 9) == (5, 5, 5, 9)
    assert outward(9, 2, 4, 1) == (9, 2, 4, 1)
    with pytest.raises(ValueError, match="finite"):
        outward(0, 0, math.inf, 1)


def test_formats_that_are_not_clear_are_named(tmp_path: Path) -> None:
    write_voc(tmp_path / "two", {"a": voc_xml()})
    write_coco(tmp_path / "two" / "set.json", {"a.png": []}, tmp_path / "two")
    write_mvtec(tmp_path / "many" / "bottle")
    write_mvtec(tmp_path / "many" / "cable")
    picture(tmp_path / "bare" / "images" / "a.png")
    (tmp_path / "bare" / "labels").mkdir()
    (tmp_path / "notes.txt").write_text("no set", encoding="utf-8")
    for layout in ("cvat", "labelme", "coco"):
        (tmp_path / "tools" / layout).mkdir(parents=True)
        LAYOUTS[layout](tmp_path / "tools" / layout)
    write_mvtec(tmp_path / "wrapped" / "bottle")
    for name, said in {
        "tools": r"holds several sets: found coco, cvat, labelme; expected one set\. Name one of them",
        "wrapped": r"holds the set one folder below: found bottle; expected one set\. Name one of them",
        "two": r"has several formats: found voc by XML files of Pascal VOC; coco by set\.json; expected one",
        "many": r"holds several sets: found bottle, cable; expected one set\. Name one of them",
        "bare": r"does not tell the names of its classes: found images and labels without a data\.yaml",
        "notes.txt": r"has no known format: found a file ending in \.txt; expected a manifest \.csv, a COCO",
        "absent": r"data set is not there: found .*absent; expected class folders, a manifest CSV, or a set as MVTec AD",
    }.items():
        with pytest.raises(DataError, match=said):
            read_labelled(tmp_path / name)


def test_mistakes_in_voc_are_all_told(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'
    names = {"a": voc_xml(("dent", 1, 1, "x", 9), ("", 1, 1, 2, 2), ("dent", 2, 2, 4, 4)), "b": "<annotation>", "c": bomb}
    root = write_voc(tmp_path, names, {"train": ["a", "b", "c", "gone"], "val": ["a"]})
    found = findings_of(root)
    assert Counter(one.kind for one in found) == {
        "boxes": 2, "annotation": 2, "missing_file": 1, "two_splits": 1, "unmarked_good": 1,
    }  # fmt: skip
    said = "\n".join(one.text for one in found)
    assert "a.xml: object 1 is not understood: found name dent, bndbox ['1', '1', 'x', '9']; expected a name" in said
    assert "names files that are not there: found 1: JPEGImages/gone" in said
    assert "EntitiesForbidden" in said
    with pytest.raises(DataError):
        read_labelled(root)


def test_mistakes_in_coco_are_all_told(tmp_path: Path) -> None:
    file = write_coco(tmp_path / "set.json", {"a.png": [(1, (1, 1, 2, 2)), (9, (1, 1, 2, 2))], "gone.png": []}, tmp_path)
    (tmp_path / "gone.png").unlink()
    content = json.loads(file.read_text(encoding="utf-8"))
    content["annotations"] += [{"image_id": 77, "category_id": 1, "bbox": [1, 1, 2, 2]}, {"image_id": 10, "category_id": 1}]
    content["annotations"].append({"image_id": 10, "category_id": 1, "bbox": [1, 1, math.nan, 2]})
    file.write_text(json.dumps(content), encoding="utf-8")
    found = findings_of(file)
    kinds = Counter(one.kind for one in found)
    assert kinds == {"unknown_class": 1, "unknown_picture": 1, "annotation": 2, "missing_file": 1}
    said = "\n".join(one.text for one in found)
    assert "an annotation names what is not there: found image 10, category 9" in said
    assert "annotation 4 is not understood: found neither a bbox nor a segmentation that marks anything" in said
    assert "names files that are not there: found 1: gone.png" in said
    file.write_text('{"images": []}', encoding="utf-8")
    with pytest.raises(DataError, match=r"is no COCO file: found images; expected lists of images, annotations, categories"):
        read_labelled(file)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"set\.json cannot be read: found Expecting"):
        read_labelled(file)


def test_mistakes_in_yolo_are_all_told(tmp_path: Path) -> None:
    lines = "0 0.5 0.5 0.1 0.1\n7 0.5 0.5 0.1 0.1\n0 0.5 0.5\n0 nan 0.5 0.1 0.1\n0.5 x\n"
    root = write_yolo(tmp_path, {"a.png": lines}, described="train: images\nval: elsewhere\nnames: [dent]\n")
    found = findings_of(root)
    assert Counter(one.kind for one in found) == {"missing_file": 1, "unknown_class": 1, "boxes": 3}
    said = "\n".join(one.text for one in found)
    assert "a.txt line 2 has an unknown class: found 7; expected 0 to 0" in said
    assert "data.yaml names files that are not there: found 1: elsewhere" in said
    assert "a.txt line 3 is not understood: found 0 0.5 0.5; expected class cx cy width height" in said
    (root / "data.yaml").write_text("names: dent\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.yaml names no classes: found names: dent; expected a list"):
        read_labelled(root)


def test_mistakes_in_a_manifest_are_all_told(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    path = manifest(
        tmp_path,
        "1.png,good,train,,,",
        "gone.png,good,train,,,",
        "1.png,,train,,,",
        ",good,train,,,",
        '1.png,dent,elsewhere,,"[[0, 0, 4, 4, ""spur""]]",lost.png',
        "1.png,dent,train,,[[1, 2, 3, 4, dent]],",
        '1.png,dent,val,,"[[0, 0, Infinity, 4, ""dent""]]",',
        f'1.png,dent,val,,"[[0, 0, 1{"0" * 400}, 4, ""dent""]]",',
        f"{'long' * 100}.png,dent,val,,,",
    )
    found = findings_of(path)
    assert [one.kind for one in found] == [
        "missing_file", "no_value", "no_value", "unknown_split", "unknown_class", "fields", "boxes", "boxes", "listed_twice",
    ]  # fmt: skip
    assert "names files that are not there: found 3: gone.png, lost.png, longlong" in found[0].text
    assert "line 4: no label" in found[1].text
    assert "line 7: more fields than columns" in found[5].text
    with pytest.raises(DataError, match="names files that are not there"):
        read_labelled(path)
    path.write_bytes(b"path,label\n\xff.png,good\n")
    with pytest.raises(DataError, match=r"set\.csv cannot be read: .*expected a CSV in UTF-8"):
        read_labelled(path)
    path.write_text("path,label\n1.png,good|\n", encoding="utf-8")
    with pytest.raises(DataError, match="has a class whose name cannot be kept: found ''"):
        read_labelled(path)
