"""A second look on the Review page: blind to the first, and what the other pages must not tell meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pages_world
from dashboard_world import START, Plant, enter_people, filled_plant
from kizu_dashboard.blindness import drawn_blind, hidden_from, veiled
from kizu_dashboard.bulk_answers import LEFT_OUT, GroupAnswer
from kizu_dashboard.bulk_deciding import Bulk
from kizu_dashboard.components.decision import panel_data
from kizu_dashboard.components.viewer import viewer_data
from kizu_dashboard.reviewing import Desk, Wanted
from kizu_dashboard.settings import DashboardConfig


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """Every decided part is judged by a second person."""
    with filled_plant(tmp_path) as plant:
        enter_people(plant.room.records)
        dashboard = plant.config.dashboard.model_copy(update={"second_share": 1.0, "blind_share": 0.0})
        yield with_settings(plant, plant.config.model_copy(update={"dashboard": dashboard}))


def with_settings(plant: Plant, config: DashboardConfig) -> Plant:
    return replace(plant, config=config, room=replace(plant.room, config=config))


def desk_at(plant: Plant, name: str, part: str, *, settles: bool = False) -> Desk:
    """This person's desk with this part on it, as the Review page begins by its address."""
    desk = Desk(plant.room, name)
    shown = desk.begin(Wanted(settles=settles), uid=plant.uids[part])
    assert shown is not None
    assert shown.uid == plant.uids[part], "another part was taken"
    desk.present(plant.record(part))
    return desk


def answer(desk: Desk, kind: str, **more: Any) -> None:
    """One that is stored; no other part comes after it."""
    pages_world.answer(desk, kind, follow=False, **more)
    assert desk.notice is None


def seconds(plant: Plant, part: str) -> list[tuple[str, str]]:
    with plant.room.records.unit(read_only=True) as unit:
        return [(one.reviewer, one.disposition) for one in unit.second_reviews.of(plant.uids[part])]


def test_the_second_person_is_told_nothing_of_verdict_and_decision(plant: Plant) -> None:
    answer(desk_at(plant, "Kim", "P-1002"), "confirm", boxes=[{"x1": 1, "y1": 1, "x2": 9, "y2": 9, "defect_class": "scratch"}])
    desk, record = desk_at(plant, "Lee", "P-1002"), plant.record("P-1002")
    assert desk.is_blind(record)
    with plant.room.records.unit(read_only=True) as unit:
        told = panel_data(desk, record, unit.queue.escalations(record.row.uid), unit.second_reviews.of(record.row.uid))
    assert (told["confirm"], told["standing"], told["second"], told["needs_reason"]) == (None, None, None, [])
    assert not any(one["suspected"] for one in told["classes"])
    assert told["can_escalate"]
    seen = viewer_data(record, record.method, blind=True, classes=desk.classes(record))
    assert (seen["people"], seen["regions"], seen["heatmap"]) == ([], [], None)
    assert "Kim" not in str(told)


def test_what_the_second_person_says_stands_beside_the_decision_and_changes_nothing_of_it(plant: Plant) -> None:
    kim = desk_at(plant, "Kim", "P-1002")
    answer(kim, "confirm")
    desk = desk_at(plant, "Lee", "P-1002")
    nonce = desk.shown.nonce if desk.shown is not None else ""
    answer(kim, "undo")
    kim.present(plant.record("P-1002"))
    answer(kim, "defective", defect_class="dent")
    desk.present(plant.record("P-1002"))
    assert desk.shown is not None
    assert desk.shown.nonce == nonce, "what Kim does is not to be felt at Lee's desk"
    desk.keep()  # it is still Lee's
    answer(desk, "good")
    assert seconds(plant, "P-1002") == [("Lee", "good")]
    assert [one.reviewer for one in plant.record("P-1002").reviews] == ["Kim", "Kim"]
    assert plant.record("P-1002").row.disposition == "defective"
    with plant.room.records.unit(read_only=True) as unit:
        counted = [unit.reviews.judged_since(name, START) for name in ("Kim", "Lee", "Mina")]
    assert counted == [1, 1, 0], "a correction is no further part, and a second look is work too"


