"""What waits for a review: claimed by one at a time, for a while."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest

from db_examples import inspection, judgement, review
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.repositories.audit_trail import canonical_time
from kizu_db.turns import Turns
from kizu_db.values import Escalation
from kizu_inspect.errors import NotAllowed, RecordError
from kizu_inspect.results import Verdict

ENDED = timedelta(seconds=-1)


def add(records: Records, score: float | None, target: str | None = "scratch", station: str = "press-3") -> str:
    """A part that waits."""
    verdict = Verdict.ERROR if score is None else Verdict.REVIEW
    judged = judgement(verdict) if score is None else replace(judgement(verdict), score=score, target=target)
    with records.unit() as unit:
        return unit.inspections.add(inspection(verdict, judgement=judged, station=station))


def claim(records: Records, reviewer: str = "Mina", **asked: object) -> str | None:
    """The uid of the next part."""
    with records.claims() as claims:
        found = claims.take(reviewer, **asked)  # type: ignore[arg-type]
    return None if found is None else found.uid_inspection


def holders(records: Records) -> list[tuple[str, str]]:
    """Which part is whose."""
    with records.unit(read_only=True) as unit:
        return [(one.uid_inspection, one.reviewer) for one in unit.queue.claims()]


def test_the_least_certain_comes_first_or_the_oldest(records: Records) -> None:
    sure, even, unsure, unjudged = add(records, 0.95), add(records, 0.5), add(records, 0.45), add(records, None)
    assert claim(records, order="oldest") == sure
    assert [claim(records) for _ in range(4)] == [even, unjudged, unsure, None]


def test_a_line_or_a_class_can_be_asked_for(records: Records) -> None:
    add(records, 0.5)
    dent, other = add(records, 0.4, "dent"), add(records, 0.5, "dent", "press-4")
    assert claim(records, station="press-4", defect_class="scratch") is None
    assert claim(records, station="press-4") == other
    assert claim(records, defect_class="dent") == dent
    assert claim(records, defect_class="dent") is None


def test_what_passed_waits_only_in_the_audit_sample(records: Records) -> None:
    with records.unit() as unit:
        unit.inspections.add(inspection(Verdict.PASS))
        drawn = unit.inspections.add(inspection(Verdict.PASS, audit=True, audit_probability=0.1))
        assert unit.queue.waiting() == 1
    assert claim(records, defect_class="scratch") is None, "its reviewer would know what the model thinks of it"
    assert claim(records) == drawn


def test_a_lease_ends_and_can_be_renewed(records: Records) -> None:
    first, second = add(records, 0.5), add(records, 0.9)
    assert claim(records, "Mina", lease=ENDED) == first
    assert claim(records, "Kim") == first, "whose lease has ended comes before what nobody had"
    with records.claims() as claims:
        with pytest.raises(RecordError, match=r"not yours any more: found inspection .*; expected a claim of Mina"):
            claims.renew(first, "Mina")
        before = datetime.now(UTC)
        renewed = claims.renew(first, "Kim", lease=timedelta(hours=1))
        assert renewed.expires_at >= before + timedelta(hours=1)
    assert holders(records) == [(first, "Kim")]
    assert claim(records, "Mina") == second
    assert claim(records, "Mina") is None


def test_a_part_is_given_back_by_who_has_it_alone(records: Records) -> None:
    uid = add(records, 0.5)
    assert claim(records, "Mina") == uid
    with records.claims() as claims:
        claims.release(uid, by="Kim")
    assert holders(records) == [(uid, "Mina")]
    with records.claims() as claims:
        claims.release(uid, by="Mina")
        claims.release(uid, by="Mina")  # nobody's: nothing to do
    assert holders(records) == []


def test_a_part_is_taken_from_its_reviewer_by_who_may_and_the_trail_says_why(records: Records) -> None:
    uid = add(records, 0.5)
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        for name, role in (("Kim", Role.INSPECTOR), ("Mina", Role.INSPECTOR), ("Eun", Role.ENGINEER)):
            unit.users.add(name, role, by="Ana")
    assert claim(records, "Mina") == uid
    for told, error, said in (
        ({"of": "Mina", "by": "Kim", "reason": "hers"}, NotAllowed, "Kim may not release a claim: found role inspector"),
        ({"of": "Mina", "by": "Eun", "reason": " "}, RecordError, "needs a reason"),
        ({"of": "Kim", "by": "Eun", "reason": "gone home"}, RecordError, "Kim has not got this part any more"),
    ):
        with pytest.raises(error, match=said), records.unit() as unit:
            unit.queue.free(uid, **told)
    assert holders(records) == [(uid, "Mina")]
    with records.unit() as unit:
        (held,) = unit.queue.claims()
        unit.queue.free(uid, of="Mina", by="Eun", reason="gone home")
    assert holders(records) == []
    with records.unit(read_only=True) as unit:
        (event,) = unit.trail.of("inspection", uid)
        assert (event.actor, event.action, event.reason) == ("Eun", "claim.release", "gone home")
        assert event.before == {"claimed_by": "Mina", "claim_expires_at": canonical_time(held.expires_at)}
    assert claim(records, "Kim", lease=ENDED) == uid
    with pytest.raises(RecordError, match="Kim has not got this part any more"), records.unit() as unit:
        unit.queue.free(uid, of="Kim", by="Eun", reason="gone home")


def test_a_review_takes_the_part_out(records: Records) -> None:
    uid = add(records, 0.5)
    assert claim(records, "Mina") == uid
    with records.unit() as unit:
        first = unit.reviews.add(review(uid))
        unit.reviews.add(review(uid, disposition="good", defect_class=None, supersedes=first.id))
        assert (unit.queue.waiting(), unit.queue.waiting("press-3"), unit.queue.claims()) == (0, 0, [])
    assert claim(records, "Kim") is None


def test_reviewers_at_once_get_each_another_part(records: Records) -> None:
    with records.unit() as unit:
        for _ in range(80):
            unit.inspections.add(inspection(Verdict.REVIEW))
    together = Barrier(8)
    taken: list[str | None] = []
    failed: list[Exception] = []

    def take(name: str) -> None:
        together.wait()
        try:
            taken.extend(claim(records, name) for _ in range(10))
        except Exception as exc:  # noqa: BLE001 - handed to the test's own thread
            failed.append(exc)

    reviewers = [Thread(target=take, args=(f"reviewer {n}",)) for n in range(8)]
    for reviewer in reviewers:
        reviewer.start()
    for reviewer in reviewers:
        reviewer.join()
    assert failed == []
    assert None not in taken
    assert len(set(taken)) == len(taken) == 80


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order = Turns(), list[int]()
    asked = [Barrier(2) for _ in range(5)]

    def ask(number: int) -> None:
        with turns.take(timeout_s=30):
            order.append(number)

    with turns.take(timeout_s=0):
        threads = []
        for number, _ in enumerate(asked):
            waiting = len(turns._waiting)
            thread = Thread(target=ask, args=(number,))
            thread.start()
            while len(turns._waiting) == waiting:  # until it stands in the line
                thread.join(0.001)
            threads.append(thread)
        with pytest.raises(TimeoutError), turns.take(timeout_s=0.01):
            pass
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    with turns.take(timeout_s=0):
        pass
    two = Turns(2)
    with two.take(timeout_s=0), two.take(timeout_s=0), pytest.raises(TimeoutError), two.take(timeout_s=0.01):
        pass


def test_what_one_cannot_tell_waits_for_a_second_person(records: Records) -> None:
    uid, other = add(records, 0.5), add(records, 0.9)
    assert claim(records, "Mina") == uid
    with records.unit() as unit:
        unit.queue.escalate(uid, by="Mina", why="too dark")
    assert holders(records) == []
    assert [claim(records, "Mina"), claim(records, "Mina")] == [other, None]
    with records.unit(read_only=True) as unit:
        assert unit.queue.escalations(uid) == (Escalation(by="Mina", why="too dark"),)
        assert unit.queue.escalations(other) == ()
        assert unit.queue.waiting() == 2
        (told,) = [event for event in unit.trail.latest() if event.action == "review.escalate"]
        assert (told.actor, told.subject_id, told.reason) == ("Mina", uid, "too dark")
    assert claim(records, "Kim") == uid
    with records.unit() as unit:
        unit.reviews.add(review(uid))
        assert unit.queue.escalations(uid) == ()
        with pytest.raises(RecordError, match="does not wait for a decision"):
            unit.queue.escalate(uid, by="Kim")


def test_what_nobody_can_tell_goes_to_each_once_and_takes_it_from_nobody(records: Records) -> None:
    uid = add(records, 0.5)
    for name, why in (("Kim", "too dark"), ("Kim Min", ""), ("Lee", "blurred\x1eand cut")):
        assert claim(records, name) == uid
        with records.unit() as unit:
            unit.queue.escalate(uid, by=name, why=why)
    assert [claim(records, name) for name in ("Kim", "Kim Min", "Lee")] == [None] * 3
    assert claim(records, "Kim M") == uid
    with records.unit() as unit:
        unit.queue.escalate(uid, by="Mina", why="over a shoulder")  # who does not have it
        assert [(one.by, one.why) for one in unit.queue.escalations(uid)] == [
            ("Kim", "too dark"), ("Kim Min", ""), ("Lee", "blurred and cut"), ("Mina", "over a shoulder"),
        ]  # fmt: skip
    assert holders(records) == [(uid, "Kim M")]


def test_one_part_can_be_had_by_who_had_it_before_if_nobody_else_has_it(records: Records) -> None:
    uid = add(records, 0.5)
    with records.claims() as claims:
        assert claims.hold(uid, "Mina")
        assert claims.hold(uid, "Mina")
        assert not claims.hold(uid, "Kim")
        claims.renew(uid, "Mina", lease=ENDED)
        assert claims.hold(uid, "Kim")
    with records.unit() as unit:
        unit.reviews.add(review(uid))
    with records.claims() as claims:
        assert not claims.hold(uid, "Kim")


def test_nobody_escalates_who_may_not_review(records: Records) -> None:
    uid = add(records, 0.5)
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        unit.users.add("Vera", Role.VIEWER, by="Ana")
    with records.unit() as unit, pytest.raises(NotAllowed, match="Vera may not review"):
        unit.queue.escalate(uid, by="Vera")
    assert claim(records, "Ana") == uid


def test_looking_ahead_takes_nothing_and_tells_what_comes(records: Records) -> None:
    first, second, third = add(records, 0.5), add(records, 0.6), add(records, 0.7)
    with records.unit(read_only=True) as unit:
        assert unit.queue.next_up("Mina", limit=2) == [first, second]
        assert unit.queue.next_up("Mina", limit=2, passing_over=[second]) == [first, third]
    assert holders(records) == []
    assert claim(records, "Mina", passing_over=[first]) == second
    assert claim(records, "Kim") == first
    with records.unit(read_only=True) as unit:
        assert unit.queue.next_up("Mina", order="oldest", station="press-3", defect_class="scratch") == [third]
        assert unit.queue.kinds() == (["press-3"], ["scratch"])


def test_what_waits_is_counted_by_station_with_the_oldest(records: Records) -> None:
    first, _, taken = add(records, 0.4), add(records, 0.6), add(records, 0.3, station="press-4")
    assert claim(records, station="press-4") == taken
    with records.unit(read_only=True) as unit:
        found = unit.queue.by_station()
        rows = {row.uid: row.judged_at for row in unit.inspections.latest()}
        assert {name: (one.parts, one.since) for name, one in found.items()} == {
            "press-3": (2, rows[first]), "press-4": (1, rows[taken]),
        }  # fmt: skip
    with records.unit() as unit:
        unit.reviews.add(review(taken))
        assert set(unit.queue.by_station()) == {"press-3"}
