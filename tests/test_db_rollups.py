"""Counts by time: the same as counting the rows, written with them, rebuilt from them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from threading import Barrier, Thread

import pytest
from sqlalchemy import select, text

from db_examples import NOON, inspection, judgement, raw, review
from kizu_db.records import Records
from kizu_db.repositories.periods import spans_of, start_of
from kizu_db.settings import DatabaseSettings
from kizu_db.tables import HourTable, MinuteTable, ReviewedTable
from kizu_db.values import AuditStratum
from kizu_inspect.errors import RecordError
from kizu_inspect.results import Verdict

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def moments(count: int, seed: int = 0) -> list[datetime]:
    """Moments within three hours, many on the edges of minutes and hours."""
    draw = random.Random(seed)
    steps = [timedelta(0), timedelta(microseconds=1), MINUTE, HOUR, MINUTE - timedelta(microseconds=1)]
    return [
        NOON + draw.randrange(3) * HOUR + draw.randrange(3) * MINUTE * 29 + draw.choice(steps) * draw.randrange(2)
        for _ in range(count)
    ]


def test_spans_are_the_period_without_gap_or_overlap() -> None:
    draw = random.Random(1)
    ends = [*moments(60), *(NOON + timedelta(seconds=draw.uniform(0, 20_000)) for _ in range(60))]
    for _ in range(400):
        since, until = sorted(draw.sample(ends, 2))
        spans = list(spans_of(since, until))[::-1]
        if since == until:
            assert spans == []
            continue
        assert spans[0][1] == since
        assert spans[-1][2] == until
        assert all(first[2] == second[1] for first, second in pairwise(spans))
        for grain, start, end in spans:
            assert start is not None
            assert end is not None
            assert start < end
            if grain != "single":
                assert (start_of(start, grain), start_of(end, grain)) == (start, end)
        if until - since >= 2 * HOUR:
            assert "hour" in [grain for grain, *_ in spans], "long periods must not be counted by minutes"


def test_open_and_empty_periods() -> None:
    assert list(spans_of(None, None)) == [("hour", None, None)]
    assert list(spans_of(NOON, None)) == [("hour", NOON, None)]
    assert list(spans_of(None, NOON + MINUTE)) == [("minute", NOON, NOON + MINUTE), ("hour", None, NOON)]
    assert list(spans_of(NOON, NOON)) == list(spans_of(NOON + HOUR, NOON)) == []


def test_counts_are_those_of_the_rows(records: Records, database: DatabaseSettings) -> None:
    draw = random.Random(2)
    verdicts = list(Verdict)
    with records.unit() as unit:
        for moment in moments(150):
            verdict, station = draw.choice(verdicts), draw.choice(["press-3", "press-4"])
            unit.inspections.add(inspection(verdict, judged_at=moment, station=station))
    edges = [None, *moments(12, seed=3), *(moment + timedelta(seconds=7) for moment in moments(6, seed=4))]
    with records.unit(read_only=True) as unit, raw(database) as connection:
        sqlite = connection.dialect.name == "sqlite"
        for since in edges:
            for until in edges:
                for station in (None, "press-4"):
                    found = unit.rollups.verdicts(since=since, until=until, station=station)
                    told = [("judged_at >= :since", since), ("judged_at < :until", until), ("station = :station", station)]
                    where = " AND ".join(["1 = 1", *(clause for clause, value in told if value is not None)])
                    values = {"since": since, "until": until, "station": station}
                    if sqlite:
                        values |= {n: v and v.replace(tzinfo=None).isoformat(" ", "microseconds") for n, v in
                                   (("since", since), ("until", until))}  # fmt: skip
                    rows = connection.execute(
                        text(f"SELECT verdict, count(*) FROM inspection WHERE {where} GROUP BY verdict"),
                        {name: value for name, value in values.items() if value is not None},
                    )
                    assert found == dict.fromkeys(Verdict, 0) | {Verdict(word): n for word, n in rows}, (since, until)


def test_what_each_station_has_is_what_it_has_alone(records: Records) -> None:
    draw = random.Random(5)
    stations = ["press-3", "press-4", "press-5"]
    with records.unit() as unit:
        for moment in moments(60, seed=6):
            unit.inspections.add(inspection(draw.choice(list(Verdict)), judged_at=moment, station=draw.choice(stations[:2])))
        unit.recipes.register("press-5", {}, None)
        assert unit.stations.names() == stations
        for since, until in ((None, None), (NOON + 7 * MINUTE, NOON + 2 * HOUR), (NOON, NOON + timedelta(seconds=1))):
            alone = {name: unit.rollups.verdicts(since=since, until=until, station=name) for name in stations}
            found = unit.rollups.by_station(since=since, until=until)
            assert found == {name: counts for name, counts in alone.items() if any(counts.values())}


def contents(settings: DatabaseSettings) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the rollups."""
    with raw(settings) as connection:
        return {
            table.__tablename__: sorted(tuple(row) for row in connection.execute(select(table.__table__)))
            for table in (MinuteTable, HourTable, ReviewedTable)
        }