def test_a_disagreement_comes_to_an_engineer_who_sees_both(plant: Plant) -> None:
    answer(desk_at(plant, "Kim", "P-1002"), "confirm")
    answer(desk_at(plant, "Lee", "P-1002"), "good", reason="only dust")
    shown = Desk(plant.room, "Mina").begin(Wanted(), uid=plant.uids["P-1002"])
    assert shown is not None
    assert shown.uid != plant.uids["P-1002"]
    desk, record = desk_at(plant, "Eun", "P-1002", settles=True), plant.record("P-1002")
    assert not desk.is_blind(record)
    with plant.room.records.unit(read_only=True) as unit:
        told = panel_data(desk, record, (), unit.second_reviews.of(record.row.uid))
    assert told["standing"] == "Decided: defective: scratch by Kim. A correction is kept beside it."
    assert told["second"] == "In a second look, blind to the first: good by Lee: only dust"
    answer(desk, "good", reason="dust")
    assert [one.reviewer for one in plant.record("P-1002").reviews] == ["Kim", "Eun"]
    assert plant.record("P-1002").row.disposition == "good"
    with plant.room.records.unit(read_only=True) as unit:
        assert plant.uids["P-1002"] not in unit.queue.next_up("Ana", settles=True, limit=50)


@pytest.mark.parametrize(("name", "settles"), [("Kim", True), ("Lee", True), ("Mina", False), ("Eun", False)])
def test_no_page_lets_a_disagreement_be_ended_by_one_of_the_two_or_by_who_came_in_as_inspector(
    plant: Plant, name: str, settles: bool
) -> None:
    """Eun is an engineer on record: by PIN or badge nobody is more than an inspector."""
    answer(desk_at(plant, "Kim", "P-1002"), "confirm")
    answer(desk_at(plant, "Lee", "P-1002"), "good", reason="only dust")
    uid = plant.uids["P-1002"]
    desk = Desk(plant.room, name)  # of the page Part, which asks for no claim
    desk.look_at(uid)
    desk.present(plant.record("P-1002"))
    desk.settles = settles
    pages_world.answer(desk, "good", follow=False, reason="dust")
    assert desk.notice is not None
    assert "waits for an engineer who is neither of them" in desk.notice
    bulk = Bulk(plant.room, name)
    assert told_of(bulk, plant, GroupAnswer("good", reason="dust")) == {"P-1002": LEFT_OUT["disputed"]}
    assert [one.reviewer for one in plant.record("P-1002").reviews] == ["Kim"]
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.queue.looks([uid]) == {uid: "engineer"}


def test_what_the_second_judge_takes_back_ends_no_disagreement(plant: Plant) -> None:
    answer(desk_at(plant, "Kim", "P-1002"), "confirm")
    lee = desk_at(plant, "Lee", "P-1002")
    answer(lee, "good")
    answer(lee, "undo")
    answer(lee, "defective", defect_class="scratch")
    uid = plant.uids["P-1002"]
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.queue.looks([uid]) == {uid: "engineer"}


@pytest.mark.parametrize("settles", [False, True])
def test_a_correction_of_what_two_agreed_on_settles_it_only_by_who_came_in_as_engineer(plant: Plant, settles: bool) -> None:
    answer(desk_at(plant, "Kim", "P-1002"), "confirm")
    answer(desk_at(plant, "Lee", "P-1002"), "defective", defect_class="scratch")
    desk, uid = Desk(plant.room, "Eun"), plant.uids["P-1002"]
    desk.look_at(uid)
    desk.present(plant.record("P-1002"))
    desk.settles = settles
    answer(desk, "good", reason="dust")
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.queue.looks([uid]) == ({} if settles else {uid: "engineer"})


@pytest.mark.parametrize("kind", ["good", "unsure", "confirm"])
def test_the_gallery_tells_a_second_judge_nothing_and_takes_no_answer_of_theirs(plant: Plant, kind: Any) -> None:
    answer(desk_at(plant, "Kim", "P-1002"), "confirm")
    for lee in (Bulk(plant.room, "Lee"), Bulk(plant.room, "Lee")):
        assert told_of(lee, plant, GroupAnswer(kind, reason="dust")) == {"P-1002": LEFT_OUT["blind"]}
        desk_at(plant, "Lee", "P-1002")  # and once more while it lies on Review
    assert [one.reviewer for one in plant.record("P-1002").reviews] == ["Kim"]
    assert seconds(plant, "P-1002") == []


