"""What no row may hold is said at the door, in the same words for both databases; all else is taken, and comes back."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from db_examples import NOON, inspection, judgement
from kizu_db.recordable import KEY_BYTES, with_safe_names, without_figures
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import NewInspection
from kizu_inspect.errors import RecordError, RecordRefused
from kizu_inspect.results import Verdict
from refusing_world import refusing

NAN, HUGE = float("nan"), 10**400


def letters(count: int) -> str:
    """Three bytes each, and nothing that a database could make shorter."""
    draw = random.Random(count)
    return "".join(chr(draw.randrange(0x4E00, 0x9FFF)) for _ in range(count))


def at(year: int, *args: int, hours: int = 0) -> datetime:
    return datetime(year, *args, tzinfo=timezone(timedelta(hours=hours)))


def judged(**changes: Any) -> NewInspection:
    return inspection(judgement=replace(judgement(), **changes))


REFUSED = {
    "part": inspection(part=letters(900)),
    "a long run of one letter": inspection(part="x" * 10_000),
    "part and lot": inspection(part=letters(500), lot=letters(500)),
    "part in lower case": inspection(part="\u0390" * 1000),
    "view": inspection(view=letters(900)),
    "station": inspection(station=letters(900)),
    "source": inspection(source=letters(900)),
    "source_key": inspection(source_key=letters(900)),
    "target": judged(target=letters(900)),
    "captured in year 1": inspection(captured_at=at(1, 1, 1)),
    "captured in year 1, far in the east": inspection(captured_at=at(1, 1, 1, hours=14)),
    "captured in year 9999": inspection(captured_at=at(9999, 12, 31, 23, hours=-12)),
    "captured without a zone": inspection(captured_at=NOON.replace(tzinfo=None)),
    "judged in year 9999": inspection(judged_at=at(9999, 12, 31)),
    "score": judged(score=NAN),
    "novelty": judged(novelty=float("inf")),
    "probability": judged(probabilities={"good": NAN}),
    "an int that is too large": judged(probabilities={"good": HUGE}),
    "timing": inspection(timings_ms={"judge": NAN}),
    "measured": inspection(measured={"level": NAN}),
    "width": judged(width_px=2**31),
    "height": judged(height_px=10**5000),
    "a negative width": judged(width_px=-1),
    "chance": inspection(audit_probability=1.5),
    "chance of nothing": inspection(audit=True, audit_probability=NAN),
    "picture": inspection(image_sha256="ab" * 33),
    "picture's name": inspection(image_sha256="\0"),
    "half a character": inspection(image_sha256="\ud800"),
    "model": inspection(model_hash="x" * 64),
}
TAKEN = {
    "NUL": inspection(part="a\0b", lot="L\0", view="top\0", image_name="a\0.png", device="\0", error="\0", station="press\0"),
    "half characters": inspection(part="a\udcff", lot="\udcff", view="\ud800", image_name="\ud800", source_key="\ud800|1"),
    "odd names of classes": judged(probabilities={"a\0": 0.5, "\ud800": 0.5}, reason="\0\ud800", target="\0", predicted="\0"),
    "the longest key": inspection(part=letters(KEY_BYTES // 3)),
    "the longest part and lot": inspection(part=letters(433), lot=letters(433)),
    "a long name and reason": inspection(image_name="x" * 1_000_000, judgement=replace(judgement(), reason="y" * 1_000_000)),
    "captured in year 2": inspection(captured_at=at(2, 1, 1)),
    "captured in year 9998": inspection(captured_at=at(9998, 12, 31)),
    "the largest picture": judged(width_px=2**31 - 1, height_px=0),
    "large and small figures": judged(score=1.7e308, novelty=5e-324, reference_correlation=-1.7e308),
}  # fmt: skip


def test_what_no_row_may_hold_is_said_before_a_database_is_asked(records: Records) -> None:
    for name, new in REFUSED.items():
        for call in ("expect", "add"):
            with pytest.raises(RecordRefused, match=r": found .*; expected ") as refused, records.unit() as unit:
                unit.inspections.expect([new]) if call == "expect" else unit.inspections.add(new)
            assert refused.value.__cause__ is None, f"{name}: the database's words"
            assert len(str(refused.value)) < 300, name


def test_all_else_is_taken_and_comes_back(records: Records) -> None:
    for name, new in TAKEN.items():
        with records.unit() as unit:
            unit.inspections.expect([new])
            uid = unit.inspections.add(new)
            unit.quarantine.add(uid, new.judgement.reason)
            unit.outbox.add(new.station, "inspection", {"part": new.part, "reason": new.judgement.reason})
        with records.unit(read_only=True) as unit:
            record = unit.inspections.get(uid)
            assert record is not None
            assert record.row.captured_at == new.captured_at, name
            assert unit.inspections.latest(limit=1)[0].uid == uid, name


def test_what_is_left_of_any_row_is_taken(records: Records) -> None:
    """But for what it is known by, which the line itself makes, and the time that the machine has."""
    for number, (name, new) in enumerate([*REFUSED.items(), *TAKEN.items()]):
        known = replace(new, source="folder:x", source_key=f"a.png|{number}", station="press-3", judged_at=NOON)
        with records.unit() as unit:
            uid = unit.inspections.add(with_safe_names(known, "refused: \0\ud800", part="unnamed-1"))
        with records.unit(read_only=True) as unit:
            record = unit.inspections.get(uid)
        assert record is not None, name
        assert (record.row.verdict, record.row.part, record.row.part_generated) == (Verdict.ERROR, "unnamed-1", True), name
        assert record.error == record.row.reason == "refused: \ufffd\\ud800", name


def test_without_its_figures_a_row_keeps_its_names(records: Records) -> None:
    new = inspection(measured={"level": NAN}, lot="L1", view="top", image_sha256="ab" * 32, audit=True, audit_probability=0.5)
    with records.unit() as unit:
        uid = unit.inspections.add(without_figures(new, "refused"))
    with records.unit(read_only=True) as unit:
        record = unit.inspections.get(uid)
    assert record is not None
    row = record.row
    assert (row.part, row.lot, row.view, row.verdict) == (new.part, "L1", "top", Verdict.ERROR)
    assert (row.image_sha256, row.score, row.audit, dict(record.probabilities)) == ("ab" * 32, None, False, {})
    assert record.measured is None


def test_a_rule_in_the_database_is_of_the_row_and_a_missing_table_is_not(database: DatabaseSettings, records: Records) -> None:
    with refusing(database, "new.image_name = 'P1.png'"):
        with pytest.raises(RecordRefused, match="the plant does not want it"), records.unit() as unit:
            unit.inspections.add(inspection(image_name="P1.png"))
        with records.unit() as unit:
            unit.inspections.add(inspection(image_name="P2.png"))
    with pytest.raises(RecordError) as missing, records.unit() as unit:
        unit.inspections._session.connection().exec_driver_sql("INSERT INTO nowhere VALUES (1)")
    assert not isinstance(missing.value, RecordRefused)


@pytest.mark.parametrize("changes", [{"model_hash": "cd" * 32}, {"recipe_id": 99}], ids=["model", "recipe"])
def test_what_is_not_in_the_records_is_of_the_row(changes: dict[str, Any], records: Records) -> None:
    with pytest.raises(RecordRefused), records.unit() as unit:
        unit.inspections.add(inspection(**changes))
