"""What an inspection is looked at beside, on both databases: the last good part like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from db_examples import inspection, judgement, review
from kizu_db.records import Records
from kizu_inspect.results import Verdict


def add(records: Records, verdict: Verdict = Verdict.PASS, *, said: str | None = None, **changes: Any) -> str:
    """An inspection with a kept picture, and what a person said of it."""
    with records.unit() as unit:
        uid = unit.inspections.add(inspection(verdict, image_sha256="cd" * 32, **changes))
        if said is not None:
            named = None if said == "good" else "scratch"
            unit.reviews.add(review(uid, disposition=said, defect_class=named))
    return uid


def last_good(records: Records, uid: str) -> str | None:
    """The part, by its uid."""
    with records.unit(read_only=True) as unit:
        found = unit.inspections.last_good(uid)
    return None if found is None else found.uid


def test_a_reviewed_good_part_goes_before_a_newer_one_that_nobody_looked_at(records: Records) -> None:
    add(records, said="good")
    reviewed = add(records, said="good")
    add(records)
    add(records, said="defective")
    rejected = add(records, Verdict.REJECT)
    assert last_good(records, rejected) == reviewed


def test_a_passed_part_will_do_and_never_one_that_people_called_defective(records: Records) -> None:
    add(records)
    passed = add(records)
    add(records, said="defective")
    add(records, Verdict.REJECT, said="good")  # the line flagged it: people may have let it go with a mark
    rejected = add(records, Verdict.REJECT)
    assert last_good(records, rejected) == passed


def test_it_is_another_part_than_the_one_looked_at(records: Records) -> None:
    only = add(records, said="good")
    assert last_good(records, only) is None
    add(records)
    assert last_good(records, only) is not None


small = replace(judgement(Verdict.PASS), width_px=80)


@pytest.mark.parametrize(
    "other",
    [{"station": "press-4"}, {"view": "top"}, {"judgement": small}, {"image_kept": False}],
    ids=lambda told: next(iter(told)),
)
def test_it_is_of_the_same_station_view_and_size_and_its_picture_is_kept(records: Records, other: dict[str, Any]) -> None:
    add(records, said="good", **other)
    add(records, **other)
    rejected = add(records, Verdict.REJECT, view="side" if "view" in other else None)
    assert last_good(records, rejected) is None


def test_of_a_part_with_a_view_it_is_the_same_view(records: Records) -> None:
    top = add(records, view="top")
    add(records, view="side")
    add(records)
    assert last_good(records, add(records, Verdict.REJECT, view="top")) == top


def test_an_unknown_inspection_and_one_that_was_not_measured_have_none(records: Records) -> None:
    add(records)
    assert last_good(records, "01890000-0000-7000-8000-000000000000") is None
    assert last_good(records, add(records, Verdict.ERROR)) is None
