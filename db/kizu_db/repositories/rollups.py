"""Counts by time: written with what they count, read instead of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Integer, Text, case, delete, func, insert, literal, select, text, type_coerce
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session

from kizu_db.repositories.common import PLAIN, insert_into
from kizu_db.repositories.periods import spans_of, start_of
from kizu_db.tables import HourTable, InspectionTable, MinuteTable, ReviewedTable, UtcDateTime
from kizu_db.values import AuditStratum, Disposition
from kizu_inspect.errors import RecordError
from kizu_inspect.results import Verdict

__all__ = ["Counted", "Rollups"]

_KEY = ("start", "station", "verdict", "defect_class", "audit_probability")
_REVIEWED_KEY = ("start", "station", "verdict", "audit", "audit_probability", "disposition")
_GRAINS: tuple[Literal["minute", "hour"], ...] = ("minute", "hour")
_TABLES: Mapping[str, type[MinuteTable] | type[HourTable]] = {"minute": MinuteTable, "hour": HourTable}
_COUNTED: Mapping[str, ColumnElement[Any]] = {
    "station": InspectionTable.station.expression,
    "verdict": InspectionTable.verdict.expression,
    "defect_class": case(
        (InspectionTable.verdict.in_([Verdict.REVIEW, Verdict.REJECT]), func.coalesce(InspectionTable.target, "")), else_=""
    ),
    "audit_probability": func.coalesce(InspectionTable.audit_probability, 0.0),
}
"""What the rollups' columns are, of an inspection itself."""


@dataclass(frozen=True)
class Counted:
    """What the rollups tell inspections apart by."""

    judged_at: datetime
    station: str
    verdict: Verdict
    target: str | None
    audit: bool
    chance: float | None
    """With which it could be drawn into the audit sample; None where no draw was made."""

    @classmethod
    def of(cls, row: InspectionTable) -> Counted:
        """Of a recorded inspection."""
        return cls(row.judged_at, row.station, row.verdict, row.target, row.audit, row.audit_probability)

    @property
    def defect_class(self) -> str:
        """What REVIEW and REJECT suspect; else empty."""
        return (self.target or "") if self.verdict.flagged else ""

    @property
    def audit_probability(self) -> float:
        """The chance, 0 where no draw was made."""
        return self.chance or 0.0


