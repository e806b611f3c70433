"""One answer for many parts: who is decided, who is left out and why, once, and back again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dashboard_world import Plant, enter_people, filled_plant
from kizu_dashboard.bulk_answers import LEFT_OUT, GroupAnswer
from kizu_dashboard.bulk_deciding import MOST_AT_ONCE, Bulk
from kizu_dashboard.deciding import LONGEST_REASON
from kizu_db.permissions import Role
from kizu_db.settings import DatabaseSettings

GOOD = GroupAnswer("good", reason="only dust")
CONFIRM = GroupAnswer("confirm")
DENT = GroupAnswer("defective", "dent", "seen by the lamp", "rework")
UNSURE = GroupAnswer("unsure", reason="look at the rim")


@pytest.fixture
def plant(tmp_path: Path, database: DatabaseSettings) -> Iterator[Plant]:
    with filled_plant(tmp_path, database=database) as plant:
        yield plant


@pytest.fixture
def bulk(plant: Plant) -> Bulk:
    enter_people(plant.room.records)
    return Bulk(plant.room, "Kim")


def choose(bulk: Bulk, plant: Plant, parts: Sequence[str], *, unseen: Sequence[str] = ()) -> None:
    """These are selected on a page that shows all, as the browser tells it."""
    with plant.room.records.unit(read_only=True) as unit:
        turn = bulk.lay_out(unit.inspections.latest(limit=500))
    told = [{"uid": plant.uids[part], "shown_ms": None if part in unseen else 400} for part in parts]
    bulk.choose({"turn": turn, "parts": told})


def look(bulk: Bulk, answer: GroupAnswer) -> dict[str, str]:
    """What the answer would mean, by part, as the confirmation shows it."""
    situation = bulk.situation()
    assert situation is not None
    fates = situation.fates(answer)
    bulk.look_at(answer, fates)
    return {one.part: one.left_out or one.would for one in fates}


def decide(bulk: Bulk, answer: GroupAnswer) -> dict[str, str]:
    """Looked at and stored; who was left out, and why."""
    look(bulk, answer)
    bulk.store(answer)
    assert bulk.notice is None
    assert bulk.became is not None
    return dict(bulk.became.left)


def decisions(plant: Plant, parts: Sequence[str]) -> dict[str, list[tuple[str, str, str | None]]]:
    """All reviews of these parts, oldest first."""
    return {
        part: [(one.reviewer, one.disposition, one.defect_class) for one in plant.record(part).reviews] for part in parts
    }  # fmt: skip


def test_each_part_gets_a_review_of_its_own_with_all_that_one_by_one_would_store(bulk: Bulk, plant: Plant) -> None:
    choose(bulk, plant, ["P-1002", "P-1007", "P-1011"])
    assert look(bulk, DENT) == dict.fromkeys(["P-1002", "P-1007", "P-1011"], "defective: dent")
    assert decide(bulk, DENT) == {}
    assert bulk.became is not None
    assert bulk.became.said == "3 of 3 parts are recorded as defective: dent."
    for part, decision in (("P-1002", "override"), ("P-1007", "accept"), ("P-1011", "override")):
        record = plant.record(part)
        (review,) = record.reviews
        assert (review.reviewer, review.disposition, review.defect_class, review.decision) == (
            "Kim", "defective", "dent", decision,
        )  # fmt: skip
        assert (review.reason, review.treatment, review.shown_ms) == ("seen by the lamp", "rework", 400)
        assert record.row.disposition == "defective"
        with plant.room.records.unit(read_only=True) as unit:
            (event,) = unit.trail.of("review", review.id)
            assert (event.actor, event.reason) == ("Kim", "seen by the lamp")
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.queue.waiting() == 8


def test_confirming_takes_over_each_verdict_and_leaves_out_what_says_nothing(bulk: Bulk, plant: Plant) -> None:
    choose(bulk, plant, ["P-1002", "P-1005", "P-1011", "부품-1004"])
    assert decide(bulk, CONFIRM) == {"부품-1004": "REVIEW says nothing that could be confirmed."}
    assert decisions(plant, ["P-1002", "P-1005", "P-1011", "부품-1004"]) == {
        "P-1002": [("Kim", "defective", "scratch")],
        "P-1005": [("Kim", "defective", "missing_hole")],
        "P-1011": [("Kim", "good", None)],
        "부품-1004": [],
    }


def test_every_way_of_being_left_out_is_named_and_nothing_of_it_is_stored(bulk: Bulk, plant: Plant) -> None:
    with plant.room.records.claims() as claims:
        assert claims.hold(plant.uids["P-1007"], "Lee")
    parts = ["P-1001", "P-1002", "P-1005", "P-1006", "P-1007", "P-1010"]
    choose(bulk, plant, parts, unseen=["P-1005"])
    plant.review("P-1002", reviewer="Lee")  # after the page was drawn
    expected = {
        "P-1002": LEFT_OUT["overtaken"],
        "P-1005": LEFT_OUT["unseen"],
        "P-1006": LEFT_OUT["blind"],
        "P-1007": "Lee has it on the screen.",
        "P-1010": LEFT_OUT["pictureless"],
    }
    assert look(bulk, GOOD) == expected | {"P-1001": "good"}
    assert decide(bulk, GOOD) == expected
    assert decisions(plant, parts) == {part: [] for part in parts} | {
        "P-1001": [("Kim", "good", None)], "P-1002": [("Lee", "good", None)],
    }  # fmt: skip


def test_a_class_that_a_parts_model_does_not_know_leaves_it_out(bulk: Bulk, plant: Plant) -> None:
    choose(bulk, plant, ["P-1002"])
    situation = bulk.situation()
    assert situation is not None
    assert [one.question for one in situation.answers] == [
        ("confirm", None), ("good", None), ("defective", "scratch"), ("defective", "dent"), ("defective", "stain"),
        ("defective", "missing_hole"), ("defective", "other defect"), ("unsure", None),
    ]  # fmt: skip
    assert look(bulk, GroupAnswer("defective", "paint_run")) == {"P-1002": "The model that judged it does not know paint run."}


def test_who_judged_a_part_of_the_audit_sample_may_correct_it_with_others(bulk: Bulk, plant: Plant) -> None:
    plant.review("P-1006", decision="accept")
    choose(bulk, plant, ["P-1006"])
    assert decide(bulk, DENT) == {}
    other = Bulk(plant.room, "Lee")
    choose(other, plant, ["P-1006"])
    assert look(other, GOOD) == {"P-1006": LEFT_OUT["blind"]}


def test_who_contradicts_verdicts_says_why_before_anything_is_stored(bulk: Bulk, plant: Plant) -> None:
    choose(bulk, plant, ["P-1002", "P-1005", "P-1007", "P-1011"])
    silent = GroupAnswer("good", reason=" ")
    look(bulk, silent)
    bulk.store(silent)
    assert bulk.notice == "Nothing was stored: say why. The answer contradicts the verdict of 2 parts."
    bulk.store(GroupAnswer("good", reason="x" * (LONGEST_REASON + 1)))
    assert bulk.notice == "Nothing was stored: the reason has 10,001 characters, and may have 10,000."
    assert set(map(len, decisions(plant, ["P-1002", "P-1005", "P-1007", "P-1011"]).values())) == {0}
    assert bulk.group is not None
    bulk.store(GOOD)
    assert bulk.became is not None
    assert bulk.became.said == "4 of 4 parts are recorded as good."


def test_only_what_was_looked_at_is_stored(bulk: Bulk, plant: Plant) -> None:
    with plant.room.records.claims() as claims:
        claims.hold(plant.uids["P-1002"], "Lee")
    choose(bulk, plant, ["P-1002", "P-1007"])
    bulk.store(GOOD)
    assert bulk.notice == "Nothing was stored: look at what this answer would mean, then store it."
    look(bulk, GOOD)
    with plant.room.records.claims() as claims:
        claims.release(plant.uids["P-1002"], by="Lee")  # it is free now, which nobody looked at
    bulk.store(GOOD)
    assert decisions(plant, ["P-1002", "P-1007"]) == {"P-1002": [], "P-1007": [("Kim", "good", None)]}


def test_what_comes_between_the_look_and_the_button_is_left_out_and_named(bulk: Bulk, plant: Plant) -> None:
    choose(bulk, plant, ["P-1002", "P-1005", "P-1007"])
    look(bulk, GOOD)
    plant.review("P-1002", reviewer="Lee", reason="mine")
    with plant.room.records.claims() as claims:
        claims.hold(plant.uids["P-1005"], "Lee")
    bulk.store(GOOD)
    assert bulk.became is not None
    assert dict(bulk.became.left) == {"P-1002": LEFT_OUT["overtaken"], "P-1005": "Lee has it on the screen."}
    assert bulk.became.said == "1 of 3 parts are recorded as good."
    with plant.room.records.unit(read_only=True) as unit:
        assert [(one.uid_inspection, one.reviewer) for one in unit.queue.claims()] == [(plant.uids["P-1005"], "Lee")]


def test_cannot_tell_leaves_what_waits_to_a_second_person_once(bulk: Bulk, plant: Plant) -> None:
    choose(bulk, plant, ["P-1002", "P-1007", "P-1011"])
    assert decide(bulk, UNSURE) == {"P-1011": LEFT_OUT["settled"]}
    assert bulk.became is not None
    assert bulk.became.said == "2 of 3 parts are left to a second person."
    assert not bulk.can_undo
    choose(bulk, plant, ["P-1002", "P-1007"])
    assert look(bulk, UNSURE) == dict.fromkeys(["P-1002", "P-1007"], LEFT_OUT["left before"])
    with plant.room.records.unit(read_only=True) as unit:
        assert [(one.by, one.why) for one in unit.queue.escalations(plant.uids["P-1002"])] == [("Kim", "look at the rim")]
        assert unit.queue.claims() == []


def test_a_submit_that_comes_twice_decides_once(bulk: Bulk, plant: Plant) -> None:
    parts = ["P-1002", "P-1007", "P-1011"]
    choose(bulk, plant, parts)
    look(bulk, GOOD)
    again = Bulk(plant.room, "Kim")  # the same group as another process has it after a lost connection
    again.group = bulk.group
    look(again, GOOD)
    start = threading.Barrier(4)

    def submit(of: Bulk) -> None:
        start.wait()
        of.store(GOOD)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(submit, [bulk, bulk, again, again]))
    assert decisions(plant, parts) == {part: [("Kim", "good", None)] for part in parts}
    for of in (bulk, again):
        assert of.became is not None
        assert of.became.said == "3 of 3 parts are recorded as good."


def test_two_people_with_overlapping_choices_decide_each_part_once(bulk: Bulk, plant: Plant) -> None:
    names = plant.add_alike(24, like="P-1002")
    other = Bulk(plant.room, "Lee")
    choose(bulk, plant, names[:16])
    choose(other, plant, names[8:])
    look(bulk, GOOD)
    look(other, DENT)
    start = threading.Barrier(2)

    def submit(of: Bulk, answer: GroupAnswer) -> None:
        start.wait()
        of.store(answer)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(submit, [bulk, other], [GOOD, DENT]))
    assert bulk.became is not None
    assert other.became is not None
    found = decisions(plant, names)
    assert {part: len(reviews) for part, reviews in found.items()} == dict.fromkeys(names, 1)
    for of, parts in ((bulk, names[:16]), (other, names[8:])):
        assert of.became is not None
        mine = [part for part in parts if found[part][0][0] == of.reviewer]
        left = dict(of.became.left)
        assert sorted([*mine, *left]) == parts
        assert set(left.values()) <= {LEFT_OUT["overtaken"], "Kim has it on the screen.", "Lee has it on the screen."}


def test_the_last_group_is_decided_again_in_one_step_but_for_what_others_decided_since(bulk: Bulk, plant: Plant) -> None:
    parts = ["P-1002", "P-1005", "P-1007"]
    choose(bulk, plant, parts)
    decide(bulk, GOOD)
    (first,) = plant.record("P-1005").reviews
    plant.review("P-1005", reviewer="Lee", disposition="defective", defect_class="dent", supersedes=first.id)
    bulk.take_back()
    assert decide(bulk, DENT) == {"P-1005": LEFT_OUT["overtaken"]}
    assert decisions(plant, parts) == {
        "P-1002": [("Kim", "good", None), ("Kim", "defective", "dent")],
        "P-1005": [("Kim", "good", None), ("Lee", "defective", "dent")],
        "P-1007": [("Kim", "good", None), ("Kim", "defective", "dent")],
    }
    for part in ("P-1002", "P-1007"):
        old, new = plant.record(part).reviews
        assert new.supersedes == old.id
    bulk.take_back()  # and back once more
    decide(bulk, GOOD)
    assert decisions(plant, ["P-1007"])["P-1007"][-1] == ("Kim", "good", None)


def test_giving_up_the_undo_keeps_the_way_back(bulk: Bulk, plant: Plant) -> None:
    bulk.take_back()
    assert bulk.notice == "There is no decision to take back."
    choose(bulk, plant, ["P-1007"])
    decide(bulk, GOOD)
    bulk.take_back()
    bulk.cancel()
    assert bulk.group is None
    assert bulk.can_undo
    assert decisions(plant, ["P-1007"]) == {"P-1007": [("Kim", "good", None)]}


def test_a_role_that_was_taken_meanwhile_stores_nothing_and_holds_nothing(bulk: Bulk, plant: Plant) -> None:
    choose(bulk, plant, ["P-1002", "P-1007"])
    look(bulk, GOOD)
    with plant.room.records.unit() as unit:
        unit.users.change("Kim", by="Ana", role=Role.VIEWER)
    bulk.store(GOOD)
    assert bulk.notice is not None
    assert "viewer" in bulk.notice
    assert decisions(plant, ["P-1002", "P-1007"]) == {"P-1002": [], "P-1007": []}
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.queue.claims() == []


def test_a_role_that_is_taken_on_the_way_stops_there_and_says_how_far_it_came(bulk: Bulk, plant: Plant) -> None:
    names = plant.add_alike(60, like="P-1002")
    choose(bulk, plant, names)
    look(bulk, CONFIRM)
    with ThreadPoolExecutor(1) as pool:
        stored = pool.submit(bulk.store, CONFIRM)
        while plant.record(names[0]).row.disposition is None:
            assert not stored.done()
        with plant.room.records.unit() as unit:
            unit.users.change("Kim", by="Ana", role=Role.VIEWER)
        stored.result()
    decided = [part for part, reviews in decisions(plant, names).items() if reviews]
    assert bulk.became is not None
    assert bulk.became.said == f"{len(decided)} of 60 parts are recorded as their verdicts say."
    left = dict(bulk.became.left)
    assert left
    assert [*decided, *left] == names
    assert all("viewer" in why for why in left.values())


@pytest.mark.parametrize(
    "change",
    [
        {"turn": "another page"},
        {"parts": []},
        {"parts": [{"uid": "01890000-0000-7000-8000-000000000000", "shown_ms": 1}]},
        {"parts": [{"uid": "x", "shown_ms": -1}]},
        {"parts": [{"uid": "x", "shown_ms": 1, "reviewer": "Ana"}]},
        {"parts": "all"},
    ],
)
def test_what_is_no_choice_of_the_page_that_is_shown_opens_nothing(bulk: Bulk, plant: Plant, change: dict[str, Any]) -> None:
    with plant.room.records.unit(read_only=True) as unit:
        turn = bulk.lay_out(unit.inspections.latest())
    fitting = {"turn": turn, "parts": [{"uid": plant.uids["P-1002"], "shown_ms": 300}]}
    bulk.choose(fitting | change)
    assert bulk.group is None
    assert bulk.notice in (
        "The page has changed since these parts were selected: select them again.",
        "The browser's choice cannot be read: load the page again.",
    )
    bulk.choose(fitting | {"parts": fitting["parts"] * 2})  # type: ignore[operator]
    assert bulk.group is None
    bulk.choose(fitting)
    assert bulk.group is not None


def test_a_page_on_which_somebody_decided_is_another_page(bulk: Bulk, plant: Plant) -> None:
    with plant.room.records.unit(read_only=True) as unit:
        rows = unit.inspections.latest()
    turn = bulk.lay_out(rows)
    assert bulk.lay_out(rows) == turn
    plant.review("P-1002", reviewer="Lee")
    assert bulk.lay_out(rows) != turn


def test_a_hundred_parts_are_decided_at_once_and_no_more(bulk: Bulk, plant: Plant) -> None:
    names = plant.add_alike(MOST_AT_ONCE + 1, like="P-1002")
    choose(bulk, plant, names)
    assert bulk.group is None
    assert bulk.notice == "The browser's choice cannot be read: load the page again."
    choose(bulk, plant, names[:MOST_AT_ONCE])
    begun = time.monotonic()
    assert decide(bulk, CONFIRM) == {}
    assert time.monotonic() - begun < 60  # it takes about one second on a machine at rest
    assert bulk.became is not None
    assert bulk.became.said == "100 of 100 parts are recorded as their verdicts say."
    assert set(map(len, decisions(plant, names[:MOST_AT_ONCE]).values())) == {1}
