"""A second look at decided parts: by whom, blind to what, and what follows where two people disagree."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from sqlalchemy import text

from db_examples import inspection, raw, review
from kizu_db.chance import chance_of
from kizu_db.permissions import Role
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.uid import new_uid
from kizu_db.values import Look, NewReview
from kizu_db.verifying import verify
from kizu_inspect.errors import RecordError
from kizu_inspect.results import Verdict

GOOD = {"disposition": "good", "defect_class": None}


@pytest.fixture
def uid(records: Records) -> str:
    """A scratched part, decided by Kim, that waits for a second look; Eun and Ana may settle."""
    with records.unit() as unit:
        unit.users.add("Ana", Role.ADMIN, by="root")
        for name in ("Kim", "Lee", "Mina"):
            unit.users.add(name, Role.INSPECTOR, by="Ana")
        unit.users.add("Eun", Role.ENGINEER, by="Ana")
        uid = unit.inspections.add(inspection())
    assert decide(records, review(uid, reviewer="Kim")) == "second"
    return uid


def decide(records: Records, new: NewReview, *, settles: bool = False) -> Look | None:
    """A decision, and for whom the part then waits."""
    with records.unit() as unit:
        unit.reviews.add(new)
        return unit.second_reviews.arrange(new.uid_inspection, share=1.0, settles=settles)


def look_again(records: Records, new: NewReview) -> Look | None:
    with records.unit() as unit:
        assert unit.second_reviews.add(new)
        return unit.second_reviews.arrange(new.uid_inspection, share=1.0)


def taken(records: Records, name: str, *, settles: bool = False, **asked: object) -> str | None:
    """The uid of the part that this person is given, who gives it back."""
    with records.claims() as claims:
        claim = claims.take(name, settles=settles, **asked)  # type: ignore[arg-type]
        if claim is not None:
            claims.release(claim.uid_inspection, by=name)
    with records.unit(read_only=True) as unit:
        ahead = unit.queue.next_up(name, settles=settles, **asked)  # type: ignore[arg-type]
    assert ahead == ([] if claim is None else [claim.uid_inspection])
    return None if claim is None else claim.uid_inspection


def test_whether_a_part_is_drawn_hangs_on_its_uid_alone(records: Records) -> None:
    uids = [new_uid() for _ in range(20_000)]
    for draw in ("blind", "second"):
        assert sum(chance_of(uid, draw) < 0.25 for uid in uids) == pytest.approx(5_000, abs=320), "5 standard deviations"
    both = sum(chance_of(uid, "blind") < 0.25 and chance_of(uid, "second") < 0.25 for uid in uids)
    assert both == pytest.approx(1_250, abs=180), "one draw says nothing of the other"
    with records.unit() as unit:
        for uid in (unit.inspections.add(inspection()) for _ in range(40)):
            unit.reviews.add(review(uid))
            drawn = chance_of(uid, "second") < 0.5
            assert unit.second_reviews.arrange(uid, share=0.5) == ("second" if drawn else None)
            assert unit.second_reviews.arrange(uid, share=0.5) == ("second" if drawn else None), "and again the same"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_nobody_decided_waits_on_whatever_is_asked(records: Records, share: float) -> None:
    with records.unit() as unit:
        uid = unit.inspections.add(inspection())
        assert unit.second_reviews.arrange(uid, share=share) is None
        assert unit.queue.next_up("Kim") == [uid]


def test_a_share_that_is_lowered_ends_no_second_look_by_itself_and_the_next_decision_does(records: Records, uid: str) -> None:
    assert taken(records, "Lee") == uid
    with records.unit() as unit:
        (first,) = unit.reviews.of(uid)
        unit.reviews.add(review(uid, reviewer="Kim", supersedes=first.id))
        assert unit.second_reviews.arrange(uid, share=0.0) is None
    assert taken(records, "Lee") is None


def test_who_decided_is_not_offered_the_second_look_by_no_way(records: Records, uid: str) -> None:
    assert taken(records, "Kim") is None
    assert taken(records, "Ki") == uid, "another person, whose name is the beginning of his"
    assert taken(records, "Lee") == uid
    with records.claims() as claims:
        assert claims.hold(uid, "Kim") is None
        held = claims.hold(uid, "Lee")
    assert held is not None
    assert held.look == "second"
    with pytest.raises(RecordError, match="waits for no second look by this person: found Kim"), records.unit() as unit:
        unit.second_reviews.add(review(uid, reviewer="Kim"))


def test_who_corrected_the_decision_has_seen_it_too(records: Records, uid: str) -> None:
    with records.unit(read_only=True) as unit:
        (first,) = unit.reviews.of(uid)
    assert decide(records, review(uid, reviewer="Lee", supersedes=first.id)) == "second"
    assert [taken(records, name) for name in ("Kim", "Lee", "Mina")] == [None, None, uid]


def test_a_second_look_comes_under_no_suspicion(records: Records, uid: str) -> None:
    assert taken(records, "Lee", defect_class="scratch") is None
    assert taken(records, "Lee", station="press-3") == uid


def test_a_flagged_part_that_is_judged_blind_comes_under_no_suspicion(records: Records) -> None:
    with records.unit() as unit:
        uid = unit.inspections.add(inspection())
    chance = chance_of(uid, "blind")
    assert taken(records, "Lee", defect_class="scratch", blind_share=chance) == uid
    assert taken(records, "Lee", defect_class="scratch", blind_share=min(1.0, chance + 1e-9)) is None
    assert taken(records, "Lee", blind_share=1.0) == uid


def test_where_both_say_the_same_nothing_waits_and_the_first_decision_stands(records: Records, uid: str) -> None:
    assert look_again(records, review(uid, reviewer="Lee", reason="deep")) is None
    assert taken(records, "Mina", settles=True) is None
    with records.unit(read_only=True) as unit:
        record = unit.inspections.get(uid)
        assert record is not None
        assert [one.reviewer for one in record.reviews] == ["Kim"]
        (second,) = unit.second_reviews.of(uid)
        assert (second.reviewer, second.reason) == ("Lee", "deep")


@pytest.mark.parametrize("said", [GOOD, {"disposition": "defective", "defect_class": "dent"}], ids=["good", "another defect"])
def test_a_disagreement_waits_for_an_engineer_who_is_neither_of_them(
    records: Records, database: DatabaseSettings, uid: str, said: dict[str, str | None]
) -> None:
    assert look_again(records, review(uid, reviewer="Lee", **said)) == "engineer"
    with records.unit(read_only=True) as unit:
        assert unit.inspections.rows([uid])[0].disposition == "defective", "the first decision stands until then"
        assert unit.trail.of("inspection", uid)[0].action == "review.disagree"
    assert [taken(records, name) for name in ("Kim", "Lee", "Mina")] == [None, None, None]
    assert [taken(records, name, settles=True) for name in ("Kim", "Lee", "Eun")] == [None, None, uid]
    assert taken(records, "Eun", settles=True, defect_class="scratch") == uid, "who is not blind"
    with records.unit(read_only=True) as unit:
        (first,) = unit.reviews.of(uid)
    assert decide(records, review(uid, reviewer="Eun", supersedes=first.id), settles=True) is None
    assert taken(records, "Ana", settles=True) is None
    assert verify(database).findings == ()


def test_who_is_no_engineer_or_one_of_the_two_does_not_settle_it(records: Records, uid: str) -> None:
    assert look_again(records, review(uid, reviewer="Lee", **GOOD)) == "engineer"
    with records.unit() as unit:
        unit.users.change("Kim", role=Role.ENGINEER, by="Ana")
        (first,) = unit.reviews.of(uid)
    dent = {"disposition": "defective", "defect_class": "dent"}
    for name, said in (("Mina", dent), ("Kim", dent), ("Kim", GOOD)):
        new = review(uid, reviewer=name, supersedes=first.id, **said)
        assert decide(records, new, settles=True) == "engineer", "also where both say the same by now"
        with records.unit(read_only=True) as unit:
            first = unit.reviews.of(uid)[-1]
            assert [one.action for one in unit.trail.of("inspection", uid)] == ["review.disagree"], "it is told once"
    assert decide(records, review(uid, reviewer="Eun", supersedes=first.id, **GOOD), settles=True) is None


def test_what_an_engineer_decides_who_came_in_as_an_inspector_settles_nothing_then_or_later(records: Records, uid: str) -> None:
    assert look_again(records, review(uid, reviewer="Lee")) is None, "they agree"
    with records.unit(read_only=True) as unit:
        (first,) = unit.reviews.of(uid)
    assert decide(records, review(uid, reviewer="Eun", supersedes=first.id, **GOOD)) == "engineer", "Eun came in by PIN"
    assert look_again(records, review(uid, reviewer="Lee", **GOOD)) == "engineer", "and nothing that Lee says ends it"
    assert [taken(records, name, settles=True) for name in ("Eun", "Ana")] == [None, uid]


def test_an_engineers_correction_before_the_second_look_settles_nothing(records: Records, uid: str) -> None:
    with records.unit(read_only=True) as unit:
        (first,) = unit.reviews.of(uid)
    assert decide(records, review(uid, reviewer="Eun", supersedes=first.id, **GOOD), settles=True) == "second"
    assert look_again(records, review(uid, reviewer="Lee")) == "engineer"
    assert [taken(records, name, settles=True) for name in ("Eun", "Ana")] == [None, uid]


def test_ones_own_second_look_may_be_given_anew_and_nobody_elses_added(records: Records, uid: str) -> None:
    assert look_again(records, review(uid, reviewer="Lee", **GOOD)) == "engineer"
    assert look_again(records, review(uid, reviewer="Lee")) == "engineer", "what one of the two takes back ends nothing"
    again = review(uid, reviewer="Lee", nonce="once")
    assert look_again(records, again) == "engineer"
    with records.unit() as unit:
        assert not unit.second_reviews.add(again), "the same form"
        assert len(unit.second_reviews.of(uid)) == 3
    with pytest.raises(RecordError, match="waits for no second look"), records.unit() as unit:
        unit.second_reviews.add(review(uid, reviewer="Mina"))


def test_of_two_second_looks_at_once_one_is_kept(records: Records, uid: str) -> None:
    barrier, stored, refused = Barrier(2), [], []

    def look(name: str) -> None:
        barrier.wait()
        try:
            stored.append((name, look_again(records, review(uid, reviewer=name))))
        except RecordError:
            refused.append(name)

    threads = [Thread(target=look, args=(name,)) for name in ("Lee", "Mina")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(stored), len(refused)) == (1, 1)
    with records.unit(read_only=True) as unit:
        assert [one.reviewer for one in unit.second_reviews.of(uid)] == [stored[0][0]]


def test_a_second_look_at_the_audit_sample_leaves_its_figures_alone(records: Records) -> None:
    with records.unit() as unit:
        uid = unit.inspections.add(inspection(Verdict.PASS, audit=True, audit_probability=0.1))
        unit.reviews.add(review(uid, reviewer="Kim", **GOOD))
        assert unit.second_reviews.arrange(uid, share=1.0) == "second"
    with records.unit() as unit:
        assert unit.analysis.audit_waiting() == {}
        strata = unit.rollups.audit_strata()
        unit.second_reviews.add(review(uid, reviewer="Lee"))
        assert unit.second_reviews.arrange(uid, share=1.0) == "engineer"
    with records.unit(read_only=True) as unit:
        assert unit.rollups.audit_strata() == strata


def test_the_check_of_the_records_finds_a_second_review_that_was_changed(
    records: Records, database: DatabaseSettings, uid: str
) -> None:
    strange = review(uid, reviewer="Lee", reason="a\0b 가 \udcff")
    assert look_again(records, strange) is None
    assert verify(database).findings == ()
    with raw(database) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET session_replication_role = replica"))
        else:
            connection.execute(text("DROP TRIGGER second_review_no_update"))
        connection.execute(text("UPDATE second_review SET disposition = 'good', boxes = '[[1, 2, 3, 4, \"dent\"]]'"))
    (found,) = verify(database).findings
    assert str(found) == "second_review 1: changed since it was written: boxes, disposition"
