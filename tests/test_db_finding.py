"""Lists of inspections: what every filter finds, page by page, and the index that each walks."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from db_examples import NOON, explanation, inspection, raw, review
from kizu_db.records import Records, Unit
from kizu_db.settings import DatabaseSettings
from kizu_db.values import InspectionRow
from kizu_inspect.results import RegionCheck, Verdict
from new_records import make_records

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
LOTS = ("L7", "L8", None)
DECIDED = (("good", None), ("defective", "scratch"), ("defective", "dent"))
FLAGGED = [Verdict.REVIEW, Verdict.ERROR, Verdict.REJECT]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], DatabaseSettings]:
    """Makes empty records of one kind, for all tests of this module that only read them."""

    def make() -> DatabaseSettings:
        if request.param == "sqlite":
            settings = DatabaseSettings(url=f"sqlite:///{tmp_path_factory.mktemp('records') / 'kizu.db'}")
        else:
            settings = request.getfixturevalue("postgresql_of_module")()
        make_records(settings)
        return settings

    return make


@pytest.fixture(scope="module")
def many(new_database: Callable[[], DatabaseSettings]) -> Iterator[Records]:
    """Three hundred inspections of all kinds."""
    with Records.open(new_database()) as records:
        fill(records)
        yield records


@pytest.fixture(scope="module")
def filled(many: Records) -> list[InspectionRow]:
    """Those, newest first."""
    return newest_first(many)


@pytest.fixture(scope="module")
def handed_on(new_database: Callable[[], DatabaseSettings]) -> Iterator[Records]:
    """The same, some decided once more by Lee and some left to others by Kim."""
    with Records.open(new_database()) as records:
        fill(records)
        with records.unit() as unit:
            for number, row in enumerate(newest_first(records)):
                if row.disposition is not None and number % 3 == 0:  # a later review of another person counts
                    unit.reviews.add(review(row.uid, reviewer="Lee", disposition="defective", defect_class="dent"))
                if row.disposition is None and row.verdict is not Verdict.PASS and number % 2 == 0:
                    unit.queue.escalate(row.uid, by="Kim")
        yield records


def fill(records: Records) -> None:
    draw = random.Random(0)
    conflict = RegionCheck(0.5, 0.25, conflict=True)
    with records.unit() as unit:
        for number in range(300):
            part = draw.choice(["AB", "ab", "XY"]) + f"-{number // 2:03}-" + draw.choice(["é", "E", "7"])
            at = NOON + timedelta(minutes=draw.randrange(180))
            new = inspection(draw.choice(list(Verdict)), part=part, judged_at=at, station=draw.choice(["press-3", "press-4"]))
            new = replace(new, lot=LOTS[number // 2 % 3])
            if new.judgement.target is not None:
                new = replace(new, judgement=replace(new.judgement, target=draw.choice(["scratch", "dent"])))
            uid = unit.inspections.add(new)
            if draw.random() < 0.3:
                unit.inspections.store_explanation(uid, replace(explanation(), check=conflict))
            if draw.random() < 0.4:
                decided = draw.choice(list(DECIDED))
                unit.reviews.add(review(uid, disposition=decided[0], defect_class=decided[1]))


def newest_first(records: Records) -> list[InspectionRow]:
    with records.unit(read_only=True) as unit:
        rows = unit.inspections.latest(limit=1000)
    assert len(rows) == 300
    return rows


FILTERS: dict[str, tuple[dict[str, Any], Callable[[InspectionRow], bool]]] = {
    "none": ({}, lambda _: True),
    "verdict": ({"verdicts": [Verdict.ERROR]}, lambda row: row.verdict is Verdict.ERROR),
    "verdicts": ({"verdicts": {*FLAGGED}}, lambda row: row.verdict in FLAGGED),
    "station": ({"station": "press-4"}, lambda row: row.station == "press-4"),
    "both": (
        {"station": "press-4", "verdicts": [Verdict.PASS]}, lambda row: (row.station, row.verdict) == ("press-4", Verdict.PASS),
    ),
    "period": (
        {"since": NOON + timedelta(minutes=61), "until": NOON + timedelta(minutes=140)},
        lambda row: NOON + timedelta(minutes=61) <= row.judged_at < NOON + timedelta(minutes=140),
    ),
    "all at once": (
        {"since": NOON + timedelta(minutes=30), "verdicts": FLAGGED, "station": "press-3", "unreviewed": True},
        lambda row: row.judged_at >= NOON + timedelta(minutes=30)
        and row.verdict in FLAGGED and row.station == "press-3" and row.disposition is None,
    ),
    "unreviewed": ({"unreviewed": True}, lambda row: row.disposition is None),
    "conflicting": ({"conflicting": True}, lambda row: row.explanation_conflict),
    "conflicting of a verdict": (
        {"conflicting": True, "verdicts": [Verdict.REJECT], "unreviewed": True},
        lambda row: row.explanation_conflict and row.verdict is Verdict.REJECT and row.disposition is None,
    ),
    "suspected": ({"suspected": "dent"}, lambda row: row.verdict.flagged and row.target == "dent"),
    "suspected of a verdict": (
        {"suspected": "dent", "verdicts": [Verdict.REJECT, Verdict.PASS], "station": "press-3", "unreviewed": True},
        lambda row: row.verdict is Verdict.REJECT and row.target == "dent" and row.station == "press-3"
        and row.disposition is None,
    ),
    "decided": ({"disposition": "good"}, lambda row: row.disposition == "good"),
    "escapes": (
        {"disposition": "defective", "verdicts": [Verdict.PASS]},
        lambda row: row.disposition == "defective" and row.verdict is Verdict.PASS,
    ),
    "overkill of a class": (
        {"disposition": "good", "verdicts": [Verdict.REJECT], "suspected": "scratch"},
        lambda row: row.disposition == "good" and row.verdict is Verdict.REJECT and row.target == "scratch",
    ),
    "lot": ({"lot": "L8"}, lambda row: row.lot == "L8"),
    "lot and more": (
        {"lot": "L7", "named": "ab-", "suspected": "scratch", "disposition": "defective"},
        lambda row: row.lot == "L7" and row.part.casefold().startswith("ab-") and row.verdict.flagged
        and row.target == "scratch" and row.disposition == "defective",
    ),
    "part's beginning": ({"named": "aB-0"}, lambda row: row.part.casefold().startswith("ab-0")),
    "part's end": ({"named": "-É"}, lambda row: row.part.endswith("-é")),
    "a lot as it was scanned": ({"named": "L8"}, lambda row: row.lot == "L8"),
    "part and more": (
        {"named": "xy-", "verdicts": FLAGGED, "station": "press-3", "unreviewed": True, "conflicting": True},
        lambda row: row.part.startswith("XY-") and row.verdict in FLAGGED and row.station == "press-3"
        and row.disposition is None and row.explanation_conflict,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_finds_what_it_says_page_by_page(many: Records, filled: list[InspectionRow], name: str) -> None:
    filters, fits = FILTERS[name]
    expected = [row.uid for row in filled if fits(row)]
    assert expected
    found: list[str] = []
    with many.unit(read_only=True) as unit:
        while page := unit.inspections.latest(**filters, limit=7, before=found[-1] if found else None):
            assert len(page) == min(7, len(expected) - len(found))
            found += [row.uid for row in page]
    assert found == expected


@pytest.mark.parametrize("and_more", [{}, {"disposition": "defective"}, {"station": "press-3"}, {"named": "ab-"}])
def test_who_decided_last_and_what_was_left_to_others_is_found_page_by_page(
    handed_on: Records, and_more: dict[str, Any]
) -> None:
    with handed_on.unit(read_only=True) as unit:
        all_fitting = unit.inspections.latest(**and_more, limit=1000)
        standing = {row.uid: unit.reviews.of(row.uid)[-1] for row in all_fitting if row.disposition is not None}
        assert unit.reviews.standing([row.uid for row in all_fitting]) == {uid: one.id for uid, one in standing.items()}
        left = [row.uid for row in all_fitting if unit.queue.escalations(row.uid)]
        of_lee = [row.uid for row in all_fitting if row.uid in standing and standing[row.uid].reviewer == "Lee"]
        for asked, expected in (
            ({"reviewer": "Lee"}, of_lee),
            ({"escalated": True}, [] if "disposition" in and_more else left),
            ({"reviewer": "Lee", "escalated": True}, []),
            ({"reviewer": "nobody of that name"}, []),
        ):
            assert expected or asked.get("reviewer") != "Lee" or asked.get("escalated")
            found: list[str] = []
            while page := unit.inspections.latest(**and_more, **asked, limit=5, before=found[-1] if found else None):
                found += [row.uid for row in page]
            assert found == expected


def test_reports_and_exports_go_the_other_way(many: Records, filled: list[InspectionRow]) -> None:
    since = NOON + timedelta(minutes=50)
    oldest = [row for row in reversed(filled) if row.judged_at >= since]
    with many.unit(read_only=True) as unit:
        flagged = [record.row.uid for record in unit.inspections.flagged(since=since)]
        assert flagged == [row.uid for row in oldest if row.verdict in FLAGGED]
        found: list[InspectionRow] = []
        while page := unit.inspections.records_after(found[-1].number if found else None, since=since, limit=23):
            found += [record.row for record in page]
    assert [row.uid for row in found] == [row.uid for row in oldest]


def test_a_search_looks_at_a_bounded_number_of_parts(records: Records) -> None:
    with records.unit() as unit:
        for number in range(260):
            unit.inspections.add(inspection(part=f"Q-{number:03}"))
        assert len(unit.inspections.latest(named="q-", limit=500)) == 200
        assert [row.part for row in unit.inspections.latest(named="q-259")] == ["Q-259"]
        assert [row.part for row in unit.inspections.latest(named="259")] == ["Q-259"]


def benchmark_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plant(new_database: Callable[[], DatabaseSettings]) -> DatabaseSettings:
    """The benchmark's plant, small: enough that a database would not rather read a whole table."""
    settings = new_database()
    benchmark_module("records_fill").fill(settings, 30_000)
    return settings


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is asked of any database meanwhile."""
    asked: list[tuple[str, Any]] = []

    def hear(_c: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def plans(settings: DatabaseSettings, ask: Callable[[Unit], object]) -> str:
    """How the database goes about all that `ask` asks."""
    with Records.open(settings) as records, records.unit(read_only=True) as unit, statements() as asked:
        ask(unit)
    explain = "EXPLAIN QUERY PLAN " if settings.file is not None else "EXPLAIN "
    found = []
    with raw(settings) as connection:
        if settings.file is None:  # tables this small it would rather read whole, though an index serves
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                rows = connection.exec_driver_sql(explain + statement, parameters)
                found.append("\n".join(str(row[-1]) for row in rows))
    assert found
    return "\n\n".join(found)


def period(hours: float = 5) -> dict[str, Any]:
    since = END - timedelta(hours=20)
    return {"since": since, "until": since + timedelta(hours=hours, minutes=7, seconds=3)}


END = NOON.replace(year=2026, month=10, day=1, hour=0)
WALKS: dict[str, tuple[Callable[[Unit, str], object], str]] = {
    "deep": (lambda unit, uid: unit.inspections.latest(before=uid, limit=51), r"PRIMARY KEY \(rowid<|pk_inspection"),
    "verdict": (
        lambda unit, uid: unit.inspections.latest(verdicts=[Verdict.ERROR], before=uid, limit=51), "ix_inspection_verdict_id",
    ),
    "flagged": (
        lambda unit, uid: unit.inspections.latest(verdicts=FLAGGED, before=uid, limit=51), "ix_inspection_verdict_id",
    ),
    "station": (
        lambda unit, uid: unit.inspections.latest(station="press-2", before=uid, limit=51), "ix_inspection_station_verdict_id",
    ),
    "period": (
        lambda unit, _: unit.inspections.latest(**period(), limit=51), r"PRIMARY KEY \(rowid>\? AND rowid<|pk_inspection",
    ),
    "period and verdict": (
        lambda unit, _: unit.inspections.latest(**period(), verdicts=[Verdict.ERROR], limit=51), "ix_inspection_verdict_id",
    ),
    "conflicting": (lambda unit, uid: unit.inspections.latest(conflicting=True, before=uid), "ix_inspection_conflicting"),
    "waiting": (
        lambda unit, uid: unit.inspections.latest(unreviewed=True, verdicts=FLAGGED, before=uid, limit=2),
        "ix_inspection_waiting",
    ),
    "suspected": (
        lambda unit, uid: unit.inspections.latest(suspected="dent", before=uid, limit=51), "ix_inspection_suspected",
    ),
    "escapes": (
        lambda unit, _: unit.inspections.latest(disposition="defective", verdicts=[Verdict.PASS], limit=51),
        "ix_inspection_reviewed",
    ),
    "lot": (lambda unit, _: unit.inspections.latest(lot="L00003", limit=51), "ix_part_lot"),
    "lot as it was scanned": (lambda unit, _: unit.inspections.latest(named="L00003", limit=51), "ix_part_lot"),
    "reviewer": (
        lambda unit, uid: unit.inspections.latest(reviewer="Kim", before=uid, limit=51), "ix_review_inspection_id",
    ),
    "left to a second person": (
        lambda unit, uid: unit.inspections.latest(escalated=True, before=uid, limit=51),
        r"review_queue USING INTEGER PRIMARY KEY|pk_review_queue",
    ),
    "standing reviews": (lambda unit, uid: unit.reviews.standing([uid]), "ix_review_inspection_id"),
    "part's beginning": (lambda unit, _: unit.inspections.latest(named="p-000012"), "ix_part_serial_folded"),
    "part's end": (lambda unit, _: unit.inspections.latest(named="1234"), "ix_part_serial_reversed"),
    "part": (lambda unit, _: unit.inspections.latest(named="p-00001234"), "ix_inspection_part_id"),
    "record": (lambda unit, uid: unit.inspections.get(uid), "uq_inspection_uid|sqlite_autoindex_inspection"),
    "last good": (lambda unit, uid: unit.neighbours.last_good(uid), "ix_inspection_reviewed"),
    "of one part": (lambda unit, uid: unit.neighbours.of_part(uid), "ix_inspection_part_id"),
    "near evidence": (
        lambda unit, _: unit.neighbours.near_evidence(unit.inspections.latest(verdicts=[Verdict.REJECT], limit=1)[0].uid),
        "uq_heatmap|sqlite_autoindex_heatmap",
    ),
    "around in a lot": (lambda unit, uid: unit.neighbours.of_lot(uid), r"PRIMARY KEY \(rowid>\? AND rowid<|pk_inspection"),
    "pending": (lambda unit, _: unit.inspections.pending_explanations("press-1", 16), "ix_inspection_pending"),
    "flagged records": (lambda unit, _: unit.inspections.flagged(**period(), limit=50), "ix_inspection_verdict_id"),
    "recorded before": (
        lambda unit, _: unit.inspections.uid_of("folder incoming", "x"), "source_key|sqlite_autoindex_inspection",
    ),
    "counts": (lambda unit, _: unit.rollups.verdicts(**period()), "pk_rollup_hour|rollup_hour USING PRIMARY KEY"),
    "counts at the edge": (lambda unit, _: unit.rollups.verdicts(**period()), "ix_inspection_judged_at"),
    "by minute": (
        lambda unit, _: unit.rollups.series("minute", **period(1)), "pk_rollup_minute|rollup_minute USING PRIMARY KEY",
    ),
    "lots": (
        lambda unit, _: unit.analysis.lots(**period(), station="press-2", limit=500), r"PRIMARY KEY \(rowid=|pk_inspection",
    ),
    "places": (lambda unit, _: unit.analysis.places(**period(), limit=200), "uq_heatmap|sqlite_autoindex_heatmap"),
    "reviewed": (lambda unit, _: unit.analysis.reviewed(**period(), limit=400), "ix_inspection_reviewed"),
    "audit sample waiting": (lambda unit, _: unit.analysis.audit_waiting(**period()), r"PRIMARY KEY \(rowid=|pk_inspection"),
    "opinions": (lambda unit, _: unit.analysis.opinions(**period(), limit=100), "ix_review_inspection_id"),
    "trail": (lambda unit, _: unit.trail.latest(before=300), r"pk_audit_event|PRIMARY KEY \(rowid<"),
    "trail of one": (lambda unit, _: unit.trail.of("review", 7), "ix_audit_event_subject_subject_id"),
    "kept picture": (lambda unit, _: unit.retention.image_is_kept("ab" * 32), "ix_inspection_kept_image"),
}  # fmt: skip
LARGE = "(inspection|part|heatmap|region|review|audit_event|rollup_minute)"


@pytest.mark.parametrize("name", WALKS)
def test_each_list_walks_an_index(plant: DatabaseSettings, name: str) -> None:
    ask, index = WALKS[name]
    with Records.open(plant) as records, records.unit(read_only=True) as unit:
        uid = unit.inspections.latest(limit=1, **period(10))[0].uid
    found = plans(plant, lambda unit: ask(unit, uid))
    assert re.search(index, found), found
    whole = rf"SCAN {LARGE}$" if plant.file is not None else rf"Seq Scan on {LARGE}\b"
    assert not re.search(whole, found, re.MULTILINE), found


def plan_of_taking(plant: DatabaseSettings, asked: dict[str, Any]) -> str:
    """How the database finds the next part that waits."""
    with Records.open(plant) as records, statements() as heard:
        with records.claims() as claims:
            claim = claims.take("Mina", **asked)
        assert claim is not None
        (taken,) = [one for one in heard if one[0].startswith("UPDATE review_queue")]
        with records.claims() as claims:
            claims.release(claim.uid_inspection, by="Mina")
    explain = "EXPLAIN QUERY PLAN " if plant.file is not None else "EXPLAIN "
    with raw(plant) as connection:
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + taken[0], taken[1]))


def test_the_queue_is_walked_by_its_partial_indexes(plant: DatabaseSettings) -> None:
    for asked, index in (
        ({}, "ix_review_queue_free_certainty"),
        ({"passing_over": ["no-such-uid"]}, "ix_review_queue_free_certainty"),
        ({"station": "press-1"}, "ix_review_queue_free_station"),
        ({"defect_class": "dent"}, "ix_review_queue_free_defect_class"),
    ):
        found = plan_of_taking(plant, asked)
        assert index in found
        assert "ix_review_queue_claimed" in found
        assert not re.search(r"SCAN review_queue$|Seq Scan on review_queue", found, re.MULTILINE), found


def test_the_oldest_is_found_without_sorting_what_waits(plant: DatabaseSettings) -> None:
    found = plan_of_taking(plant, {"order": "oldest"})
    assert not re.search(r"TEMP B-TREE|\bSort\b|Seq Scan", found), found


def test_the_class_that_was_decided_can_be_asked_for(many: Records, filled: list[InspectionRow]) -> None:
    with many.unit(read_only=True) as unit:
        found = unit.inspections.latest(suspected="scratch", disposition="defective", decided_class="dent", limit=500)
        for row in found:
            assert (row.target, row.disposition) == ("scratch", "defective")
        alike = [row for row in filled if row.verdict.flagged and (row.target, row.disposition) == ("scratch", "defective")]
        decided = [unit.reviews.of(row.uid)[-1].defect_class for row in alike]
    assert 0 < len(found) == decided.count("dent") < len(decided)
