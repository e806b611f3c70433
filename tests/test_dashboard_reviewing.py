"""A reviewer's desk: one part at a time, one answer for each, and nothing that was not on the screen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dashboard_world import Plant, filled_plant
from kizu_dashboard.deciding import LONGEST_REASON
from kizu_dashboard.reviewing import Desk, Wanted
from kizu_db.permissions import Role
from kizu_db.repositories import claims as claims_module
from pages_world import answer

WAITING = [
    "P-1002", "=HYPERLINK(1)", "부품-1004", "P-1005", "P-1006", "P-1007", "P-1008", "P-1009", "P-1010", "<b>P-1012</b>",
]  # fmt: skip


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with filled_plant(tmp_path) as plant:
        yield plant


@pytest.fixture
def desk(plant: Plant) -> Desk:
    return Desk(plant.room, "Kim")


def part_on(desk: Desk, plant: Plant, wanted: Wanted | None = None) -> str | None:
    """The part before the reviewer."""
    shown = desk.begin(wanted or Wanted())
    if shown is None:
        return None
    part = {uid: part for part, uid in plant.uids.items()}[shown.uid]
    desk.present(plant.record(part))  # as the page does
    return part


def held(plant: Plant) -> list[tuple[str, str]]:
    with plant.room.records.unit(read_only=True) as unit:
        return [(claim.uid_inspection, claim.reviewer) for claim in unit.queue.claims()]


def test_every_waiting_part_comes_once_oldest_first(desk: Desk, plant: Plant) -> None:
    order = []
    while (part := part_on(desk, plant)) is not None:
        order.append(part)
        answer(desk, "defective", defect_class="dent", reason="seen")
        assert desk.notice is None
    assert order == WAITING
    assert held(plant) == []
    for part in WAITING:
        (review,) = plant.record(part).reviews
        assert (review.reviewer, review.defect_class, review.shown_ms) == ("Kim", "dent", 700)


def test_confirming_takes_over_what_the_verdict_says(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    answer(desk, "confirm")
    (review,) = plant.record("P-1002").reviews
    assert (review.disposition, review.defect_class, review.decision) == ("defective", "scratch", "accept")
    assert desk.told == "P-1002: recorded as defective: scratch"


def test_a_review_verdict_says_nothing_that_could_be_confirmed(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant, Wanted(order="uncertain"))
    desk.look_at(plant.uids["부품-1004"])
    answer(desk, "confirm")
    assert desk.notice is not None
    assert "REVIEW says nothing that could be confirmed" in desk.notice
    answer(desk, "good")  # no reason needed: nothing is contradicted
    (review,) = plant.record("부품-1004").reviews
    assert (review.disposition, review.decision, review.reason) == ("good", "accept", "")


def test_who_contradicts_the_verdict_says_why(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    answer(desk, "good")
    assert desk.notice == "Say why the part is good: the verdict says defective."
    assert part_on(desk, plant) == "P-1002"
    answer(desk, "good", reason=" dust ")
    (review,) = plant.record("P-1002").reviews
    assert (review.disposition, review.decision, review.reason) == ("good", "override", "dust")


def test_an_error_can_be_called_good_or_any_defect(desk: Desk, plant: Plant) -> None:
    desk.look_at(plant.uids["P-1010"])
    answer(desk, "confirm")
    assert "ERROR says nothing" in (desk.notice or "")
    answer(desk, "good")
    assert plant.record("P-1010").row.disposition == "good"


def test_the_audit_sample_is_judged_blind(desk: Desk, plant: Plant) -> None:
    while part_on(desk, plant) != "P-1006":
        answer(desk, "skip")
    assert desk.is_blind(plant.record("P-1006"))
    answer(desk, "defective", defect_class="scratch")
    (review,) = plant.record("P-1006").reviews
    assert (review.disposition, review.decision, review.reason) == ("defective", "override", "")


def test_a_part_of_the_audit_sample_that_was_opened_from_the_list_is_not_blind(desk: Desk, plant: Plant) -> None:
    desk.look_at(plant.uids["P-1006"])
    assert not desk.is_blind(plant.record("P-1006"))


@pytest.mark.parametrize("strange", ["another part", "another nonce", "twice"])
def test_an_answer_counts_only_for_what_was_shown(strange: str, desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    assert desk.shown is not None
    told = {"uid": desk.shown.uid, "nonce": desk.shown.nonce, "kind": "confirm"}
    if strange == "another part":
        told["uid"] = plant.uids["P-1005"]
    elif strange == "another nonce":
        told["nonce"] = "x"
    for _ in range(3):
        desk.answer(told)
    reviews = sum(len(plant.record(part).reviews) for part in plant.uids)
    assert reviews == (1 if strange == "twice" else 0)
    assert part_on(desk, plant) == ("=HYPERLINK(1)" if strange == "twice" else "P-1002")


@pytest.mark.parametrize(
    "told",
    [None, "confirm", {}, {"uid": 3}, {"kind": "confirm"}, {"uid": "u", "nonce": "n", "kind": "sign"},
     {"uid": "u", "nonce": "n", "kind": "good", "reviewer": "Lee"}, {"uid": "u", "nonce": "n", "kind": "good", "shown_ms": -1}],
)  # fmt: skip
def test_what_is_no_answer_is_refused_with_a_sentence(told: object, desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    desk.answer(told)
    assert (desk.notice or "").startswith("Not stored: the browser's answer cannot be read")
    assert part_on(desk, plant) == "P-1002"


def test_a_comment_is_stored_whole_or_refused_and_never_cut(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    answer(desk, "confirm", reason="x" * (LONGEST_REASON + 1))
    assert "the comment is too long: found 10,001 characters; expected at most 10,000" in (desk.notice or "")
    answer(desk, "confirm", reason="<b>가</b> =1+1\n" + "x" * 9_000)
    (review,) = plant.record("P-1002").reviews
    assert review.reason == "<b>가</b> =1+1\n" + "x" * 9_000


BOX = {"x1": 10, "y1": 20, "x2": 30, "y2": 60, "defect_class": "scratch"}


def test_boxes_are_stored_with_the_decision(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    answer(desk, "confirm", boxes=[BOX, BOX | {"x2": 320, "defect_class": "dent"}])
    assert desk.notice is None
    (review,) = plant.record("P-1002").reviews
    assert [(box.x1, box.y1, box.x2, box.y2, box.defect_class) for box in review.boxes] == [
        (10, 20, 30, 60, "scratch"), (10, 20, 320, 60, "dent"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "boxes"),
    [
        ("confirm", [BOX] * 51),
        ("confirm", [BOX | {"x1": -1}]),
        ("confirm", [BOX | {"x1": 30}]),
        ("confirm", [BOX | {"x1": 10.5}]),
        ("confirm", [BOX | {"x1": "10"}]),
        ("confirm", [BOX | {"x1": True}]),
        ("confirm", [BOX | {"x2": 321}]),
        ("confirm", [BOX | {"x2": 10**30}]),
        ("confirm", [BOX | {"defect_class": "good"}]),
        ("confirm", [BOX | {"defect_class": ""}]),
        ("confirm", [BOX | {"score": 1}]),
        ("confirm", [{"x1": 1}]),
        ("confirm", "boxes"),
        ("confirm", None),
        ("defective", [BOX]),
        ("good", [BOX]),
        ("unsure", [BOX]),
        ("skip", [BOX]),
    ],
)
def test_a_hand_made_answer_with_wrong_boxes_stores_nothing_and_stays(
    desk: Desk, plant: Plant, kind: str, boxes: object
) -> None:
    part_on(desk, plant)
    answer(desk, kind, defect_class="dent" if kind == "defective" else None, reason="seen", boxes=boxes)
    assert desk.notice
    assert part_on(desk, plant) == "P-1002"
    assert plant.record("P-1002").reviews == ()
    with plant.room.records.unit(read_only=True) as unit:
        assert unit.queue.escalations(plant.uids["P-1002"]) == ()
    answer(desk, "confirm", boxes=[BOX])
    assert len(plant.record("P-1002").reviews) == 1


def test_what_is_skipped_comes_last_and_others_may_have_it(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    answer(desk, "skip")
    assert part_on(desk, plant) == "=HYPERLINK(1)"
    other = Desk(plant.room, "Lee")
    assert part_on(other, plant) == "P-1002"
    other.leave()
    for _ in WAITING[1:]:
        answer(desk, "unsure")
    assert part_on(desk, plant) == "P-1002"


def test_undo_brings_the_last_part_back_and_the_new_decision_replaces_the_old_one(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    answer(desk, "confirm")
    assert part_on(desk, plant) == "=HYPERLINK(1)"
    answer(desk, "undo")
    assert part_on(desk, plant) == "P-1002"
    assert not desk.can_undo
    answer(desk, "defective", defect_class="dent")
    first, second = plant.record("P-1002").reviews
    assert (second.supersedes, second.defect_class, plant.record("P-1002").row.disposition) == (first.id, "dent", "defective")
    assert part_on(desk, plant) == "=HYPERLINK(1)", "what was before the reviewer comes back"
    assert held(plant) == [(plant.uids["=HYPERLINK(1)"], "Kim")]


def test_nothing_is_taken_back_by_a_skip_after_undo(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    answer(desk, "confirm")
    answer(desk, "undo")
    answer(desk, "skip")
    assert part_on(desk, plant) == "=HYPERLINK(1)"
    assert len(plant.record("P-1002").reviews) == 1
    answer(desk, "undo")
    assert part_on(desk, plant) == "P-1002", "it can be taken back still"


def test_who_comes_second_stores_nothing_and_goes_on(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    plant.review("P-1002", reviewer="Lee")
    answer(desk, "confirm")
    assert desk.told == "P-1002: somebody else decided meanwhile; nothing was stored"
    assert [review.reviewer for review in plant.record("P-1002").reviews] == ["Lee"]
    assert part_on(desk, plant) == "=HYPERLINK(1)"


def test_a_reload_finds_the_same_part_unless_another_has_it_by_now(desk: Desk, plant: Plant) -> None:
    uid = plant.uids["P-1002"]
    assert part_on(desk, plant) == "P-1002"
    again = Desk(plant.room, "Kim").begin(Wanted(), uid=uid)
    assert again is not None
    assert again.uid == uid
    stranger = Desk(plant.room, "Lee").begin(Wanted(), uid=uid)
    assert stranger is not None
    assert stranger.uid != uid


def test_a_lost_connection_brings_back_the_same_part_or_says_that_another_has_it(desk: Desk, plant: Plant) -> None:
    answer_of = part_on(desk, plant)
    answer(desk, "skip")
    assert (answer_of, part_on(desk, plant)) == ("P-1002", "=HYPERLINK(1)")
    before = desk.shown
    desk.leave()
    assert held(plant) == []
    assert part_on(desk, plant) == "=HYPERLINK(1)"
    assert desk.shown == before, "what was typed for it stays"
    desk.leave()
    answer(desk, "confirm")  # the page was never drawn anew: the part is free, so it counts
    assert len(plant.record("=HYPERLINK(1)").reviews) == 1
    assert part_on(desk, plant) == "부품-1004"
    desk.leave()
    assert part_on(Desk(plant.room, "Lee"), plant) == "P-1002"
    with plant.room.records.claims() as claims:
        assert claims.hold(plant.uids["부품-1004"], "Lee")
    answer(desk, "good")
    assert plant.record("부품-1004").reviews == ()
    assert part_on(desk, plant) == "P-1005"
    assert desk.told == "The connection was lost, and somebody else has that part by now: this is another one"


def test_undo_chains_lose_no_decision(desk: Desk, plant: Plant) -> None:
    for _ in range(2):
        part_on(desk, plant)
        answer(desk, "confirm")
    for part in ("=HYPERLINK(1)", "P-1002"):
        answer(desk, "undo")
        assert part_on(desk, plant) == part
    answer(desk, "defective", defect_class="stain")
    assert part_on(desk, plant) == "부품-1004"
    for part in ("P-1002", "=HYPERLINK(1)"):
        answer(desk, "undo")
        assert part_on(desk, plant) == part


def test_a_blind_decision_is_corrected_blind(desk: Desk, plant: Plant) -> None:
    while part_on(desk, plant) != "P-1006":
        answer(desk, "skip")
    answer(desk, "good")
    answer(desk, "undo")
    assert part_on(desk, plant) == "P-1006"
    assert desk.is_blind(plant.record("P-1006"))
    answer(desk, "defective", defect_class="dent")
    assert [review.disposition for review in plant.record("P-1006").reviews] == ["good", "defective"]


def test_a_closed_window_gives_back_what_lay_on_the_desk(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    answer(desk, "confirm")
    answer(desk, "undo")
    desk.leave()
    assert held(plant) == []
    assert part_on(Desk(plant.room, "Lee"), plant) == "=HYPERLINK(1)"


def test_another_choice_gives_the_part_back(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    assert part_on(desk, plant, Wanted(defect_class="stain")) == "부품-1004"
    assert held(plant) == [(plant.uids["부품-1004"], "Kim")]
    assert part_on(desk, plant, Wanted(station="nowhere")) is None
    assert held(plant) == []


def test_an_answer_after_the_lease_ended_counts_where_nobody_decided(desk: Desk, plant: Plant) -> None:
    part_on(desk, plant)
    uid = plant.uids["P-1002"]
    with plant.room.records.claims() as claims:
        claims.renew(uid, "Kim", lease=timedelta(seconds=-1))
        taken = claims.take("Lee", order="oldest")
    assert taken is not None
    assert taken.uid_inspection == uid
    answer(desk, "confirm")
    assert [review.reviewer for review in plant.record("P-1002").reviews] == ["Kim"]
    assert timedelta(minutes=10) == claims_module.LEASE


def test_the_role_is_asked_where_it_is_written(desk: Desk, plant: Plant) -> None:
    with plant.room.records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Kim", Role.VIEWER, by="Ana")
    part_on(desk, plant)
    for kind in ("confirm", "unsure"):
        answer(desk, kind)
        assert "Kim may not review" in (desk.notice or "")
    assert plant.record("P-1002").reviews == ()


def test_four_reviewers_at_once_make_one_decision_a_part(plant: Plant) -> None:
    plant.add_unjudged(200)
    together, failed = threading.Barrier(4), list[BaseException]()

    def work(name: str) -> None:
        desk = Desk(plant.room, name)
        together.wait()
        try:
            while desk.begin(Wanted()) is not None:
                answer(desk, "defective", defect_class="other defect", reason=f"{name} {desk.turn}")
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"R{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with plant.room.records.unit(read_only=True) as unit:
        rows = unit.inspections.latest(limit=1000)
        reviews = [unit.reviews.of(row.uid) for row in rows if row.disposition is not None]
    assert len(reviews) == 210
    assert {len(of_one) for of_one in reviews} == {1}
    for of_one in reviews:
        assert of_one[0].reason.startswith(of_one[0].reviewer + " ")
