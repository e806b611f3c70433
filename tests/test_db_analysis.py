"""What no rollup counts, beside the same counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from db_examples import NOON, explanation, inspection, review
from kizu_db.records import Records
from kizu_db.values import LotCounts, Opinion, ReviewedPart
from kizu_inspect.results import Region, Verdict

MINUTE = timedelta(minutes=1)


def counts(**told: int) -> dict[Verdict, int]:
    return dict.fromkeys(Verdict, 0) | {Verdict(word): n for word, n in told.items()}


@pytest.fixture
def lots(records: Records) -> Records:
    """Lots A, B, none and A again, ten minutes apart."""
    with records.unit() as unit:
        stories = (("A", "PASS"), ("A", "REJECT"), ("B", "PASS"), ("B", "PASS"), (None, "ERROR"), ("A", "REJECT"))
        for number, (lot, word) in enumerate(stories):
            station = "press-4" if lot == "B" else "press-3"
            at = NOON + number * 10 * MINUTE
            unit.inspections.add(inspection(Verdict(word), lot=lot, station=station, judged_at=at))
    return records


def test_lots_are_told_by_their_newest_inspection(lots: Records) -> None:
    with lots.unit(read_only=True) as unit:
        found, looked_at = unit.analysis.lots(limit=100)
        assert looked_at == 6
        assert found == [
            LotCounts(lot="A", verdicts=counts(PASS=1, REJECT=2)),
            LotCounts(lot="", verdicts=counts(ERROR=1)),
            LotCounts(lot="B", verdicts=counts(PASS=2)),
        ]
        assert unit.analysis.lots(station="press-4", limit=100) == ([LotCounts(lot="B", verdicts=counts(PASS=2))], 2)
        inside, _ = unit.analysis.lots(since=NOON + 10 * MINUTE, until=NOON + 30 * MINUTE, limit=100)
        assert inside == [LotCounts(lot="B", verdicts=counts(PASS=1)), LotCounts(lot="A", verdicts=counts(REJECT=1))]


def test_no_more_is_counted_than_was_asked_for(lots: Records) -> None:
    with lots.unit(read_only=True) as unit:
        found, looked_at = unit.analysis.lots(limit=3)
    assert looked_at == 3
    assert sum(sum(one.verdicts.values()) for one in found) == 3
    assert [one.lot for one in found] == ["A", "", "B"]


def test_places_are_the_centres_of_the_first_maps_regions_in_fractions(records: Records) -> None:
    regions = (Region(10, 20, 30, 40, "scratch", 1.2, 0.6), Region(140, 0, 160, 120, "dent", 0.5, 0.4))
    with records.unit() as unit:
        older = unit.inspections.add(inspection(Verdict.REVIEW, view="top", judged_at=NOON))
        newer = unit.inspections.add(inspection(view="side", station="press-4", judged_at=NOON + MINUTE))
        passed = unit.inspections.add(inspection(Verdict.PASS, judged_at=NOON + MINUTE))
        for uid in (older, newer, passed):
            unit.inspections.store_explanation(uid, replace(explanation(), regions=regions))
        second = replace(explanation("score-cam"), regions=(Region(0, 0, 2, 2, "stain", 1.0, 1.0),))
        unit.inspections.store_explanation(newer, second, settles=False)
    with records.unit(read_only=True) as unit:
        found, looked_at = unit.analysis.places(limit=100)
        assert looked_at == 2
        told = [(one.uid, one.station, one.view, one.label, one.x, one.y, one.aspect) for one in found]
        scratch, dent = (20 / 160, 30 / 120, 160 / 120), (150 / 160, 60 / 120, 160 / 120)
        assert told == [
            (newer, "press-4", "side", "scratch", *scratch), (newer, "press-4", "side", "dent", *dent),
            (older, "press-3", "top", "scratch", *scratch), (older, "press-3", "top", "dent", *dent),
        ]  # fmt: skip
        assert {one.uid for one in unit.analysis.places(limit=1)[0]} == {newer}
        assert {one.uid for one in unit.analysis.places(limit=9, until=NOON + MINUTE)[0]} == {older}
        assert unit.analysis.places(limit=9, suspected="dent") == ([], 0)


def test_reviewed_parts_tell_what_both_said(records: Records) -> None:
    with records.unit() as unit:
        right = unit.inspections.add(inspection(judged_at=NOON))
        false = unit.inspections.add(inspection(Verdict.REVIEW, judged_at=NOON + MINUTE))
        passed = unit.inspections.add(inspection(Verdict.PASS, audit=True, audit_probability=0.25, judged_at=NOON + 2 * MINUTE))
        unit.inspections.add(inspection(judged_at=NOON + 3 * MINUTE))
        unit.reviews.add(review(right, defect_class="dent"))
        for uid in (false, passed):
            unit.reviews.add(review(uid, disposition="good", defect_class=None))
    told = {"score": 0.875, "suspected": "scratch", "decided_class": None}
    of_false = ReviewedPart(verdict=Verdict.REVIEW, audit=False, audit_probability=0, disposition="good", **told)  # type: ignore[arg-type]
    of_passed = ReviewedPart(verdict=Verdict.PASS, audit=True, audit_probability=0.25, disposition="good", **told)  # type: ignore[arg-type]
    with records.unit(read_only=True) as unit:
        found = unit.analysis.reviewed(limit=10)
        assert found[:2] == [of_passed, of_false]
        assert (found[2].disposition, found[2].decided_class, found[2].suspected) == ("defective", "dent", "scratch")
        assert len(found) == 3
        assert unit.analysis.reviewed(limit=1) == [of_passed]
        assert unit.analysis.reviewed(since=NOON + MINUTE, until=NOON + 2 * MINUTE, limit=10) == [of_false]


def test_draws_that_wait_are_counted_by_their_chance(records: Records) -> None:
    with records.unit() as unit:
        for number, chance in enumerate((0.25, 0.25, 0.5)):
            drawn = {"audit": True, "audit_probability": chance, "judged_at": NOON + number * MINUTE}
            uid = unit.inspections.add(inspection(Verdict.PASS, **drawn))
        unit.inspections.add(inspection(Verdict.PASS, audit=False, audit_probability=0.25))
        unit.inspections.add(inspection())
        assert unit.analysis.audit_waiting() == {0.25: 2, 0.5: 1}
        assert unit.analysis.audit_waiting(since=NOON + MINUTE, until=NOON + 3 * MINUTE) == {0.25: 1, 0.5: 1}
        assert unit.analysis.audit_waiting(station="press-4") == {}
        unit.reviews.add(review(uid))
        assert unit.analysis.audit_waiting() == {0.25: 2}


def test_opinions_are_those_of_people_who_judged_on_their_own(records: Records) -> None:
    """Whoever reviews what is decided has seen it, corrects or not; only a second look is blind to it."""
    with records.unit() as unit:
        twice, corrected, alone = (unit.inspections.add(inspection(judged_at=NOON + n * MINUTE)) for n in range(3))
        first = unit.reviews.add(review(twice, reviewer="Mina"))
        unit.reviews.add(review(twice, reviewer="Mina", disposition="good", defect_class=None, supersedes=first.id))
        assert unit.second_reviews.arrange(twice, share=1.0) == "second"
        unit.second_reviews.add(review(twice, reviewer="Kim", disposition="good", defect_class=None))
        unit.second_reviews.add(review(twice, reviewer="Kim"))  # has thought better of it
        first = unit.reviews.add(review(corrected, reviewer="Mina"))
        unit.reviews.add(review(corrected, reviewer="Kim", disposition="good", defect_class=None, supersedes=first.id))
        unit.reviews.add(review(alone, reviewer="Kim"))
        unit.reviews.add(review(alone, reviewer="Mina"))
        number = unit.inspections.latest(limit=3)[2].number
        found = unit.analysis.opinions(limit=10)
        assert found == [
            Opinion(inspection=number, reviewer="Mina", disposition="defective"),
            Opinion(inspection=number, reviewer="Kim", disposition="good"),
        ]
        assert unit.analysis.opinions(until=NOON, limit=10) == []
        assert unit.analysis.opinions(station="press-4", limit=10) == []
