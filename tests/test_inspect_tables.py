"""A table of pictures and labels is read as people save it."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest

from formats_world import HEIGHT, WIDTH, picture, write_yolo
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.findings import Finding, refuse
from kizu_inspect.labelled.readers import read_samples
from kizu_inspect.labelled.samples import Sample
from layouts_world import LAYOUTS


def samples_of(path: Path) -> list[Sample]:
    return list(read_samples(path, group_pattern=None, report=refuse).samples)


def findings_of(path: Path) -> list[Finding]:
    findings: list[Finding] = []
    read_samples(path, group_pattern=None, report=findings.append)
    return findings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_any_separator_order_and_encoding(tmp_path: Path, separator: str, encoding: str) -> None:
    for number in range(4):
        picture(tmp_path / f"tür {number}.png", number)
    out = StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    writer.writerow(("Boxes", "Subset", "CLASS", "Image"))
    for number in range(4):
        boxes = json.dumps([[1, 2, 9, 8, "dent"]]) if number % 2 else ""
        writer.writerow((boxes, "Valid" if number > 1 else "Train", "dent" if number % 2 else "good", f"tür {number}.png"))
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    (tmp_path / "pictures.csv").write_bytes((mark + out.getvalue()).encode(encoding))
    found = samples_of(tmp_path)
    assert [(one.path.name, one.label, one.split) for one in found] == [
        (f"tür {number}.png", "dent" if number % 2 else "good", "val" if number > 1 else "train") for number in range(4)
    ]
    assert [one.boxes for one in found] == [(), ((1, 2, 9, 8, "dent"),)] * 2


def test_a_line_a_box(tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / f"{number}.png", number)
    head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    lines = [
        "0.png,80,60,dent,4,6,20,30",
        "0.png,80,60,stain,40,10,60,20",
        "1.png,80,60,dent,0,0,80,60",
        "2.png,80,60,good,,,,",
    ]
    (tmp_path / "set.csv").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    first, second, third = samples_of_scaled(tmp_path / "set.csv")
    assert first.boxes == ((2, 3, 10, 15, "dent"), (20, 5, 30, 10, "stain"))
    assert (first.labels, second.boxes, third.labels) == (("dent", "stain"), ((0, 0, WIDTH, HEIGHT, "dent"),), ("good",))
    (tmp_path / "set.csv").write_text(head + "\n".join([*lines, "2.png,80,60,dent,1,1,9,9"]) + "\n", encoding="utf-8")
    assert [(one.kind, one.pictures) for one in findings_of(tmp_path / "set.csv") if one.severity == "error"] == [
        ("listed_twice", (tmp_path / "2.png",))
    ]


def test_areas_stay_beside_the_box_of_a_line(tmp_path: Path) -> None:
    picture(tmp_path / "0.png")
    out = StringIO()
    rows = [
        ("path", "label", "xmin", "ymin", "xmax", "ymax", "areas"),
        ("0.png", "dent", 4, 6, 20, 25, json.dumps([["dent", [[6, 4, 20]]]])),
        ("0.png", "stain", 24, 6, 30, 9, json.dumps([["stain", [[7, 25, 30]]]])),
    ]
    csv.writer(out).writerows(rows)
    (tmp_path / "set.csv").write_text(out.getvalue(), encoding="utf-8")
    (found,) = samples_of(tmp_path / "set.csv")
    assert found.boxes == ((4, 6, 20, 25, "dent"), (24, 6, 30, 9, "stain"))
    assert found.areas == (("dent", ((6, 4, 20),)), ("stain", ((7, 25, 30),)))


def test_boxes_written_in_two_ways_are_refused(tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / f"{number}.png", number)
    boxes = '"[[1, 2, 9, 8, ""dent""]]"'
    lines = [f"0.png,dent,{boxes},4,6,20,25", f"1.png,dent,{boxes},,,,", "1.png,dent,,4,6,20,25"]
    head = "path,label,boxes,xmin,ymin,xmax,ymax\n"
    (tmp_path / "set.csv").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    both, twice = findings_of(tmp_path / "set.csv")
    assert (both.kind, both.severity, both.pictures) == ("boxes", "error", (tmp_path / "0.png",))
    assert "line 2: a box stands in xmin to ymax, and others in boxes: found 4, 6, 20, 25 and [[1, 2" in both.text
    assert (twice.kind, twice.severity, twice.pictures) == ("listed_twice", "error", (tmp_path / "1.png",))


def samples_of_scaled(path: Path) -> list[Sample]:
    findings: list[Finding] = []
    samples = read_samples(path, group_pattern=None, report=findings.append).samples
    assert [(one.kind, one.severity) for one in findings] == [("scaled", "warning")]
    return list(samples)


def test_a_table_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("station;temperature\n1;2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"lacks a column: found no path, label in station;temperature; expected path,label"):
        samples_of(tmp_path / "set.csv")
    (tmp_path / "set.csv").write_bytes("path,label\ntür.png,good\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"cannot be read: .*expected a CSV in UTF-8 or UTF-16\. Save it as CSV UTF-8"):
        samples_of(tmp_path / "set.csv")


def test_a_table_in_another_encoding_is_told_where_it_lies_in_the_set_as_well(tmp_path: Path) -> None:
    for day in ("2026-11-01", "2026-11-02"):
        picture(tmp_path / day / "0.png")
    (tmp_path / "검사결과.csv").write_bytes("path,label\n2026-11-01/0.png,양품\n2026-11-02/0.png,긁힘\n".encode("cp949"))
    with pytest.raises(DataError, match=r"검사결과.csv cannot be read: .*Save it as CSV UTF-8"):
        samples_of(tmp_path)
    (tmp_path / "more.csv").write_text("path,label\n2026-11-01/0.png,good\n", encoding="utf-8")
    with pytest.raises(DataError, match="has several formats"):
        samples_of(tmp_path)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("path,label,split,gruop", [("gruop", "perhaps group")]),
        ("path,label,splitt,bxoes", [("splitt", "perhaps split"), ("bxoes", "perhaps boxes")]),
        ("path,label,split,operator", []),
        ("path,label,labels,split", []),
        ("file name,class,category,split", []),
    ],
)
def test_a_misspelt_column_is_told(tmp_path: Path, head: str, told: list[tuple[str, str]]) -> None:
    picture(tmp_path / "0.png")
    (tmp_path / "set.csv").write_text(f"{head}\n0.png,dent,,\n", encoding="utf-8")
    found = findings_of(tmp_path / "set.csv")
    assert [(one.found, one.expected) for one in found if one.kind == "misspelt_column"] == told
    assert {one.severity for one in found if one.kind == "misspelt_column"} <= {"warning"}


def test_a_box_that_comes_again_is_taken_once_and_one_of_two_classes_is_told(tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / f"{number}.png", number)
    head = "path,label,xmin,ymin,xmax,ymax\n"
    lines = ["0.png,dent,4,6,20,25", "0.png,dent,4,6,20,25", "1.png,dent,1,2,9,8", "1.png,scratch,1,2,9,8"]
    (tmp_path / "set.csv").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    first, second = samples_of(tmp_path / "set.csv")
    assert first.boxes == ((4, 6, 20, 25, "dent"),)
    assert second.labels == ("dent", "scratch")
    told = findings_of(tmp_path / "set.csv")
    assert [(one.kind, one.severity, one.pictures) for one in told] == [
        ("repeated_line", "warning", (tmp_path / "0.png",)), ("boxes", "warning", (tmp_path / "1.png",)),
    ]  # fmt: skip
    assert "one box has several classes: found (1.0, 2.0, 9.0, 8.0) as dent, scratch" in told[1].text


def test_pictures_that_nobody_labelled_are_told_in_every_format(tmp_path: Path) -> None:
    for name in ("labelme", "studio", "voc"):
        (tmp_path / name).mkdir()
    LAYOUTS["labelme"](tmp_path / "labelme")
    (tmp_path / "labelme" / "g0.json").unlink()
    LAYOUTS["label studio"](tmp_path / "studio")
    tasks = json.loads((tmp_path / "studio" / "project-3.json").read_text(encoding="utf-8"))
    tasks[-1]["annotations"] = []
    (tmp_path / "studio" / "project-3.json").write_text(json.dumps(tasks), encoding="utf-8")
    LAYOUTS["voc"](tmp_path / "voc")
    (tmp_path / "voc" / "Annotations" / "g0.XML").unlink()
    write_yolo(tmp_path / "yolo", {"d0.png": "0 0.5 0.5 0.2 0.2\n", "g0.png": None})
    for name, lost in (("labelme", "g0"), ("studio", "g7"), ("voc", "g0"), ("yolo", "g0")):
        told = [one for one in findings_of(tmp_path / name) if one.severity == "error"]
        assert [(one.kind, [path.stem for path in one.pictures]) for one in told] == [("unannotated", [lost])], name
