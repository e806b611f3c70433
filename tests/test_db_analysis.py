"""What no rollup counts, beside the same counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from db_examples import NOON, explanation, inspection
from kizu_db.records import Records
from kizu_db.values import LotCounts
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
