"""A decision: what may be decided, what it needs, and that it is stored once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboard_world import Plant, filled_plant
from kizu_dashboard.deciding import OTHER_DEFECT, Outcome, Proposal, decide, defect_classes, opinion, problems
from kizu_db.values import DrawnBox, NewReview

ACCEPTED = NewReview(
    uid_inspection="", reviewer="Kim", disposition="defective", defect_class="scratch", decision="accept", nonce="n1"
)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with filled_plant(tmp_path) as plant:
        yield plant


@pytest.mark.parametrize(
    ("part", "proposal"),
    [
        pytest.param("P-1001", Proposal("good"), id="PASS is good"),
        pytest.param("P-1002", Proposal("defective", "scratch"), id="REJECT is the defect found"),
        pytest.param("P-1007", None, id="REVIEW could not tell"),
        pytest.param("P-1010", None, id="ERROR did not judge"),
    ],
)
def test_what_the_verdict_says_of_the_part(plant: Plant, part: str, proposal: Proposal | None) -> None:
    assert opinion(plant.record(part)) == proposal


@pytest.mark.parametrize("part", ["P-1009", "P-1002", "P-1010"])
def test_defects_are_offered_in_one_order_also_where_nothing_was_judged(plant: Plant, part: str) -> None:
    assert defect_classes(plant.room, plant.record(part)) == ("scratch", "dent", "stain", "missing_hole", "other defect")


def test_a_station_without_any_model_has_other_defect(plant: Plant) -> None:
    record = plant.record("P-1010")
    record = replace(record, row=replace(record.row, station="press-9"))
    assert defect_classes(plant.room, record) == (OTHER_DEFECT,)


BOX = DrawnBox(x1=10, y1=20, x2=30, y2=60, defect_class="scratch")


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("P-1002", {}, []),
        ("P-1002", {"boxes": (BOX, replace(BOX, defect_class="dent", x2=320, y2=320))}, []),
        ("P-1002", {"boxes": (replace(BOX, x2=321),)}, ["beyond the picture"]),
        ("P-1002", {"boxes": (replace(BOX, y2=20),)}, ["beyond the picture"]),
        ("P-1002", {"boxes": (replace(BOX, defect_class="ufo"),)}, ["class that this part cannot have"]),
        ("P-1002", {"boxes": (replace(BOX, defect_class="missing_hole"),)}, ["No box shows scratch"]),
        ("P-1002", {"disposition": "good", "defect_class": None, "reason": "dust"}, ["A good part has no defects to draw"]),
        ("P-1010", {}, ["There is no picture to draw on"]),
    ],
)
def test_boxes_are_told_what_is_wrong_with_them(plant: Plant, part: str, changes: dict[str, Any], said: list[str]) -> None:
    record = plant.record(part)
    found = problems(record, replace(ACCEPTED, **{"boxes": (BOX,), **changes}), defect_classes(plant.room, record))
    assert len(found) == len(said)
    assert all(words in sentence for words, sentence in zip(said, found, strict=True))


def test_a_repeated_decision_is_stored_once(plant: Plant) -> None:
    review = replace(ACCEPTED, uid_inspection=plant.uids["P-1002"])
    assert [decide(plant.room, review) for _ in range(3)] == [Outcome.STORED, Outcome.REPEATED, Outcome.REPEATED]
    assert len(plant.record("P-1002").reviews) == 1


def test_who_comes_second_overwrites_nothing(plant: Plant) -> None:
    review = replace(ACCEPTED, uid_inspection=plant.uids["P-1002"])
    decide(plant.room, review)
    assert decide(plant.room, replace(review, nonce="n2", reviewer="Lee")) is Outcome.OVERTAKEN
    assert [stored.reviewer for stored in plant.record("P-1002").reviews] == ["Kim"]


def test_a_correction_stands_beside_what_it_corrects(plant: Plant) -> None:
    review = replace(ACCEPTED, uid_inspection=plant.uids["P-1002"])
    decide(plant.room, review)
    (first,) = plant.record("P-1002").reviews
    correction = replace(
        review, nonce="n2", disposition="good", defect_class=None, decision="override", reason="a hair", supersedes=first.id
    )
    assert decide(plant.room, correction) is Outcome.STORED
    record = plant.record("P-1002")
    assert [(one.disposition, one.supersedes) for one in record.reviews] == [("defective", None), ("good", first.id)]
    assert record.row.disposition == "good"


@pytest.mark.parametrize(
    ("part", "changes", "sentences"),
    [
        ("P-1002", {}, []),
        ("P-1002", {"defect_class": None}, ["Choose the defect."]),
        ("P-1002", {"defect_class": "rust"}, ["Choose the defect."]),
        ("P-1002", {"disposition": "good", "defect_class": None}, ["Say why the part is good: the verdict says defective."]),
        ("P-1002", {"disposition": "good", "defect_class": None, "reason": "dust"}, []),
        ("P-1001", {}, ["Say why the part is defective: the verdict says good."]),
        ("P-1007", {"disposition": "good", "defect_class": None}, []),
        ("P-1010", {}, []),
    ],
)
def test_what_a_decision_still_needs(plant: Plant, part: str, changes: dict[str, str], sentences: list[str]) -> None:
    record = plant.record(part)
    review = replace(ACCEPTED, uid_inspection=plant.uids[part], **changes)
    assert problems(record, review, defect_classes(plant.room, record)) == sentences