def told_of(bulk: Bulk, plant: Plant, said: GroupAnswer) -> dict[str, str | None]:
    """Why P-1002 is left out of an answer in the gallery."""
    uid = plant.uids["P-1002"]
    with plant.room.records.unit(read_only=True) as unit:
        turn = bulk.lay_out(unit.inspections.rows([uid]))
    bulk.choose({"turn": turn, "parts": [{"uid": uid, "shown_ms": 400}]})
    situation = bulk.situation()
    assert situation is not None
    fates = situation.fates(said)
    bulk.look_at(said, fates)
    bulk.store(said)
    return {one.part: one.left_out for one in fates}


def test_a_second_look_is_taken_back_and_stays_blind(plant: Plant) -> None:
    answer(desk_at(plant, "Kim", "P-1002"), "confirm")
    desk = desk_at(plant, "Lee", "P-1002")
    answer(desk, "good")
    answer(desk, "undo")
    assert desk.is_blind(plant.record("P-1002"))
    answer(desk, "defective", defect_class="scratch")
    assert seconds(plant, "P-1002") == [("Lee", "good"), ("Lee", "defective")]
    assert len(plant.record("P-1002").reviews) == 1


def test_a_second_look_that_is_taken_back_is_decided_anew_and_left_to_nobody(plant: Plant) -> None:
    answer(desk_at(plant, "Kim", "P-1002"), "confirm")
    desk, uid = desk_at(plant, "Lee", "P-1002"), plant.uids["P-1002"]
    answer(desk, "good")
    answer(desk, "undo")
    assert panel_data(desk, plant.record("P-1002"), ())["can_escalate"] is False
    assert desk.shown is not None
    desk.answer({"uid": uid, "nonce": desk.shown.nonce, "kind": "unsure", "shown_ms": 700, "reason": "glare"}, follow=False)
    assert desk.notice is not None
    assert "Decide on the part" in desk.notice
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.queue.escalations(uid) == ()


def test_who_is_slower_in_a_second_look_stores_nothing(plant: Plant) -> None:
    answer(desk_at(plant, "Kim", "P-1002"), "confirm")
    lee = desk_at(plant, "Lee", "P-1002")
    with plant.room.records.unit() as unit:
        unit.users.change("Eun", active=True, by="Ana")
        unit.queue.free(plant.uids["P-1002"], of="Lee", by="Eun", reason="gone home")
    answer(desk_at(plant, "Mina", "P-1002"), "good")
    answer(lee, "good")
    assert lee.told == "P-1002: somebody else decided meanwhile; nothing was stored"
    assert seconds(plant, "P-1002") == [("Mina", "good")]


def test_other_pages_tell_a_blind_judge_nothing_until_it_is_judged(plant: Plant) -> None:
    answer(desk_at(plant, "Kim", "P-1002"), "confirm")
    row = plant.record("P-1002").row
    assert hidden_from(plant.room, "Lee") == frozenset()
    desk = desk_at(plant, "Lee", "P-1002")
    assert hidden_from(plant.room, "Lee") == {row.uid}
    assert [one.disposition for one in veiled(plant.room, "Lee", [row])] == [None]
    assert veiled(plant.room, "Kim", [row]) == [row], "who does not have it reads on"
    answer(desk, "good")
    assert hidden_from(plant.room, "Lee") == frozenset()


def test_a_share_of_what_was_flagged_is_judged_blind_so_that_blind_does_not_mean_passed(plant: Plant) -> None:
    blind = plant.config.dashboard.model_copy(update={"second_share": 0.0, "blind_share": 1.0})
    all_blind = with_settings(plant, plant.config.model_copy(update={"dashboard": blind}))
    desk = desk_at(all_blind, "Kim", "P-1002")
    assert desk.is_blind(plant.record("P-1002"))
    assert hidden_from(all_blind.room, "Kim") == {plant.uids["P-1002"]}
    answer(desk, "good")  # nothing to be contradicted, so no reason is asked
    assert not desk.is_blind(plant.record("P-1011"))
    assert {part for part in plant.uids if drawn_blind(all_blind.room, plant.record(part).row)} == {
        "P-1002", "=HYPERLINK(1)", "부품-1004", "P-1005", "P-1006", "P-1007", "P-1008", "P-1009", "<b>P-1012</b>",
    }  # fmt: skip
    assert {part for part in plant.uids if drawn_blind(plant.room, plant.record(part).row)} == {"P-1006"}