def test_rebuilt_from_the_rows_they_are_the_same(records: Records, database: DatabaseSettings) -> None:
    draw = random.Random(5)
    uids = []
    for moment in moments(120, seed=6):
        with records.unit() as unit:
            verdict = draw.choice(list(Verdict))
            passed = verdict is Verdict.PASS
            new = inspection(
                verdict, judged_at=moment, station=draw.choice(["press-3", "press-4"]),
                audit=passed and draw.random() < 0.5, audit_probability=draw.choice([0.25, 1 / 3]) if passed else None,
            )  # fmt: skip
            uids.append(unit.inspections.add(new))
    for uid in draw.sample(uids, 80):
        with records.unit() as unit:
            first = unit.reviews.add(review(uid))
            if draw.random() < 0.3:
                unit.reviews.add(review(uid, disposition="good", defect_class=None, supersedes=first.id))
    written = contents(database)
    assert sum(len(rows) for rows in written.values()) > 150
    with records.unit() as unit:
        unit.rollups.rebuild()
    assert contents(database) == written
    with raw(database) as connection:
        for table in written:
            connection.execute(text(f"UPDATE {table} SET inspections = inspections + 1"))
    with records.unit() as unit:
        unit.rollups.rebuild()
    assert contents(database) == written


def test_programs_that_count_the_same_minute_lose_nothing(records: Records) -> None:
    barrier = Barrier(4)
    failed: list[Exception] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            for step in range(15):
                with records.unit() as unit:
                    for verdict in (Verdict.PASS, Verdict.REJECT) if (number + step) % 2 else (Verdict.REJECT, Verdict.PASS):
                        unit.inspections.add(inspection(verdict, judged_at=NOON))
        except Exception as exc:  # noqa: BLE001 - handed to the test's own thread
            failed.append(exc)

    threads = [Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with records.unit() as unit:
        counted = unit.rollups.verdicts(since=NOON, until=NOON + MINUTE)
    assert (counted[Verdict.PASS], counted[Verdict.REJECT]) == (60, 60)


def test_what_a_unit_takes_back_is_not_counted(records: Records) -> None:
    def count_and_fail() -> None:
        with records.unit() as unit:
            unit.inspections.add(inspection(judged_at=NOON))
            assert unit.rollups.verdicts()[Verdict.REJECT] == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        count_and_fail()
    with records.unit() as unit:
        assert sum(unit.rollups.verdicts().values()) == 0


def test_defects_by_class_and_verdicts_by_hour(records: Records) -> None:
    with records.unit() as unit:
        for minute, target in ((0, "dent"), (1, "scratch"), (2, "dent"), (61, "dent")):
            judged = judgement()
            unit.inspections.add(
                inspection(judged_at=NOON + minute * MINUTE, judgement=judged.__class__(**vars(judged) | {"target": target}))
            )
        unit.inspections.add(inspection(Verdict.PASS, judged_at=NOON))
        rollups = unit.rollups
        assert rollups.defect_classes() == {"dent": 3, "scratch": 1}
        assert rollups.defect_classes(until=NOON + MINUTE) == {"dent": 1}
        assert rollups.defect_classes(verdict=Verdict.REVIEW) == {}
        by_hour = rollups.series("hour", since=NOON, until=NOON + 3 * HOUR)
        assert [(start, found[Verdict.REJECT], found[Verdict.PASS]) for start, found in by_hour] == [
            (NOON, 3, 1), (NOON + HOUR, 1, 0),
        ]  # fmt: skip
        assert [start for start, _ in rollups.series("minute", since=NOON, until=NOON + HOUR)] == [
            NOON, NOON + MINUTE, NOON + 2 * MINUTE,
        ]  # fmt: skip


def test_reviews_tell_of_the_model_and_of_what_passed(records: Records) -> None:
    with records.unit() as unit:
        drawn = [
            unit.inspections.add(inspection(Verdict.PASS, judged_at=NOON, audit=True, audit_probability=0.5)) for _ in range(4)
        ]
        for probability in (0.5, 0.5, 0.1, None):
            unit.inspections.add(inspection(Verdict.PASS, judged_at=NOON, audit_probability=probability))
        rejected = unit.inspections.add(inspection(judged_at=NOON))
        first = unit.reviews.add(review(drawn[0]))
        unit.reviews.add(review(drawn[1], disposition="good", defect_class=None))
        unit.reviews.add(review(rejected))
        rollups = unit.rollups
        assert rollups.audit_strata() == [
            AuditStratum(probability=0.1, passes=1, reviewed=0, escapes=0),
            AuditStratum(probability=0.5, passes=6, reviewed=2, escapes=1),
        ]
        assert rollups.reviewed() == {
            (Verdict.PASS, "defective"): 1, (Verdict.PASS, "good"): 1, (Verdict.REJECT, "defective"): 1,
        }  # fmt: skip
        unit.reviews.add(review(drawn[0], disposition="good", defect_class=None, supersedes=first.id))
        assert rollups.reviewed() == {(Verdict.PASS, "good"): 2, (Verdict.REJECT, "defective"): 1}
        kolkata = timezone(timedelta(hours=5, minutes=30))
        day = datetime(2026, 3, 1, tzinfo=kolkata)
        assert rollups.reviewed(since=day, until=day + timedelta(days=1)) == rollups.reviewed()
        assert rollups.reviewed(since=day + timedelta(days=1)) == {}


def test_a_period_that_means_nothing_is_refused(records: Records) -> None:
    naive = datetime(2026, 3, 1, 12, 0)  # noqa: DTZ001 - a time without a zone is the case
    with records.unit(read_only=True) as unit:
        for ask in (
            lambda: unit.rollups.verdicts(since=naive),
            lambda: unit.inspections.latest(until=naive),
            lambda: unit.inspections.flagged(since=naive),
            lambda: unit.rollups.reviewed(since=naive),
            lambda: unit.rollups.series("hour", since=naive, until=NOON),
        ):
            with pytest.raises(RecordError, match="needs a time zone: found 2026-03-01T12:00:00; expected an aware time"):
                ask()
        with pytest.raises(RecordError, match="counted by quarters of an hour: found 2026-03-01T12:07"):
            unit.rollups.reviewed(since=datetime(2026, 3, 1, 12, 7, tzinfo=UTC))


def test_an_hour_that_the_clock_went_through_twice_is_found_whole(records: Records) -> None:
    with records.unit() as unit:
        uids = []
        for number, minute in enumerate((0, 20, 59, 0, 20, 59)):  # after the third the clock is set back by an hour
            uids.append(unit.inspections.add(inspection(judged_at=NOON + minute * MINUTE + number * timedelta(seconds=1))))
        later = unit.inspections.add(inspection(judged_at=NOON + HOUR))
        latest = unit.inspections.latest
        assert [row.uid for row in latest()] == [later, *reversed(uids)]
        assert [row.uid for row in latest(since=NOON + 19 * MINUTE, until=NOON + 30 * MINUTE)] == [uids[4], uids[1]]
        assert [row.uid for row in latest(until=NOON + 10 * MINUTE)] == [uids[3], uids[0]]
        assert [row.uid for row in latest(since=NOON + 59 * MINUTE)] == [later, uids[5], uids[2]]
