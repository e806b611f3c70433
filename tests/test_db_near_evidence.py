"""Earlier parts whose evidence lies at a like place: which are found, and how much is looked through for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db_examples import explanation, inspection, judgement
from kizu_db.records import Records
from kizu_inspect.results import Explanation, Region, Verdict


def marked(x: int, y: int, *, method: str = "grad-cam") -> Explanation:
    """A map of the picture of 160 × 120 whose one region has its middle there."""
    return replace(explanation(method), regions=(Region(x - 8, y - 6, x + 8, y + 6, "scratch", 1.0, 0.5),))


def add(
    records: Records, made: Explanation | None, *, target: str = "scratch", verdict: Verdict = Verdict.REJECT, **told: object
) -> str:
    judged = replace(judgement(verdict), target=target)
    with records.unit() as unit:
        uid = unit.inspections.add(inspection(verdict, judgement=judged, **({"view": "top"} | told)))
        if made is not None:
            unit.inspections.store_explanation(uid, made)
    return uid


def found(records: Records, uid: str, limit: int = 8) -> list[str]:
    with records.unit(read_only=True) as unit:
        return [row.uid for row in unit.neighbours.near_evidence(uid, limit=limit)]


def test_place_class_station_and_view_are_alike_and_the_part_is_earlier(records: Records) -> None:
    near = [add(records, marked(80, 60)), add(records, marked(95, 60)), add(records, marked(80, 71), verdict=Verdict.REVIEW)]
    add(records, marked(97, 60))  # 17 of 160 pixels away
    add(records, marked(80, 73))  # 13 of 120
    add(records, marked(80, 60), target="dent")
    add(records, marked(80, 60), station="press-4")
    add(records, marked(80, 60), view="side")
    add(records, marked(80, 60), view=None)
    add(records, marked(80, 60), verdict=Verdict.PASS)
    add(records, None)
    uid = add(records, marked(80, 60))
    add(records, marked(80, 60))  # later
    assert found(records, uid) == near[::-1]
    assert found(records, uid, limit=2) == near[:0:-1]
    assert found(records, near[0]) == []


def test_the_lines_map_and_the_strongest_region_say_where(records: Records) -> None:
    elsewhere = add(records, marked(20, 20))
    with records.unit() as unit:
        unit.inspections.store_explanation(elsewhere, marked(80, 60, method="cam"))  # made on demand, later
    two = replace(marked(20, 20), regions=(*marked(20, 20).regions, *marked(80, 60).regions))
    twice = add(records, two)
    there = add(records, marked(80, 60))
    assert found(records, there) == [twice], "any region of another part may lie there, once"
    assert found(records, add(records, two)) == [twice, elsewhere]


@pytest.mark.parametrize("made", [None, replace(explanation(), regions=())], ids=["no map", "no region"])
def test_a_part_without_evidence_has_none_like_it(records: Records, made: Explanation | None) -> None:
    add(records, marked(80, 60))
    assert found(records, add(records, made)) == []
    assert found(records, "no such uid") == []