class Rollups:
    """How many inspections there are of each kind, by minute and hour of judging (and reviewed ones by quarter of an hour).

    What a unit changes is kept until it ends, or until it reads them, and then written in one order: two programs that
    count the same minute wait for each other, never in a circle.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._new: dict[str, dict[tuple[object, ...], list[int]]] = {grain: {} for grain in _GRAINS}
        self._reviewed: dict[tuple[object, ...], int] = {}

    def count(self, number: int, counted: Counted, change: Literal[1, -1]) -> None:
        """Count an inspection, known by its number, or count it out."""
        rest = (counted.station, counted.verdict, counted.defect_class, counted.audit_probability)
        for grain in _GRAINS:
            key = (start_of(counted.judged_at, grain), *rest)
            found = self._new[grain].setdefault(key, [0, number, number])
            found[0] += change
            found[1], found[2] = min(found[1], number), max(found[2], number)

    def move_review(self, counted: Counted, before: Disposition | None, after: Disposition | None) -> None:
        """Count a reviewed inspection under what is decided now, instead of under what was decided before."""
        rest = (counted.station, counted.verdict, counted.audit, counted.audit_probability)
        for disposition, change in ((before, -1), (after, 1)):
            if disposition is not None:
                key = (start_of(counted.judged_at, "quarter"), *rest, disposition)
                self._reviewed[key] = self._reviewed.get(key, 0) + change

    def flush(self) -> None:
        """Write what this unit counted."""
        for grain in _GRAINS:
            counted, table = self._new[grain], _TABLES[grain]
            if not counted:
                continue
            rows = [
                dict(zip(_KEY, key, strict=True)) | {"inspections": n, "first_id": first, "last_id": last}
                for key, (n, first, last) in sorted(counted.items(), key=lambda item: tuple(map(str, item[0])))
            ]
            connection = self._session.connection()
            connection.execute(_adding(connection.dialect.name, grain), rows)
            if any(n < 0 for n, _, _ in counted.values()):
                starts = list({row["start"] for row in rows})
                empty = delete(table).where(table.start.in_(starts), table.inspections <= 0)
                self._session.execute(empty, execution_options=PLAIN)
            counted.clear()
        moved = [(key, n) for key, n in sorted(self._reviewed.items(), key=lambda item: tuple(map(str, item[0]))) if n]
        self._reviewed.clear()
        for key, n in moved:
            values = dict(zip(_REVIEWED_KEY, key, strict=True))
            statement = insert_into(self._session, ReviewedTable).values(**values, inspections=n)
            more = {"inspections": ReviewedTable.inspections + n}
            self._session.execute(statement.on_conflict_do_update(index_elements=_REVIEWED_KEY, set_=more))
            if n < 0:
                here = _is(ReviewedTable, _REVIEWED_KEY, key)
                self._session.execute(
                    delete(ReviewedTable).where(*here, ReviewedTable.inspections <= 0), execution_options=PLAIN
                )

    def verdicts(
        self, *, since: datetime | None = None, until: datetime | None = None, station: str | None = None
    ) -> dict[Verdict, int]:
        """How many inspections of [since, until) have each verdict, mildest first, with 0 for those that none has."""
        found = self._tallies(("verdict",), since, until, station)
        return {verdict: found.get((verdict,), 0) for verdict in Verdict}

    def by_station(self, *, since: datetime | None = None, until: datetime | None = None) -> dict[str, dict[Verdict, int]]:
        """The verdicts of [since, until) of each station that has any, by name."""
        found: dict[str, dict[Verdict, int]] = {}
        for (station, verdict), n in sorted(self._tallies(("station", "verdict"), since, until, None).items(), key=str):
            found.setdefault(str(station), dict.fromkeys(Verdict, 0))[cast("Verdict", verdict)] = n
        return found

    def defect_classes(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        station: str | None = None,
        verdict: Verdict = Verdict.REJECT,
    ) -> dict[str, int]:
        """How many inspections of [since, until) with this verdict are suspected of each defect class."""
        found = self._tallies(("verdict", "defect_class"), since, until, station)
        return {str(name): n for (kind, name), n in sorted(found.items(), key=str) if kind is verdict}

    def series(
        self, grain: Literal["minute", "hour"], *, since: datetime, until: datetime, station: str | None = None
    ) -> list[tuple[datetime, dict[Verdict, int]]]:
        """The verdicts of each minute or hour that starts in [since, until) and has inspections, by rising time."""
        self.flush()
        for end in (since, until):
            start_of(end, grain)  # a time without a zone is refused
        table = _TABLES[grain]
        query = select(table.start, table.verdict, func.sum(table.inspections)).where(table.start >= since, table.start < until)
        query = query.where(*([] if station is None else [table.station == station])).group_by(table.start, table.verdict)
        found: dict[datetime, dict[Verdict, int]] = {}
        for start, verdict, n in self._session.execute(query.order_by(table.start)):
            found.setdefault(start, dict.fromkeys(Verdict, 0))[verdict] = int(n)
        return list(found.items())

    def reviewed(
        self, *, since: datetime | None = None, until: datetime | None = None, station: str | None = None
    ) -> dict[tuple[Verdict, Disposition], int]:
        """How many reviewed inspections of [since, until) have each verdict and current disposition.

        Raises RecordError for a period that does not begin and end with a quarter of an hour, as every zone's days do.
        """
        query = select(ReviewedTable.verdict, ReviewedTable.disposition, func.sum(ReviewedTable.inspections))
        query = query.where(*self._in_quarters(since, until, station))
        found = self._session.execute(query.group_by(ReviewedTable.verdict, ReviewedTable.disposition))
        return {(verdict, cast("Disposition", disposition)): int(n) for verdict, disposition, n in found}

    def audit_strata(
        self, *, since: datetime | None = None, until: datetime | None = None, station: str | None = None
    ) -> list[AuditStratum]:
        """The PASS inspections of [since, until) by the chance with which they were drawn, and what their review says.

        Raises as `reviewed`.
        """
        here = self._in_quarters(since, until, station)
        passed = self._tallies(("verdict", "audit_probability"), since, until, station)
        query = select(ReviewedTable.audit_probability, ReviewedTable.disposition, func.sum(ReviewedTable.inspections))
        query = query.where(*here, ReviewedTable.verdict == Verdict.PASS, ReviewedTable.audit)
        found = {
            (probability, disposition): int(n)
            for probability, disposition, n in self._session.execute(
                query.group_by(ReviewedTable.audit_probability, ReviewedTable.disposition)
            )
        }
        strata = []
        for (verdict, probability), n in sorted(passed.items(), key=str):
            if verdict is Verdict.PASS and isinstance(probability, float) and probability > 0:
                escapes = found.get((probability, "defective"), 0)
                reviewed = escapes + found.get((probability, "good"), 0)
                strata.append(AuditStratum(probability=probability, passes=n, reviewed=reviewed, escapes=escapes))
        return strata

    def bounds(self, since: datetime | None, until: datetime | None, station: str | None) -> tuple[int, int] | None:
        """Numbers between which all inspections of [since, until) lie; None where the period has none.

        Whatever the clock did: an hour that it went through twice has wide bounds.
        """
        self.flush()
        first: int | None = None
        last: int | None = None
        for grain, start, end in spans_of(since, until):
            # Bounds may be wider than the period: a minute's serve for a part of the minute.
            table = _TABLES["minute" if grain == "single" else grain]
            start = start_of(start, "minute") if grain == "single" and start is not None else start
            query = select(func.min(table.first_id), func.max(table.last_id)).where(*_within(table.start, start, end))
            query = query.where(*([] if station is None else [table.station == station]))
            low, high = self._session.execute(query).one()
            if low is not None:
                first, last = min(low, first if first is not None else low), max(high, last or high)
        return None if first is None or last is None else (first, last)

    def rebuild(self) -> None:
        """Count all inspections and reviews anew; whoever records meanwhile waits until this unit ends."""
        self.flush()
        if self._session.get_bind().dialect.name == "postgresql":
            # An inspection is counted before it is committed, so that after this lock none is on record and not counted.
            self._session.execute(text("LOCK TABLE rollup_minute, rollup_hour, rollup_reviewed IN EXCLUSIVE MODE"))
        row = InspectionTable
        for grain, table in _TABLES.items():
            self._session.execute(delete(table), execution_options=PLAIN)
            keys = (self._start(grain), *_COUNTED.values())
            counted = select(*keys, func.count(), func.min(row.id), func.max(row.id)).group_by(*keys)
            self._session.execute(insert(table).from_select([*_KEY, "inspections", "first_id", "last_id"], counted))
        self._session.execute(delete(ReviewedTable), execution_options=PLAIN)
        quarters = (self._start("quarter"), row.station, row.verdict, row.audit, _COUNTED["audit_probability"], row.disposition)
        counted = select(*quarters, func.count()).where(row.disposition.is_not(None)).group_by(*quarters)
        self._session.execute(insert(ReviewedTable).from_select([*_REVIEWED_KEY, "inspections"], counted))

    def _start(self, grain: str) -> ColumnElement[Any]:
        """The first moment of an inspection's minute, quarter or hour, as this database keeps times."""
        judged = InspectionTable.judged_at
        if self._session.get_bind().dialect.name == "postgresql":
            width = {"minute": "1 minute", "quarter": "15 minutes", "hour": "1 hour"}[grain]
            origin = literal(datetime(2000, 1, 1, tzinfo=UTC), UtcDateTime)
            return func.date_bin(text(f"interval '{width}'"), judged, origin, type_=UtcDateTime)
        # Kept as text, "2026-03-01 12:34:56.000000": cut it, and fill it up.
        kept = type_coerce(judged, Text)
        if grain == "hour":
            return func.substr(kept, 1, 13, type_=Text) + ":00:00.000000"
        if grain == "minute":
            return func.substr(kept, 1, 16, type_=Text) + ":00.000000"
        quarter = sql_cast(func.substr(kept, 15, 2), Integer).op("/")(15).op("*")(15)
        return func.substr(kept, 1, 14, type_=Text) + func.printf("%02d", quarter, type_=Text) + ":00.000000"

    def _in_quarters(self, since: datetime | None, until: datetime | None, station: str | None) -> list[ColumnElement[bool]]:
        self.flush()
        for end in (since, until):
            if end is not None and start_of(end, "quarter") != end:
                raise RecordError(
                    "Reviews are counted by quarters of an hour", found=end.isoformat(),
                    expected="a period that begins and ends with one, such as whole days",
                )  # fmt: skip
        at = [] if station is None else [ReviewedTable.station == station]
        return [*_within(ReviewedTable.start, since, until), *at]

    def _tallies(
        self, by: tuple[str, ...], since: datetime | None, until: datetime | None, station: str | None
    ) -> dict[tuple[object, ...], int]:
        """Inspections of [since, until), counted by some of the rollups' columns."""
        self.flush()
        total: dict[tuple[object, ...], int] = {}
        for grain, start, end in spans_of(since, until):
            if grain == "single":
                columns = [_COUNTED[name] for name in by]
                query = select(*columns, func.count()).where(*_within(InspectionTable.judged_at, start, end))
                query = query.where(*([] if station is None else [InspectionTable.station == station]))
            else:
                table = _TABLES[grain]
                columns = [getattr(table, name) for name in by]
                query = select(*columns, func.sum(table.inspections)).where(*_within(table.start, start, end))
                query = query.where(*([] if station is None else [table.station == station]))
            query = query.group_by(*columns)
            for *key, n in self._session.execute(query):
                total[tuple(key)] = total.get(tuple(key), 0) + int(n)
        return total


@cache
def _adding(dialect: str, grain: str) -> sqlite.Insert | postgresql.Insert:
    """Adding to a span's counts; built once, see `insert_unless_there`."""
    table = _TABLES[grain].metadata.tables[f"rollup_{grain}"]
    statement = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    new, old = statement.excluded, table.c
    kept = {
        "inspections": old.inspections + new.inspections,
        "first_id": case((new.first_id < old.first_id, new.first_id), else_=old.first_id),
        "last_id": case((new.last_id > old.last_id, new.last_id), else_=old.last_id),
    }
    return statement.on_conflict_do_update(index_elements=_KEY, set_=kept)


def _within(
    time: ColumnElement[datetime] | InstrumentedAttribute[datetime], since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    start = [] if since is None else [time >= since]
    end = [] if until is None else [time < until]
    return [*start, *end]


def _is(table: type[DeclarativeBase], names: tuple[str, ...], key: tuple[object, ...]) -> list[ColumnElement[bool]]:
    return [getattr(table, name) == value for name, value in zip(names, key, strict=True)]
