"""Reviewed pictures exported to train from, read back by the project's own readers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dashboard_world import drawn_explanation
from db_examples import DENTED, NOON, SCRATCHED, explanation, inspection, judgement, model, review
from kizu_db.exports.class_folders import export_class_folders
from kizu_db.exports.coco import export_coco
from kizu_db.exports.pages import each_record
from kizu_db.exports.told import NAMED, LeftOut
from kizu_db.image_store import ImageStore
from kizu_db.records import Records
from kizu_db.values import InspectionRecord
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.checking.check import check_set
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.findings import refuse
from kizu_inspect.labelled.readers import read_samples
from kizu_inspect.picture.images import encode_png
from kizu_inspect.results import Explanation, Region
from kizu_inspect.synth import draw_part

SIZE = 64


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


class Line:
    """Adds reviewed pictures."""

    def __init__(self, records: Records, store: ImageStore) -> None:
        self._records, self._store = records, store
        with records.unit() as unit:
            unit.models.register(model())
            unit.models.register(replace(model("ef" * 32), good="intact"))

    def add(self, kind: str = "scratch", seed: int = 0, **changes: Any) -> str:
        """A drawn part that the model rejects; its uid."""
        told: dict[str, Any] = {"explained": True, "reviewed": {}, "size": SIZE, "good_of": "ab" * 32} | changes
        drawn = draw_part(kind, seed, size_px=SIZE)
        sha256 = self._store.put(encode_png(drawn.image), suffix=told.get("suffix", ".png"))
        judged = replace(judgement(), width_px=told["size"], height_px=told["size"])
        with self._records.unit() as unit:
            uid = unit.inspections.add(
                inspection(judgement=judged, model_hash=told["good_of"], image_sha256=None if told.get("bare") else sha256)
            )
            if isinstance(told["explained"], Explanation):
                unit.inspections.store_explanation(uid, told["explained"])
            elif told["explained"] and drawn.boxes:
                unit.inspections.store_explanation(uid, drawn_explanation(drawn, "scratch"))
            if told["reviewed"] is not None:
                said = {"defect_class": kind} if kind != "good" else {"disposition": "good", "defect_class": None}
                unit.reviews.add(review(uid, **(said | told["reviewed"])))
        return uid

    def records(self) -> Iterator[InspectionRecord]:
        """All."""
        return each_record(self._records)


@pytest.fixture
def line(records: Records, store: ImageStore) -> Line:
    return Line(records, store)


def test_coco_comes_back_through_the_projects_own_reader(line: Line, store: ImageStore, tmp_path: Path) -> None:
    uids = {line.add(kind, seed): kind for seed in range(12) for kind in ("good", "scratch", "stain")}
    line.add("dent", reviewed=None)
    done = export_coco(line.records(), store, tmp_path / "out")
    truth = {
        uid: draw_part(kind, seed, size_px=SIZE)
        for seed in range(12)
        for uid, kind in list(uids.items())[3 * seed : 3 * seed + 3]
    }
    regions = {uid: drawn_explanation(drawn, "scratch").regions if drawn.boxes else () for uid, drawn in truth.items()}
    boxes = sum(map(len, regions.values()))
    assert done.written == {"images": 36, "annotations": boxes}
    assert (done.left_out, done.lost) == ({LeftOut.NOT_REVIEWED: 1}, 0)
    read = read_samples(tmp_path / "out", group_pattern=None, report=refuse)
    assert read.format == "coco"
    assert [sample.path.stem for sample in read.samples] == list(uids)
    for sample in read.samples:
        uid = sample.path.stem
        assert sample.label == uids[uid]
        assert [box[:4] for box in sample.boxes] == [(one.x1, one.y1, one.x2, one.y2) for one in regions[uid]]
        assert {box[4] for box in sample.boxes} == ({uids[uid]} if truth[uid].boxes else set())
        assert sample.path.read_bytes() == encode_png(truth[uid].image)
    checked = check_set(tmp_path / "out")
    assert (checked.errors, checked.good, checked.classes) == (0, "good", ("good", "scratch", "stain"))


def test_a_coco_file_says_what_other_programs_ask(line: Line, store: ImageStore, tmp_path: Path) -> None:
    regions = (Region(10, 20, 30, 44, "scratch", 1.2, 0.625), Region(0, 0, 4, 5, "scratch", 0.3, 0.1))
    uids = [line.add("good"), line.add("dent", explained=replace(explanation(), regions=regions))]
    export_coco(line.records(), store, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "annotations.json").read_text(encoding="utf-8"))
    assert content["categories"] == [{"id": 1, "name": "dent", "supercategory": "defect"}]  # the reviewed class, not the map's
    assert [(one["id"], one["file_name"], one["width"], one["height"]) for one in content["images"]] == [
        (1, f"{uids[0]}.png", SIZE, SIZE), (2, f"{uids[1]}.png", SIZE, SIZE),
    ]  # fmt: skip
    assert [(one["id"], one["image_id"], one["category_id"], one["bbox"], one["area"]) for one in content["annotations"]] == [
        (1, 2, 1, [10, 20, 20, 24], 480), (2, 2, 1, [0, 0, 4, 5], 20),
    ]  # fmt: skip
    assert datetime.fromisoformat(content["images"][0]["date_captured"]) == NOON
    assert datetime.fromisoformat(content["info"]["date_created"]) <= datetime.now(UTC)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["annotations.json", "images"]


def test_boxes_that_people_drew_go_before_the_models_regions_each_in_its_class(
    line: Line, store: ImageStore, tmp_path: Path
) -> None:
    dented = replace(DENTED, x2=SIZE, y2=SIZE)
    drawn = line.add("scratch", 1, reviewed={"boxes": (SCRATCHED, dented)})
    mapless = line.add("scratch", 2, explained=False, reviewed={"boxes": (SCRATCHED,)})
    several = (Region(1, 1, 5, 5, "scratch", 1, 0.5), Region(9, 9, 12, 12, "dent", 1, 0.5))
    line.add("scratch", 3, explained=replace(explanation(), regions=several), reviewed={"boxes": (SCRATCHED,)})
    line.add("scratch", 4)
    done = export_coco(line.records(), store, tmp_path / "out")
    assert (done.written["images"], done.left_out) == (4, {})
    content = json.loads((tmp_path / "out" / "annotations.json").read_text(encoding="utf-8"))
    assert [image["drawn"] for image in content["images"]] == [True, True, True, False]
    read = {sample.path.stem: sample for sample in read_samples(tmp_path / "out", group_pattern=None, report=refuse).samples}
    assert list(read[drawn].boxes) == [(12, 20, 31, 39, "scratch"), (0, 0, SIZE, SIZE, "dent")]
    assert list(read[mapless].boxes) == [(12, 20, 31, 39, "scratch")]


def test_a_drawn_class_that_would_be_read_as_something_else_is_refused(line: Line, store: ImageStore, tmp_path: Path) -> None:
    line.add("scratch", 1, reviewed={"boxes": (replace(SCRATCHED, defect_class="Good"),)})
    with pytest.raises(DataError, match="found 'Good'"):
        export_coco(line.records(), store, tmp_path / "out")


def test_what_nobody_told_never_becomes_truth(line: Line, store: ImageStore, tmp_path: Path) -> None:
    several = (Region(1, 1, 5, 5, "scratch", 1, 0.5), Region(9, 9, 12, 12, "dent", 1, 0.5))
    kept = line.add("scratch", 1)
    line.add("scratch", 2, reviewed=None)
    line.add("scratch", 3, reviewed={"defect_class": None})
    line.add("scratch", 4, bare=True)
    line.add("scratch", 5, size=None)
    line.add("scratch", 6, suffix=".img")
    placeless = [
        line.add("scratch", 7, explained=False),
        line.add("scratch", 8, explained=replace(explanation(), regions=())),
        line.add("scratch", 9, explained=replace(explanation(), regions=several)),
    ]
    always = {LeftOut.NOT_REVIEWED: 1, LeftOut.NO_CLASS: 1, LeftOut.NO_PICTURE: 1, LeftOut.NOT_DECODED: 2}
    coco = export_coco(line.records(), store, tmp_path / "coco")
    assert coco.left_out == always | {LeftOut.NO_REGION: 2, LeftOut.SEVERAL_CLASSES: 1}
    assert [path.stem for path in (tmp_path / "coco" / "images").iterdir()] == [kept]
    folders = export_class_folders(line.records(), store, tmp_path / "folders")
    assert folders.left_out == always
    assert {path.stem for path in (tmp_path / "folders" / "scratch").iterdir()} == {kept, *placeless}


def test_the_latest_review_counts(line: Line, records: Records, store: ImageStore, tmp_path: Path) -> None:
    uid = line.add("scratch")
    with records.unit() as unit:
        (first,) = unit.reviews.of(uid)
        unit.reviews.add(review(uid, disposition="good", defect_class=None, decision="override", supersedes=first.id))
    assert export_coco(line.records(), store, tmp_path / "coco").written == {"images": 1, "annotations": 0}
    assert export_class_folders(line.records(), store, tmp_path / "folders").written == {"good": 1}


def test_class_folders_are_what_training_reads(line: Line, store: ImageStore, tmp_path: Path) -> None:
    uids = {line.add(kind, seed): kind for seed in range(12) for kind in ("good", "scratch", "stain")}
    done = export_class_folders(line.records(), store, tmp_path / "out")
    assert (done.written, done.good) == ({"good": 12, "scratch": 12, "stain": 12}, "good")
    data = read_labelled(tmp_path / "out")
    assert (data.classes, data.good) == (("good", "scratch", "stain"), "good")
    assert {sample.path.stem: sample.label for sample in data.samples} == uids
    for seed in range(12):
        path = tmp_path / "out" / "stain" / f"{list(uids)[3 * seed + 2]}.png"
        assert path.read_bytes() == encode_png(draw_part("stain", seed, size_px=SIZE).image)
    assert check_set(tmp_path / "out").errors == 0


def test_good_pictures_of_all_models_lie_in_one_folder(line: Line, store: ImageStore, tmp_path: Path) -> None:
    for good_of in ("ef" * 32, "ab" * 32, None):
        line.add("good", good_of=good_of)
    done = export_class_folders(line.records(), store, tmp_path / "out")
    assert (done.written, done.good) == ({"intact": 3}, "intact")
    line.add("scratch", reviewed={"defect_class": "intact"})
    with pytest.raises(DataError, match="one model's good class is another's defect: found intact"):
        export_class_folders(line.records(), store, tmp_path / "other")


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "dent.", "train", "a\\b", "a:b", "x\ny", "결" * 86])
def test_a_class_that_can_be_no_folder_is_named(name: str, line: Line, store: ImageStore, tmp_path: Path) -> None:
    line.add("scratch", 1)
    line.add("scratch", 2, reviewed={"defect_class": name})
    with pytest.raises(DataError, match="a class has a name that no folder can have"):
        export_class_folders(line.records(), store, tmp_path / "out")
    assert not list(tmp_path.glob("*out*")) + list(tmp_path.glob(".kizu*"))
    assert export_coco(line.records(), store, tmp_path / "coco").written["images"] == 2


@pytest.mark.parametrize("name", ["Good", "free", "open|short"])
def test_a_defect_that_would_be_read_as_something_else_is_refused(
    name: str, line: Line, store: ImageStore, tmp_path: Path
) -> None:
    uid = line.add("scratch", reviewed={"defect_class": name})
    for export in (export_coco, export_class_folders):
        with pytest.raises(
            DataError, match=rf"the review of inspection {uid} names a defect .* found '{name.replace('|', '.')}'"
        ):
            export(line.records(), store, tmp_path / "out")


def test_lost_pictures_are_named_and_the_others_exported(line: Line, store: ImageStore, tmp_path: Path) -> None:
    missing, changed, sound = (line.add("scratch", seed) for seed in range(3))
    pictures = [record.row.image_sha256 for record in line.records()]
    assert pictures[0] is not None
    assert pictures[1] is not None
    store.path_of(pictures[0]).unlink()
    store.path_of(pictures[1]).write_bytes(b"something else")
    for export in (export_coco, export_class_folders):
        done = export(line.records(), store, tmp_path / export.__name__)
        assert done.lost == 2
        assert f"inspection {missing}: The picture {pictures[0]} is not in the image store" in done.lost_named[0]
        assert f"inspection {changed}: The picture {store.path_of(pictures[1])} was changed on disk" in done.lost_named[1]
        assert [path.stem for path in (tmp_path / export.__name__).rglob("*.png")] == [sound]


def test_only_the_first_lost_pictures_are_named(line: Line, store: ImageStore, tmp_path: Path) -> None:
    line.add("scratch")
    (record,) = line.records()
    assert record.row.image_sha256 is not None
    store.path_of(record.row.image_sha256).unlink()
    done = export_class_folders([record] * (NAMED + 7), store, tmp_path / "out")
    assert (done.lost, len(done.lost_named)) == (NAMED + 7, NAMED)
