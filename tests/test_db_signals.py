"""What the line's control was told stands beside the inspection; sequence numbers are given once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from db_examples import inspection, raw
from kizu_db.migrations import downgrade, upgrade
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import NewSignal, Signal
from kizu_inspect.errors import RecordError

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
IN_TIME = {"sent": "OK", "sent_at": AT, "acknowledged_at": AT, "late_ms": None, "note": ""}
GIVEN_UP = {"sent": "none", "sent_at": None, "acknowledged_at": None, "late_ms": 12.5, "note": "late"}


def signal_of(records: Records, uid: str) -> Signal | None:
    with records.unit(read_only=True) as unit:
        record = unit.inspections.get(uid)
    assert record is not None
    return record.signal


def test_a_signal_stands_beside_its_inspection(records: Records) -> None:
    with records.unit() as unit:
        first, second, third = (unit.inspections.add(inspection()) for _ in range(3))
        told = [NewSignal(uid=first, **IN_TIME), NewSignal(uid=second, **GIVEN_UP), NewSignal(uid="gone", **IN_TIME)]  # type: ignore[arg-type]
        unit.signals.add(told)
    assert signal_of(records, first) == Signal(**IN_TIME)  # type: ignore[arg-type]
    assert signal_of(records, second) == Signal(**GIVEN_UP)  # type: ignore[arg-type]
    assert signal_of(records, third) is None
    with records.unit() as unit:
        unit.signals.add([replace(told[0], note="told twice")])
        unit.signals.add([replace(told[2], uid="unknown")])
    signal = signal_of(records, first)
    assert signal is not None
    assert signal.note == "told twice"


def test_a_signal_that_says_nothing_clear_is_refused(records: Records) -> None:
    with records.unit() as unit:
        uid = unit.inspections.add(inspection())
    for wrong in ({**IN_TIME, "sent": "ok"}, {**IN_TIME, "sent_at": None}, {**GIVEN_UP, "sent_at": AT}):
        with pytest.raises(RecordError, match="signal"), records.unit() as unit:
            unit.signals.add([NewSignal(uid=uid, **wrong)])  # type: ignore[arg-type]
    assert signal_of(records, uid) is None


def test_sequence_numbers_are_given_once(records: Records) -> None:
    with records.unit() as unit:
        assert unit.signals.reserve("press-3", 100) == 100
        assert unit.signals.reserve("press-4", 100) == 100
    with records.unit() as unit:
        assert unit.signals.reserve("press-3", 5) == 105


def test_what_was_measured_comes_back(records: Records) -> None:
    with records.unit() as unit:
        uid = unit.inspections.add(replace(inspection(), measured={"mean": 0.5, "sharpness": 3}))
        without = unit.inspections.add(inspection())
        with pytest.raises(RecordError, match="sharpness that is no number"):
            unit.inspections.add(replace(inspection(), measured={"sharpness": float("nan")}))
    with records.unit(read_only=True) as unit:
        found, other = unit.inspections.get(uid), unit.inspections.get(without)
    assert found is not None
    assert other is not None
    assert (found.measured, other.measured) == ({"mean": 0.5, "sharpness": 3.0}, None)


def test_inspections_outlive_a_step_back_from_signals(database: DatabaseSettings) -> None:
    upgrade(database, "0003")
    upgrade(database)
    with Records.open(database) as records, records.unit() as unit:
        uid = unit.inspections.add(replace(inspection(), measured={"mean": 0.5}))
        unit.signals.add([NewSignal(uid=uid, **IN_TIME)])  # type: ignore[arg-type]
    downgrade(database, "0003")
    with raw(database) as connection:
        assert connection.scalar(text("SELECT uid FROM inspection")) == uid
    upgrade(database)
    with Records.open(database) as records, records.unit(read_only=True) as unit:
        record = unit.inspections.get(uid)
    assert record is not None
    assert (record.measured, record.signal) == (None, None)
