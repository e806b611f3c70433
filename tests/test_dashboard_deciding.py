"""A decision: what may be decided, that it is stored once, and which part comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard_world import Plant, filled_plant
from kizu_dashboard.deciding import Outcome, Proposal, accepted, decide, defect_classes, next_waiting, problems
from kizu_db.values import NewReview
from kizu_inspect.errors import RecordError

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
        pytest.param("P-1007", Proposal("defective", "dent"), id="REVIEW is the defect suspected, though good is likelier"),
        pytest.param("P-1010", None, id="ERROR has nothing to accept"),
    ],
)
def test_what_accepting_the_verdict_says(plant: Plant, part: str, proposal: Proposal | None) -> None:
    assert accepted(plant.record(part)) == proposal


def test_defects_are_offered_by_falling_probability(plant: Plant) -> None:
    names = defect_classes(plant.record("P-1009"))
    assert names[0] == "stain"
    assert set(names) == {"scratch", "dent", "stain", "missing_hole", "other defect"}


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
    ("changes", "sentence"),
    [
        ({"reviewer": "  "}, "Enter your name."),
        ({"defect_class": None}, "Choose the defect."),
        ({"decision": "override"}, "Give a reason for overriding the verdict."),
    ],
)
def test_an_incomplete_decision_is_refused(plant: Plant, changes: dict[str, str], sentence: str) -> None:
    review = replace(ACCEPTED, uid_inspection=plant.uids["P-1002"], **changes)
    assert problems(review) == [sentence]
    with pytest.raises(RecordError, match=sentence):
        decide(plant.room, review)
    assert plant.record("P-1002").reviews == ()


def test_next_is_the_next_older_waiting_part_then_the_newest_again(plant: Plant) -> None:
    by_uid = {uid: part for part, uid in plant.uids.items()}
    order = []
    uid = next_waiting(plant.room)
    while uid is not None:
        order.append(by_uid[uid])
        plant.review(by_uid[uid])
        uid = next_waiting(plant.room, after=uid)
    assert order == [
        "<b>P-1012</b>", "P-1010", "P-1009", "P-1008", "P-1007", "P-1005", "부품-1004", "=HYPERLINK(1)", "P-1002",
    ]  # fmt: skip


def test_from_the_oldest_it_goes_round_to_the_newest_and_never_to_itself(plant: Plant) -> None:
    assert next_waiting(plant.room, after=plant.uids["P-1002"]) == plant.uids["<b>P-1012</b>"]
    for part in plant.uids:
        if part != "P-1002":
            plant.review(part)
    assert next_waiting(plant.room, after=plant.uids["P-1002"]) is None
