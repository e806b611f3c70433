"""What is scanned at a reviewer's desk, and two windows of one person with the same part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dashboard_world import Plant, another_station, filled_plant
from kizu_dashboard.reviewing import Desk, Wanted
from pages_world import answer


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with filled_plant(tmp_path) as plant:
        yield plant


@pytest.fixture
def desk(plant: Plant) -> Desk:
    """Kim's, with the oldest part on it."""
    desk = Desk(plant.room, "Kim")
    desk.begin(Wanted())
    return desk


def on(desk: Desk, plant: Plant) -> str | None:
    parts = {uid: part for part, uid in plant.uids.items()}
    return None if desk.shown is None else parts[desk.shown.uid]


def held(plant: Plant) -> dict[str, str]:
    with plant.room.records.unit(read_only=True) as unit:
        return {one.uid_inspection: one.reviewer for one in unit.queue.claims()}


@pytest.mark.parametrize("text", ["P-1009", " p-1009 ", "{uid}", "{UID}"])
def test_a_part_is_known_by_serial_and_id_whatever_the_capitals(desk: Desk, plant: Plant, text: str) -> None:
    uid = plant.uids["P-1009"]
    desk.bring(text.format(uid=uid, UID=uid.upper()))
    assert (on(desk, plant), desk.scanned) == ("P-1009", None)
    assert held(plant) == {uid: "Kim"}, "and the one before is free"


def test_of_several_inspections_of_a_part_those_that_wait_come_one_by_one(desk: Desk, plant: Plant) -> None:
    there = another_station(plant, "press-4")
    plant.review("P-1009")
    desk.bring("P-1009")
    assert desk.shown is not None
    assert desk.shown.uid == there.uids["P-1009"]


def test_the_letters_go_before_other_capitals(plant: Plant) -> None:
    with plant.room.records.unit() as unit:
        assert unit.scanned.waiting("부품-1004") == [plant.uids["부품-1004"]]
        assert unit.scanned.waiting("%") == []
        assert unit.scanned.waiting("P-10") == [], "the beginning of a serial is none"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("X-1", "Nothing on record is called “X-1”."),
        ("<b>x</b>\0", "Nothing on record is called “<b>x</b>\0”."),
        ("P-1011", "P-1011 passed and waits for nobody."),
        ("P-1005", "P-1005 is decided already."),
        ("P-1008", "Lee has P-1008 on the screen."),
    ],
)
def test_why_a_part_does_not_come_is_said_and_the_one_on_the_screen_stays(
    desk: Desk, plant: Plant, text: str, said: str
) -> None:
    plant.review("P-1005", disposition="defective", defect_class="dent")
    with plant.room.records.claims() as claims:
        assert claims.hold(plant.uids["P-1008"], "Lee")
    desk.bring(text)
    assert (on(desk, plant), desk.scanned) == ("P-1002", said)
    desk.bring("  ")
    assert desk.scanned is None


def test_whose_lease_has_ended_loses_it_to_who_scans_it(desk: Desk, plant: Plant) -> None:
    with plant.room.records.claims() as claims:
        assert claims.hold(plant.uids["P-1008"], "Lee", lease=timedelta(seconds=-1))
    desk.bring("P-1008")
    assert on(desk, plant) == "P-1008"


def test_a_lot_gives_the_oldest_that_nobody_else_has_until_none_is_left(desk: Desk, plant: Plant) -> None:
    with plant.room.records.claims() as claims:
        assert claims.hold(plant.uids["=HYPERLINK(1)"], "Lee")
    desk.bring("L7")
    assert on(desk, plant) == "P-1002"
    answer(desk, "confirm")
    desk.bring("L7")
    assert on(desk, plant) == "부품-1004"
    for part in plant.uids:
        if plant.record(part).row.disposition is None:
            plant.review(part)
    desk.bring("L7")
    assert desk.scanned == "Of lot L7 no part waits for a decision."


def test_what_was_taken_back_can_be_taken_back_again_after_a_scan(desk: Desk, plant: Plant) -> None:
    answer(desk, "confirm")
    answer(desk, "undo")
    assert on(desk, plant) == "P-1002"
    desk.bring("P-1009")
    assert on(desk, plant) == "P-1009"
    answer(desk, "undo")
    assert on(desk, plant) == "P-1002"


def test_a_part_in_two_windows_of_one_person_is_free_when_both_are_closed(desk: Desk, plant: Plant) -> None:
    second = Desk(plant.room, "Kim")
    assert second.begin(Wanted(), uid=plant.uids["P-1002"]) is not None
    assert on(second, plant) == "P-1002"
    desk.leave()
    assert held(plant) == {plant.uids["P-1002"]: "Kim"}
    others = Desk(plant.room, "Lee").begin(Wanted())
    assert others is not None
    assert others.uid != plant.uids["P-1002"]
    second.leave()
    assert plant.uids["P-1002"] not in held(plant)


def test_who_skips_in_one_window_keeps_the_part_for_the_other(desk: Desk, plant: Plant) -> None:
    second = Desk(plant.room, "Kim")
    second.begin(Wanted(), uid=plant.uids["P-1002"])
    answer(desk, "skip")
    assert on(desk, plant) != "P-1002"
    assert held(plant)[plant.uids["P-1002"]] == "Kim"
