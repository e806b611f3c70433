"""kizu data: check and convert."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from formats_world import manifest, mask, picture, voc_xml, write_mvtec, write_voc, write_yolo
from kizu_inspect.errors import ConfigError, DataError
from kizu_inspect.labelled.dataset import read_labelled
from whole_cli import app

run = CliRunner().invoke


def test_a_check_prints_writes_and_ends_with_its_code(tmp_path: Path) -> None:
    for i in range(8):
        picture(tmp_path / f"{i}.png", i)
    rows = [f"{i}.png,{'good' if i % 2 else 'dent'},{'train' if i < 4 else 'val'},,," for i in range(8)]
    sound = run(app, ["data", "check", str(manifest(tmp_path, *rows))])
    assert sound.exit_code == 0, sound.output
    assert "8 pictures read as manifest, good: good; errors: 0, warnings: 2" in sound.output
    rows += [f"gone{i}.png,good,train,,," for i in range(2)]
    rows += [f'{i}.png,dent,train,,"[[0, 0, 99, 4, ""[red]""]]",' for i in range(8)]
    figures, html = tmp_path / "out" / "figures.json", tmp_path / "page.html"
    arguments = ["data", "check", str(manifest(tmp_path, *rows)), "--json", str(figures), "--html", str(html)]
    done = run(app, arguments)
    assert done.exit_code == 1, done.output
    assert "found 2: gone0.png, gone1.png" in done.output
    assert "[0, 0, 99, 4, '[red]']" in done.output  # names are text, not colours
    assert "… and 3 more of kind box_outside" in done.output
    told = json.loads(figures.read_text(encoding="utf-8"))
    assert (told["format"], told["good"], told["pictures"]) == ("manifest", "good", 16)
    assert told["classes"] == {"dent": {"train": 10, "val": 2, "test": 0}, "good": {"train": 2, "val": 2, "test": 0}}
    outside = [one for one in told["findings"] if one["kind"] == "box_outside"]
    assert [one["pictures"] for one in outside] == [[str(tmp_path / f"{i}.png")] for i in range(8)]
    assert told["errors"] == sum(one["severity"] == "error" for one in told["findings"])
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    piped = run(app, [*arguments[:3], "--json", "-"])
    assert json.loads(piped.stdout) == told


def test_a_conversion_names_pictures_from_where_it_lies(tmp_path: Path) -> None:
    box = "0 0.5 0.5 0.1 0.1\n"
    described = "train: images/train\nval: images/val\nnames: [dent]\n"
    root = write_yolo(
        tmp_path / "yolo",
        {f"{s}/{i}.png": box if i % 2 else "" for s in ("train", "val") for i in range(3)},
        described=described,
    )
    done = run(app, ["data", "convert", str(root), str(tmp_path / "lists" / "a.csv")])
    assert done.exit_code == 0, done.output
    assert "6 pictures, read as yolo" in done.output
    assert "3 train, 3 val" in done.output
    rows = list(csv.DictReader((tmp_path / "lists" / "a.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[1] == {
        "path": "../yolo/images/train/1.png", "label": "dent", "split": "train", "group": "images/train/1.png",
        "boxes": '[[18, 13, 22, 17, "dent"]]', "mask": "", "reference": "", "areas": "",
    }  # fmt: skip
    anew = run(
        app, ["data", "convert", str(root), str(tmp_path / "b.csv"), "--splits", "anew", "--group-pattern", r"(\d)\.png"]
    )
    assert "6 without a split" in anew.output
    assert {row["group"] for row in csv.DictReader((tmp_path / "b.csv").read_text(encoding="utf-8").splitlines())} == {
        "0",
        "1",
        "2",
    }


def test_mvtec_may_keep_its_split_and_masks(tmp_path: Path) -> None:
    root = write_mvtec(tmp_path / "bottle")
    done = run(app, ["data", "convert", str(root), str(tmp_path / "own.csv"), "--splits", "keep"])
    assert "8 train, 5 test" in done.output
    with pytest.raises(DataError, match=r"no picture in the val split: .*kizu data convert DATA OUT\.csv --splits anew"):
        read_labelled(tmp_path / "own.csv")
    rows = csv.DictReader((tmp_path / "own.csv").read_text(encoding="utf-8").splitlines())
    assert [row["mask"] for row in rows if row["label"] == "dent"] == [
        f"bottle/ground_truth/dent/{i:03}_mask.png" for i in range(4)
    ]


@pytest.mark.parametrize("layout", ["coco", "voc"])
def test_a_set_goes_to_other_tools_with_masks_and_pictures(tmp_path: Path, layout: str) -> None:
    root = write_mvtec(tmp_path / "bottle")
    new = tmp_path / "sets" / layout
    done = run(app, ["data", "convert", str(root), str(new), "--to", layout, "--splits", "keep"])
    assert done.exit_code == 0, done.output
    assert "8 train, 5 test" in done.output
    checked = run(app, ["data", "check", str(new), "--json", "-"])
    told = json.loads(checked.stdout)
    assert (told["format"], told["pictures"], told["masked"], told["boxes"]) == (layout, 13, 4, 4)
    assert told["classes"] == {"dent": {"train": 0, "val": 0, "test": 4}, "good": {"train": 8, "val": 0, "test": 1}}


def test_a_conversion_says_what_is_lost(tmp_path: Path) -> None:
    for i in range(4):
        picture(tmp_path / "parts" / ("fine" if i % 2 else "dent") / f"{i}.jpg", i)
        if i % 2 == 0:
            mask(tmp_path / "parts" / "dent" / f"{i}.png")
    new = ["data", "convert", str(tmp_path / "parts"), str(tmp_path / "new"), "--to", "coco"]
    with pytest.raises(DataError, match=r"COCO would make good ones of them: found 2: .*1\.jpg \(fine\)"):
        run(app, new, catch_exceptions=False)
    done = run(app, [*new, "--good", "fine"])
    assert "pictures of the class fine have no marks, and are read as good: found 2: " in done.output
    assert (tmp_path / "new" / "images" / "1.jpg").read_bytes() == (tmp_path / "parts" / "fine" / "1.jpg").read_bytes()


def test_what_cannot_be_converted_is_named(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc", {"a": voc_xml(("dent", 1, 1, "x", 4)), "b": voc_xml()})
    there = tmp_path / "there.csv"
    there.write_text("mine", encoding="utf-8")
    mvtec = str(write_mvtec(tmp_path / "bottle"))
    (tmp_path / "empty").mkdir()
    for arguments, kind, said in (
        ([str(root), str(tmp_path / "x.csv")], DataError, r"a\.xml: object 1 is not understood"),
        ([mvtec, str(there)], DataError, r"the manifest is there already: found .*there\.csv; expected a new file"),
        ([mvtec, str(there / "x.csv")], DataError, r"x\.csv cannot be written"),
        ([mvtec, str(tmp_path / "x.txt")], ConfigError, r"a manifest is a CSV: found .*x\.txt"),
        ([mvtec, str(tmp_path / "x.csv"), "--splits", "some"], ConfigError, r"found some; expected usual, keep, anew"),
        ([str(tmp_path / "empty"), str(tmp_path / "x.csv")], ConfigError, r"empty is empty: found no picture"),
        ([mvtec, str(tmp_path / "x"), "--to", "yolo"], ConfigError, r"found yolo; expected manifest, coco, voc"),
        ([mvtec, f"{mvtec}/x", "--to", "coco"], ConfigError, r"would lie in the old one: found .*x; expected a folder outside"),
        ([mvtec, str(there), "--to", "voc"], ConfigError, r"would mix with what is there: found .*there\.csv"),
        ([mvtec, str(tmp_path / "x.csv"), "--good", "ok"], ConfigError, r"a manifest names every class: found --good ok"),
    ):
        with pytest.raises(kind, match=said):
            run(app, ["data", "convert", *arguments], catch_exceptions=False)
    assert there.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "x.csv").exists()
    with pytest.raises(ConfigError, match="file cannot be written"):
        run(app, ["data", "check", mvtec, "--html", str(there / "page.html")], catch_exceptions=False)
