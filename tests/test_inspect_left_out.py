"""What is taken and left out, by reason, is all that lies there; what lowers vigilance is said by who applies it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from formats_world import mask, picture, pictures_in, write_yolo
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.checking.check import check_set
from kizu_inspect.labelled.checking.near_twins import MOST, near_twins_of
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.findings import Finding
from whole_cli import app

run = CliRunner().invoke
BOX = "0 0.5 0.5 0.2 0.2\n"


def reasons(path: Path) -> dict[str, int]:
    left_out = check_set(path).left_out
    assert left_out.there == len(pictures_in(path))
    return {reason: len(paths) for reason, paths in left_out.by_reason.items()}


def fill(*folders: Path, count: int = 4, ending: str = ".png") -> None:
    for place, folder in enumerate(folders):
        for number in range(count):
            picture(folder / f"{number}{ending}", 100 * place + number + sum(map(ord, str(folder.name))))


@pytest.mark.parametrize(
    "names", [("Train", "VAL", "Test"), ("train", "valid", "test"), ("TRAIN", "Validation", "test"), ("train", "dev", "test")]
)
def test_splits_are_known_by_what_people_call_them(tmp_path: Path, names: tuple[str, str, str]) -> None:
    fill(*(tmp_path / name / label for name in names for label in ("good", "dent")))
    data = read_labelled(tmp_path)
    assert data.classes == ("dent", "good")
    assert Counter(sample.split for sample in data.samples) == {"train": 8, "val": 8, "test": 8}
    rows = [f"{names[0]}/{one}/{i}.png,{one},{names[i // 2]}" for one in ("good", "dent") for i in range(4)]
    (tmp_path / "set.csv").write_text("path,label,split\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert Counter(sample.split for sample in read_labelled(tmp_path / "set.csv").samples) == {"train": 4, "val": 4}


def test_whatever_lies_there_is_taken_or_named(tmp_path: Path) -> None:
    fill(*(tmp_path / split / label for split in ("train", "val") for label in ("good", "dent")))
    fill(tmp_path / "crack", tmp_path / "train", tmp_path)
    fill(tmp_path / "val" / "dent", ending=".webp")
    fill(tmp_path / "train" / "good" / ".ipynb_checkpoints")
    picture(tmp_path / "train" / "dent" / "9.jpg", 900)
    mask(tmp_path / "train" / "dent" / "9.png")
    assert reasons(tmp_path) == {
        "in a folder beside those of the splits": 4, "in no folder of a class": 8, "of a format that is not read, .webp": 4,
        "hidden": 4, "a mask": 1,
    }  # fmt: skip
    said = {finding.text.split(": found")[0] for finding in read_labelled(tmp_path).warnings if finding.kind == "left_out"}
    assert said == {
        "pictures are left out: in a folder beside those of the splits", "pictures are left out: in no folder of a class",
        "pictures are left out: of a format that is not read, .webp",
    }  # fmt: skip


def test_pictures_without_labels_in_a_folder_that_is_not_understood_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, count=12)
    with pytest.raises(
        DataError, match=r"is empty: found 12 pictures there, 0 taken, 12 left out \(in no folder of a class: 12\)"
    ):
        read_labelled(tmp_path)
    (tmp_path / "notes.json").write_text('{"tool": 1}', encoding="utf-8")
    with pytest.raises(
        DataError, match=r"has labels in a format that is not known: found 12 \.png, 1 \.json; expected class folders"
    ):
        read_labelled(tmp_path)


def lost_labels(root: Path) -> Path:
    """40 defective pictures of which 20 lost their label file, and 40 good ones."""
    return write_yolo(root, {f"{i:02}.png": None if i < 20 else BOX if i < 40 else "" for i in range(80)})


@pytest.mark.parametrize("command", ["train", "convert", "check"])
def test_lost_labels_are_refused_unless_somebody_says_what_they_are(tmp_path: Path, command: str) -> None:
    root = str(lost_labels(tmp_path / "set"))
    out = str(tmp_path / "out.csv")
    arguments = {
        "train": ["train", root, "--out", out],
        "convert": ["data", "convert", root, out],
        "check": ["data", "check", root],
    }
    refused = run(app, arguments[command])
    told = refused.output + str(refused.exception or "")
    assert refused.exit_code != 0
    assert "pictures have no labels, and are good ones or such whose labels are lost: found 20 of 80: 00.png" in told
    assert "--unlabelled good" in told


def test_what_pictures_without_labels_count_as_is_said(tmp_path: Path) -> None:
    root = str(lost_labels(tmp_path / "set"))
    good = run(app, ["data", "convert", root, str(tmp_path / "good.csv"), "--unlabelled", "good"])
    assert good.exit_code == 0, good.output
    assert "warning: pictures without labels count as good: found 20 of 80" in good.stderr
    assert "80 pictures there, 80 taken, 0 left out" in good.stderr
    less = run(app, ["data", "convert", root, str(tmp_path / "less.csv"), "--unlabelled", "leave-out"])
    assert less.exit_code == 0, less.output
    assert "80 pictures there, 60 taken, 20 left out (without labels: 20)" in less.stderr
    assert (tmp_path / "less.csv").read_text(encoding="utf-8").count(",good,") == 40
    unknown = run(app, ["data", "check", root, "--unlabelled", "perhaps"])
    assert "found perhaps; expected refuse, good, leave-out" in str(unknown.exception)


def test_twins_across_splits_are_told_to_who_trains(tmp_path: Path) -> None:
    fill(*(tmp_path / split / label for split in ("train", "val") for label in ("good", "dent")))
    twin = tmp_path / "val" / "dent" / "0.png"
    (tmp_path / "train" / "dent" / "8.png").write_bytes(twin.read_bytes())
    (tmp_path / "train" / "good" / "9.png").write_bytes((tmp_path / "train" / "dent" / "1.png").read_bytes())
    told: dict[str, Finding] = {finding.kind: finding for finding in read_labelled(tmp_path).warnings}
    assert told["duplicate"].pictures == (tmp_path / "train" / "dent" / "8.png", twin)
    assert "the same picture lies in train and val" in told["duplicate"].text
    assert "one picture has the labels dent and good" in told["contradiction"].text


def test_nearly_the_same_picture_on_two_sides_is_told_to_who_trains(tmp_path: Path) -> None:
    fill(*(tmp_path / split / label for split in ("train", "val") for label in ("good", "dent")), count=8)
    with Image.open(tmp_path / "train" / "dent" / "3.png") as one:
        one.save(tmp_path / "val" / "dent" / "again.jpg", quality=90, subsampling=0)
    data = read_labelled(tmp_path)
    assert [finding.kind for finding in data.warnings] == []
    (told,) = near_twins_of(data, None)
    assert told.pictures == (tmp_path / "train" / "dent" / "3.png", tmp_path / "val" / "dent" / "again.jpg")
    many = replace(data, samples=data.samples[:1] * (MOST + 1))
    assert [finding.text for finding in near_twins_of(many, None)] == [
        f"nearly the same pictures on two sides of a split were not searched for: found {MOST + 1} pictures; expected at most "
        f"{MOST}. kizu data check searches all."
    ]
