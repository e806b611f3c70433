"""Events, quarantine and reports: what is written beside an inspection."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from db_examples import inspection
from kizu_db.records import Records
from kizu_inspect.errors import RecordError
from kizu_inspect.results import Verdict


def test_each_stations_events_are_numbered_without_a_gap(records: Records) -> None:
    def add_and_fail() -> None:
        with records.unit() as unit:
            unit.outbox.add("press-3", "inspected", {"n": "lost"})
            raise ZeroDivisionError

    with records.unit() as unit:
        first = unit.outbox.add("press-3", "inspected", {"n": 1})
        unit.outbox.add("press-4", "inspected", {"n": 2})
    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    with records.unit() as unit:
        second = unit.outbox.add("press-3", "inspected", {"n": 3})
        waiting = unit.outbox.waiting("press-3")
        assert [(one.event_id, one.seq, one.payload) for one in waiting] == [(first, 1, {"n": 1}), (second, 2, {"n": 3})]
        assert [one.seq for one in unit.outbox.waiting("press-3", limit=1)] == [1]
        assert unit.outbox.backlog() == {"press-3": 2, "press-4": 1}
        unit.outbox.tried([first], delivered=False)
        assert [one.attempts for one in unit.outbox.waiting("press-3")] == [1, 0]
        unit.outbox.tried([first], delivered=True)
        assert [one.event_id for one in unit.outbox.waiting("press-3")] == [second]
        assert unit.outbox.backlog() == {"press-3": 1, "press-4": 1}
        third = unit.outbox.waiting("press-3")[0].created_at
        assert unit.outbox.waiting_since() == {"press-3": third, "press-4": unit.outbox.waiting("press-4")[0].created_at}
        with pytest.raises(RecordError, match="JSON cannot hold"):
            unit.outbox.add("press-3", "inspected", {"score": float("nan")})


def test_events_tried_too_often_are_counted_apart_and_only_delivered_ones_are_forgotten(records: Records) -> None:
    with records.unit() as unit:
        ids = [unit.outbox.add("press-3", "inspection", {"n": n}) for n in range(6)]
        unit.outbox.add("press-4", "inspection", {})
        for _ in range(2):
            unit.outbox.tried(ids[:1], delivered=False)
        unit.outbox.tried(ids[1:4], delivered=True)
        assert [one.event_id for one in unit.outbox.waiting("press-3", max_attempts=2)] == ids[4:]
        assert [one.event_id for one in unit.outbox.waiting("press-3", max_attempts=3)] == [ids[0], *ids[4:]]
        assert unit.outbox.counts("press-3", max_attempts=2) == (2, 1)
        assert unit.outbox.counts("press-3", max_attempts=3) == (3, 0)
        assert unit.outbox.counts("nowhere", max_attempts=3) == (0, 0)
        now = datetime.now(UTC)
        assert unit.outbox.forget("press-3", before=now - timedelta(days=1), limit=2) == 0
        later = now + timedelta(days=1)
        assert [unit.outbox.forget("press-3", before=later, limit=2) for _ in range(3)] == [2, 1, 0]
        assert unit.outbox.backlog() == {"press-3": 3, "press-4": 1}
        assert unit.outbox.add("press-3", "inspection", {}) not in ids
        assert unit.outbox.waiting("press-3")[-1].seq == 7


def test_a_file_in_quarantine_is_told_beside_its_inspection(records: Records) -> None:
    with records.unit() as unit:
        for name in ("a.png", "b.png"):
            unit.quarantine.add(unit.inspections.add(inspection(Verdict.ERROR, image_name=name)), f"{name} is no picture")
        assert [(file.name, file.error) for file in unit.quarantine.latest()] == [
            ("b.png", "b.png is no picture"), ("a.png", "a.png is no picture"),
        ]  # fmt: skip
        with pytest.raises(RecordError, match="no such inspection"):
            unit.quarantine.add("nobody", "why")


def test_a_file_is_released_once_by_somebody_for_a_reason(records: Records) -> None:
    with records.unit() as unit:
        uid, other = (unit.inspections.add(inspection(Verdict.ERROR, image_name=name)) for name in ("a.png", "b.png"))
        unit.quarantine.add(uid, "no picture")
        with pytest.raises(RecordError, match="needs a name and a reason"):
            unit.quarantine.release(uid, by="Kim", reason="", file="released/a.png")
        unit.quarantine.release(uid, by="Kim", reason="lens cleaned", file="released/a.png")
        for nothing in (uid, other):
            with pytest.raises(RecordError, match="nothing to release"):
                unit.quarantine.release(nothing, by="Kim", reason="again", file="released/a.png")
    with records.unit(read_only=True) as unit:
        (file,) = unit.quarantine.named("a.png")
        assert (file.released_by, unit.quarantine.get(uid)) == ("Kim", file)
        assert file.released_at is not None
        assert unit.quarantine.latest(released=False) == []
        assert unit.quarantine.latest(station="elsewhere") == []
        assert unit.quarantine.get(other) is None
        assert [(event.action, event.after) for event in unit.trail.of("inspection", uid)] == [
            ("quarantine.release", {"released_as": "released/a.png"})
        ]


def test_a_report_is_known_by_its_hash(records: Records) -> None:
    with records.unit() as unit:
        made = unit.reports.add("pdf", b"%PDF", {"station": "press-3"}, by="Mina", software="Kizu 1")
        later = unit.reports.add("csv", b"a,b", {}, by="Mina", software="Kizu 1")
        assert unit.reports.latest() == [later, made]
        assert unit.reports.latest(limit=1) == [later]
        assert (made.sha256, made.size_bytes) == (hashlib.sha256(b"%PDF").hexdigest(), 4)
        (event,) = unit.trail.of("report", made.uid)
    assert event.after == {"kind": "pdf", "content": {"station": "press-3"}, "sha256": made.sha256}
