"""Sets as people break them: each fault is told with a name and a way out, nothing is a traceback, and no picture is lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from formats_world import HEIGHT, WIDTH, mask, picture, pictures_in, voc_xml, write_yolo
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.checking.check import check_set
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.findings import Finding, refuse
from kizu_inspect.labelled.readers import read_samples
from layouts_world import LAYOUTS

Break = Callable[[Path], None]
BOX = "0 0.5 0.5 0.2 0.2\n"


def _coco_set(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    LAYOUTS["coco"](root)
    file = root / "annotations" / "instances_default.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def coco(change: Callable[[dict[str, Any]], None]) -> Break:
    return lambda root: _coco_set(root, change)


def repeated_image(content: dict[str, Any]) -> None:
    content["images"][1]["id"] = content["images"][0]["id"]


def repeated_category(content: dict[str, Any]) -> None:
    content["categories"][1]["id"] = content["categories"][0]["id"]


def repeated_annotation(content: dict[str, Any]) -> None:
    content["annotations"][1]["id"] = content["annotations"][0]["id"]


def one_file_twice(content: dict[str, Any]) -> None:
    content["images"].append({"id": 900, "file_name": "d0.png", "width": WIDTH, "height": HEIGHT})


def unknown_image(content: dict[str, Any]) -> None:
    content["annotations"][0]["image_id"] = 4711


def unknown_category(content: dict[str, Any]) -> None:
    content["annotations"][0]["category_id"] = 4711


def negative_box(content: dict[str, Any]) -> None:
    content["annotations"][0]["bbox"] = [-5, 3, 10, 10]


def box_without_width(content: dict[str, Any]) -> None:
    content["annotations"][0]["bbox"] = [5, 3, 0, 10]


def one_picture_of_another_size(content: dict[str, Any]) -> None:
    content["images"][0].update(width=WIDTH * 4, height=HEIGHT * 4)


def runs_of_another_picture(content: dict[str, Any]) -> None:
    content["annotations"][0]["segmentation"] = {"size": [7, 7], "counts": [0, 49]}


def outline_of_two_corners(content: dict[str, Any]) -> None:
    content["annotations"][0]["segmentation"] = [[1, 1, 9, 9]]


def outline_beyond_all(content: dict[str, Any]) -> None:
    content["annotations"][0]["segmentation"] = [[1, 1, 9, 9, 1, float("inf")]]


def absent_picture(content: dict[str, Any]) -> None:
    content["images"][0]["file_name"] = "gone.png"


def key_twice(root: Path) -> None:
    LAYOUTS["coco"](root)
    file = root / "annotations" / "instances_default.json"
    text = file.read_text(encoding="utf-8").replace('"id": 0, "file_name"', '"id": 0, "id": 1, "file_name"')
    file.write_text(text, encoding="utf-8")


def cut_off(root: Path) -> None:
    LAYOUTS["coco"](root)
    file = root / "annotations" / "instances_default.json"
    file.write_bytes(file.read_bytes()[:400])


def same_name_in_two_folders(root: Path) -> None:
    (root / "Annotations").mkdir()
    for place in "ab":
        for number in range(3):
            picture(root / "JPEGImages" / place / f"{number:03}.png", number + ord(place))
    for number in range(3):
        (root / "Annotations" / f"{number:03}.xml").write_text(voc_xml(("dent", 2, 2, 9, 9)), encoding="utf-8")


def same_name_and_another_ending(root: Path) -> None:
    write_yolo(root, {"a.png": BOX, "b.png": ""})
    shutil.copy(root / "images" / "b.png", root / "images" / "a.bmp")


def labels_twice_in_capitals(root: Path) -> None:
    write_yolo(root, {"a.png": BOX, "b.png": ""})
    (root / "labels" / "a.TXT").write_text("", encoding="utf-8")


def lost_labels(root: Path) -> None:
    write_yolo(root, {f"{i}.png": (BOX if i < 8 else "") if i % 4 else None for i in range(16)})


def lost_picture(root: Path) -> None:
    write_yolo(root, {f"{i}.png": BOX if i % 2 else "" for i in range(8)})
    (root / "images" / "1.png").unlink()


def spellings(root: Path) -> None:
    for number, name in enumerate(("good", "scratch", "Scratch", "scratch ", "ray\u00e9", "raye\u0301")):
        for row in range(4):
            picture(root / name / f"{row}.png", number * 10 + row)


def category_called_twice(root: Path) -> None:
    write_yolo(root, {"a.png": BOX, "b.png": ""}, described="names: {0: dent, 1: dent}\n")


def yaml_key_twice(root: Path) -> None:
    write_yolo(root, {"a.png": BOX, "b.png": ""}, described="names:\n  0: dent\n  0: stain\n")


def columns_twice(root: Path) -> None:
    LAYOUTS["manifest"](root)
    file = root / "manifest.csv"
    text = file.read_text(encoding="utf-8").replace("path,label,mask", "path,label,label")
    file.write_text(text, encoding="utf-8")


def empty_mask(root: Path) -> None:
    LAYOUTS["manifest"](root)
    mask(root / "masks" / "d0.png", value=0)


def mask_of_two_pictures(root: Path) -> None:
    for number in range(4):
        picture(root / "good" / f"{number}.png", number)
        picture(root / "dent" / f"{number}.jpg", number + 10)
        mask(root / "dent" / f"{number}.png")
    shutil.copy(root / "dent" / "0.jpg", root / "dent" / "0.jpeg")


def unread_class(root: Path) -> None:
    for number in range(4):
        picture(root / "good" / f"{number}.png", number)
        picture(root / "dent" / f"{number}.png", number + 10)
        picture(root / "crack" / f"{number}.webp", number + 20)


def link_to_nothing(root: Path) -> None:
    for number in range(8):
        picture(root / ("good" if number % 2 else "dent") / f"{number}.png", number)
    (root / "dent" / "lost.png").symlink_to(root / "nowhere.png")


def two_annotations(root: Path) -> None:
    LAYOUTS["label studio"](root)
    file = root / "project-3.json"
    tasks = json.loads(file.read_text(encoding="utf-8"))
    tasks[0]["annotations"].append({"id": 999, "result": []})
    file.write_text(json.dumps(tasks), encoding="utf-8")


def drawn_on_nothing(root: Path) -> None:
    LAYOUTS["label studio"](root)
    file = root / "project-3.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(f'"original_width": {WIDTH}', '"original_width": 0', 1), encoding="utf-8")


def json_of_another_picture(root: Path) -> None:
    LAYOUTS["labelme"](root)
    file = root / "d1.json"
    file.write_text(file.read_text(encoding="utf-8").replace("d1.png", "d2.png"), encoding="utf-8")


def json_of_a_picture_elsewhere(root: Path) -> None:
    (root / "set").mkdir()
    LAYOUTS["labelme"](root / "set")
    picture(root.parent / "beyond.png")
    file = root / "set" / "d1.json"
    text = file.read_text(encoding="utf-8").replace("..\\\\set\\\\d1.png", "../../beyond.png")
    assert "beyond" in text
    (root / "set" / "note.json").write_text(text, encoding="utf-8")


def objects_without_number(root: Path) -> None:
    LAYOUTS["voc"](root)
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(root / "SegmentationObject" / "d0.png")


BROKEN: dict[str, tuple[Break, str, str]] = {
    "repeated image id": (coco(repeated_image), "repeated_id", "several images have the id 0: found 2: d0.png, d1.png"),
    "repeated category id": (coco(repeated_category), "repeated_id", "several categories have the id 5: found 2: dent, s"),
    "repeated annotation id": (coco(repeated_annotation), "repeated_id", "several annotations have the id 0"),
    "one file twice": (coco(one_file_twice), "listed_twice", "d0.png as dent"),
    "unknown image": (coco(unknown_image), "unknown_picture", "found image 4711"),
    "unknown category": (coco(unknown_category), "unknown_class", "category 4711"),
    "negative box": (coco(negative_box), "box_outside", "d0.png: found [-5, 3, 5, 13, 'dent']"),
    "box without width": (coco(box_without_width), "empty_box", "d0.png is empty"),
    "one picture of another size": (coco(one_picture_of_another_size), "drawn_on_other_size", "d0.png 160 × 120 as 40 × 30"),
    "runs of another picture": (coco(runs_of_another_picture), "annotation", "run lengths of 7 × 7 px for a picture"),
    "outline of two corners": (coco(outline_of_two_corners), "annotation", "1 is not understood: found an outline that has"),
    "outline beyond all": (coco(outline_beyond_all), "annotation", "1 is not understood: found a coordinate that lies nowhere"),
    "absent picture": (coco(absent_picture), "missing_file", "gone.png"),
    "key twice": (key_twice, "annotation", "the key id stands twice in one object"),
    "cut off": (cut_off, "annotation", "instances_default.json cannot be read"),
    "same name in two folders": (same_name_in_two_folders, "same_name", "which XML 000 belongs to which picture"),
    "same name, another ending": (same_name_and_another_ending, "same_name", "a.txt belongs to several pictures"),
    "labels twice in capitals": (labels_twice_in_capitals, "same_name", "a.txt differs from another file in capitals alone"),
    "lost labels": (lost_labels, "unannotated", "found 4 of 16: 0.png"),
    "lost picture": (lost_picture, "missing_file", "labels/1.txt"),
    "spellings": (spellings, "class_spelling", r"'raye\u0301' (4), 'ray\xe9' (4)"),
    "category called twice": (category_called_twice, "repeated_id", "several classes are called dent: found 2: 0, 1"),
    "empty mask": (empty_mask, "empty_mask", "d0.png marks nothing"),
    "mask of two pictures": (mask_of_two_pictures, "same_name", "0.png belongs to several pictures"),
    "unread class": (unread_class, "unread_class", "crack has no picture that is read: found 4 of .webp"),
    "link to nothing": (link_to_nothing, "unreadable", "lost.png cannot be read"),
    "two annotations": (two_annotations, "same_name", "several annotations of d0.png"),
    "drawn on nothing": (drawn_on_nothing, "boxes", "result 1 of d0.png is not understood: found drawn on a picture of 0 × 30"),
    "json of another picture": (json_of_another_picture, "same_name", "d1.json names one picture and is called like another"),
    "json of a picture elsewhere": (json_of_a_picture_elsewhere, "missing_file", "beyond.png of note.json, beyond the set"),
    "objects without number": (objects_without_number, "mask", "does not number the objects of its XML"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_every_fault_is_told_and_refused(tmp_path: Path, fault: str) -> None:
    make, kind, said = BROKEN[fault]
    make(tmp_path)
    checked = check_set(tmp_path)
    errors = [finding for finding in checked.findings if finding.severity == "error"]
    texts = [finding.text for finding in errors if finding.kind == kind]
    assert any(said in text for text in texts), [(finding.kind, finding.text) for finding in errors]
    assert checked.left_out.there == len(pictures_in(tmp_path))
    if kind not in ("box_outside", "empty_box", "empty_mask"):  # refused as the boxes are learned
        with pytest.raises(DataError):
            read_labelled(tmp_path)


@pytest.mark.parametrize(
    ("make", "said"), [(yaml_key_twice, "the key 0 stands twice"), (columns_twice, "several columns of one name: found label")]
)
def test_what_cannot_be_read_at_all_is_named(tmp_path: Path, make: Break, said: str) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=said):
        check_set(tmp_path)


def test_a_link_upward_adds_nothing(tmp_path: Path) -> None:
    for number in range(16):
        picture(tmp_path / ("good" if number % 2 else "dent") / f"{number}.png", number)
    (tmp_path / "good" / "loop").symlink_to(tmp_path)
    (tmp_path / "dent" / "self").symlink_to(tmp_path / "dent" / "self")
    checked = check_set(tmp_path)
    assert {name: sum(row.values()) for name, row in checked.counts.items()} == {"dent": 8, "good": 8}
    assert (checked.left_out.there, checked.left_out.by_reason) == (16, {})


def test_links_that_lead_round_end_and_are_told(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for number in range(16):
        picture(root / ("good" if number % 2 else "dent") / f"{number}.png", number)
    (root / "good" / "to").symlink_to(root / "dent")
    (root / "dent" / "fro").symlink_to(root / "good")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    picture(tmp_path / "a" / "16.png", 16)
    (tmp_path / "a" / "b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "a").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "home").symlink_to(root)
    (root / "good" / "beyond").symlink_to(tmp_path / "a")
    checked = check_set(root)
    assert checked.left_out.there == 17
    (told,) = (one for one in checked.findings if one.kind == "listed_twice")
    assert "dent/0.png as dent" in told.text
    assert len(told.pictures) == 34  # all seventeen as good and as dent: what lies below one class is linked into the other


def test_a_folder_that_lies_below_and_is_linked_too_is_taken_once(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, {f"{i}.png": BOX if i % 2 else "" for i in range(16)})
    for number in range(16, 20):
        picture(root / "images" / ".store" / "kept" / f"{number}.png", number)
        (root / "labels" / "seen").mkdir(exist_ok=True)
        (root / "labels" / "seen" / f"{number}.txt").write_text("", encoding="utf-8")
    (root / "images" / "again").symlink_to(root / "images")
    (root / "again").symlink_to(root / "images")
    (root / "images" / "seen").symlink_to(root / "images" / ".store" / "kept")  # hidden where it lies, and shown by a link
    read = read_samples(root, group_pattern=None, report=refuse)
    assert {sample.path.relative_to(root).as_posix() for sample in read.samples} == {
        *(f"images/{i}.png" for i in range(16)), *(f"images/seen/{i}.png" for i in range(16, 20)),
    }  # fmt: skip
    assert (read.left_out.there, read.left_out.by_reason) == (20, {})


def test_pictures_ten_folders_down_are_taken(tmp_path: Path) -> None:
    deep = Path(*(f"level{number}" for number in range(10)))
    for number in range(16):
        picture(tmp_path / ("good" if number % 2 else "dent") / deep / f"{number}.png", number)
    data = read_labelled(tmp_path)
    assert (data.classes, len(data.samples)) == (("dent", "good"), 16)


def test_thousands_of_files_are_counted(tmp_path: Path) -> None:
    seen = picture(tmp_path / "images" / "0.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").write_text("names: [dent]\n", encoding="utf-8")
    label = tmp_path / "labels" / "0.txt"
    label.write_text("", encoding="utf-8")
    for number in range(1, 4_000):
        os.link(seen, tmp_path / "images" / f"{number}.png")
        os.link(label, tmp_path / "labels" / f"{number}.txt")
    read = read_samples(tmp_path, group_pattern=None, report=lambda _: None)
    assert (len(read.samples), read.left_out.there) == (4_000, 4_000)


def test_run_lengths_without_their_last_run_are_told(tmp_path: Path) -> None:
    def without_last(content: dict[str, Any]) -> None:
        content["annotations"][0]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * 3 + 4, 6]}

    _coco_set(tmp_path, without_last)
    findings: list[Finding] = []
    samples = read_samples(tmp_path, group_pattern=None, report=findings.append).samples
    (told,) = (finding for finding in findings if finding.kind == "short_runs")
    assert "annotation 1: run lengths end before the picture does" in told.text
    assert f"found {HEIGHT * WIDTH - HEIGHT * 3 - 10} px less" in told.text
    (sample,) = (one for one in samples if one.path.name == "d0.png")
    assert sample.areas == (("dent", tuple((row, 3, 4) for row in range(4, 10))),)
