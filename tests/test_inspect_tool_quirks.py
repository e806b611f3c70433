"""What tools, spreadsheets and other systems do to labels on the way changes nothing of what they say, or is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from formats_world import HEIGHT, WIDTH, manifest, mask, picture, voc_xml, write_mvtec, write_voc, write_yolo
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.checking.check import check_set
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.findings import Finding, refuse
from kizu_inspect.labelled.readers import read_samples
from kizu_inspect.labelled.samples import Sample
from layouts_world import LAYOUTS, assert_the_set, the_set

BOX = "0 0.5 0.5 0.2 0.2\n"
TEXTS = (".json", ".xml", ".csv", ".txt", ".yaml")


def samples_of(root: Path) -> dict[str, Sample]:
    return {one.path.stem: one for one in read_samples(root, group_pattern=None, report=refuse).samples}


def _texts(root: Path) -> list[Path]:
    return [file for file in sorted(root.rglob("*")) if file.suffix.lower() in TEXTS]


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "spreadsheet"])  # which has a mark of its own
def test_a_byte_order_mark_and_carriage_returns_change_nothing(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path)
    for file in _texts(tmp_path):
        plain = file.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
        file.write_bytes(b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n"))
    assert_the_set(samples_of(tmp_path))


@pytest.mark.parametrize("layout", ["manifest", "coco", "cvat", "label studio", "datumaro"])
def test_names_that_windows_wrote_are_found(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path)
    for name in (one.name for one in the_set()):
        (file,) = (file for file in tmp_path.rglob(f"{name}.png") if "masks" not in file.parts)
        (file.parent / "line 3").mkdir(exist_ok=True)
        file.rename(file.parent / "line 3" / file.name)
    (labels,) = _texts(tmp_path)
    text = labels.read_text(encoding="utf-8")
    windows = "line 3\\\\" if labels.suffix == ".json" else "line 3\\"
    for name in (one.name for one in the_set()):
        text = text.replace(f"masks/{name}.png", f"masks\\{name}.PNG").replace(f"{name}.png", f"{windows}{name}.png")
    labels.write_text(text.replace(".PNG", ".png"), encoding="utf-8")
    assert f"{windows}d0.png" in text
    assert_the_set(samples_of(tmp_path))


def test_lists_of_yolo_and_voc_that_windows_wrote_are_found(tmp_path: Path) -> None:
    described = "path: data\\all\ntrain: images\\train\nval: ..\\images\\val\ntest: test.txt\nnames: [dent]\n"
    pictures = {"train/a.png": BOX, "val/b.png": BOX, "rest/c.png": ""}
    write_yolo(tmp_path / "yolo" / "data" / "all", pictures, described="")
    (tmp_path / "yolo" / "data" / "all" / "data.yaml").unlink()
    (tmp_path / "yolo" / "data.yaml").write_text(described, encoding="utf-8")
    (tmp_path / "yolo" / "test.txt").write_text(".\\images\\rest\\c.png\n", encoding="utf-8")
    assert {name: (one.label, one.split) for name, one in samples_of(tmp_path / "yolo").items()} == {
        "a": ("dent", "train"), "b": ("dent", "val"), "c": ("good", "test"),
    }  # fmt: skip
    root = write_voc(tmp_path / "voc", {"x.a": voc_xml(("dent", 1, 1, 3, 4))}, {"val": ["in\\x.a"]})
    for folder, ending in (("JPEGImages", "png"), ("Annotations", "xml")):
        (root / folder / "in").mkdir()
        (root / folder / f"x.a.{ending}").rename(root / folder / "in" / f"x.a.{ending}")
    assert samples_of(root)["x.a"].split == "val"


def test_splits_of_yolo_that_name_the_same_pictures_are_shared_out_anew(tmp_path: Path) -> None:
    described = "train: images/all\nval: images/all\ntest: images/held\nnames: [dent]\n"
    write_yolo(tmp_path, {"held/c.png": BOX, **{f"all/{number}.png": BOX for number in range(4)}}, described=described)
    told: list[Finding] = []
    read = read_samples(tmp_path, group_pattern=None, report=told.append)
    assert [(one.kind, one.severity) for one in told] == [("same_splits", "warning")]
    assert "train and val name the same pictures, which are shared out anew: found 4 pictures" in told[0].text
    assert [one.split for one in read.samples] == [""] * 4 + ["test"]


def test_numbers_of_classes_with_a_point_are_numbers_of_classes(tmp_path: Path) -> None:
    write_yolo(tmp_path / "yolo", {"a.png": "1.000000 0.5 0.5 0.2 0.2\n", "b.png": "0.5 0.5 0.5 0.2 0.2\n"})
    found: list[Finding] = []
    read = read_samples(tmp_path / "yolo", group_pattern=None, report=found.append)
    assert [sample.label for sample in read.samples] == ["scratch", "good"]
    assert "line 1 is not understood: found 0.5 0.5" in next(one.text for one in found if one.severity == "error")
    for layout, key in (("datumaro", "label_id"), ("coco", "category_id")):
        (tmp_path / layout).mkdir()
        LAYOUTS[layout](tmp_path / layout)
        (file,) = _texts(tmp_path / layout)
        text = file.read_text(encoding="utf-8")
        for number in (0, 1, 5, 9):
            text = text.replace(f'"{key}": {number},', f'"{key}": {number}.0,')
        assert f'"{key}": ' in text
        file.write_text(text, encoding="utf-8")
        assert_the_set(samples_of(tmp_path / layout))


def test_edges_of_a_manifest_that_rounding_put_beyond_are_cut_and_counted(tmp_path: Path) -> None:
    for name in "abcd":
        picture(tmp_path / f"{name}.png", ord(name))
    file = manifest(
        tmp_path,
        f'a.png,dent,,,"[[30.5, 20.5, {WIDTH}.3, {HEIGHT}.2, ""dent""]]",',
        'b.png,dent,,,"[[-0.3, 2, 9, 9, ""dent""], [1, 1, 2.5, 2, ""dent""]]",',
        f'c.png,dent,,,"[[30, 20, {WIDTH + 1}, 25, ""dent""]]",',  # whole pixels are no rounding
        f'd.png,dent,,,"[[30, 20, {WIDTH + 1.2}, 25, ""dent""]]",',
    )
    checked = check_set(file)
    boxes = {one.path.stem: [box[:4] for box in one.boxes] for one in checked.samples}
    assert boxes["a"] == [(30, 20, WIDTH, HEIGHT)]
    assert boxes["b"] == [(0, 2, 9, 9), (1, 1, 3, 2)]
    (told,) = (one for one in checked.findings if one.kind == "box_cut")
    assert (told.severity, told.pictures) == ("warning", (tmp_path / "a.png", tmp_path / "b.png"))
    beyond = [one.pictures for one in checked.findings if one.kind == "box_outside"]
    assert beyond == [(tmp_path / "c.png",), (tmp_path / "d.png",)]


def folders_with_masks(root: Path) -> None:
    for number in range(4):
        picture(root / "good" / f"{number}.png", number)
        picture(root / "dent" / f"{number}.png", number + 10).rename(root / "dent" / f"{number}.jpg")
        mask(root / "dent" / f"{number}.png", value=0 if number == 0 else 255)


def mvtec(root: Path) -> None:
    write_mvtec(root)
    mask(root / "ground_truth" / "dent" / "000_mask.png", value=0)


def voc_classes(root: Path) -> None:
    write_voc(root, {"a": voc_xml(("dent", 1, 1, 3, 4)), "b": voc_xml()})
    mask(root / "SegmentationClass" / "a.png", value=0)


def coco_runs(root: Path) -> None:
    LAYOUTS["coco"](root)
    (file,) = _texts(root)
    content = json.loads(file.read_text(encoding="utf-8"))
    content["annotations"][0]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}
    file.write_text(json.dumps(content), encoding="utf-8")


def areas(root: Path) -> None:
    picture(root / "a.png")
    text = 'path,label,areas\na.png,dent,"[[""dent"", [[1, 2, 5]]], [""dent"", []]]"\n'
    (root / "set.csv").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("make", [folders_with_masks, mvtec, voc_classes, coco_runs, areas])
def test_a_mask_that_marks_nothing_is_an_error(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path)
    checked = check_set(tmp_path)
    told = [one.text for one in checked.findings if one.severity == "error"]
    assert any("marks nothing" in text or "areas are not understood" in text for text in told), told


@pytest.mark.parametrize(("ending", "kind"), [(".webp", "WebP"), (".ppm", "PNM"), (".jp2", "JPEG 2000")])
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("spreadsheet", "coco runs")])
def test_a_picture_in_a_format_that_is_not_read_is_named_as_such(tmp_path: Path, layout: str, ending: str, kind: str) -> None:
    LAYOUTS[layout](tmp_path)
    (file,) = (file for file in tmp_path.rglob("d3.png") if not {"masks", "SegmentationObject"} & set(file.parts))
    with Image.open(file) as shown:
        shown.save(file.with_suffix(ending))
    file.unlink()
    for labels in _texts(tmp_path):
        text = labels.read_bytes().replace(b",mask", b",?").replace(b"masks/d3.png", b"masks/d3.??g")
        labels.write_bytes(
            text.replace(b"d3.png", f"d3{ending}".encode()).replace(b"d3.??g", b"d3.png").replace(b",?", b",mask")
        )
    checked = check_set(tmp_path)
    errors = [one.text for one in checked.findings if one.severity == "error"]
    assert any(f"a {kind} picture" in text or f"formats that are not read lie there (1 {ending})" in text for text in errors)
    with pytest.raises(DataError) as raised:  # of a manifest as its pictures are opened
        read_labelled(tmp_path) if layout != "manifest" else refuse(next(one for one in checked.findings))
    assert f"a {kind} picture" in str(raised.value) or f"(1 {ending}): save them as PNG" in str(raised.value)
