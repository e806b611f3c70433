"""Finding inspections by an index, whatever is asked for: a page costs the same at any depth of a million."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select, text, union_all
from sqlalchemy.orm import Session, aliased

from kizu_db.repositories.plant import parts_like
from kizu_db.repositories.rollups import Rollups
from kizu_db.tables import InspectionTable, PartTable, QueueTable, ReviewTable
from kizu_db.tables.inspections import CONFLICTING, REVIEWED, SUSPECTED, WAITING
from kizu_db.values import Disposition
from kizu_inspect.results import Verdict

__all__ = ["MOST_PARTS", "Wanted", "find_ids", "ids_query", "judged_within"]

MOST_PARTS = 200
"""A search by serial looks at so many parts at most for each end of the serial."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which inspections a list shows; None, empty text and False leave a thing open."""

    verdicts: Collection[Verdict] | None = None
    station: str | None = None
    named: str | None = None
    """How a serial begins or ends, or the whole name of a lot."""
    since: datetime | None = None
    until: datetime | None = None
    unreviewed: bool = False
    conflicting: bool = False
    suspected: str | None = None
    """A defect class: of REVIEW and REJECT those that the model takes for it."""
    lot: str | None = None
    disposition: Disposition | None = None
    decided_class: str | None = None
    """The defect class of the latest review."""
    reviewer: str | None = None
    """Who made the latest review."""
    escalated: bool = False
    """Only what waits and somebody left to a second person."""


def find_ids(
    session: Session, rollups: Rollups, wanted: Wanted, *, limit: int | None, newest: bool, beyond: int | None = None
) -> list[int]:
    """The numbers of the first `limit` inspections in order of recording, or, `newest`, from the end.

    `beyond` is the number after which (before which, for `newest`) they begin.
    """
    query = ids_query(session, rollups, wanted, limit=limit, newest=newest, beyond=beyond)
    return [] if query is None else list(session.scalars(query))


def ids_query(
    session: Session, rollups: Rollups, wanted: Wanted, *, limit: int | None, newest: bool, beyond: int | None = None
) -> Select[int] | None:
    """What asks for them; None where there are none.

    Every part of the query walks one index in the list's own order and stops at the limit; only a search by part or lot gathers
    what a bounded number of parts, or a lot, has, and sorts.
    """
    number = InspectionTable.id
    rest: list[ColumnElement[bool]] = []
    if beyond is not None:
        rest.append(number < beyond if newest else number > beyond)
    if wanted.since is not None or wanted.until is not None:
        bounds = rollups.bounds(wanted.since, wanted.until, wanted.station)
        if bounds is None:
            return None
        rest.append(number.between(*bounds))
        rest += judged_within(wanted.since, wanted.until)
    if wanted.named or wanted.lot:
        rest += _narrowed(wanted)
        if wanted.named:
            by_serial = select(PartTable.id).where(PartTable.id.in_(parts_like(session, wanted.named, MOST_PARTS)))
            by_lot = select(PartTable.id).where(PartTable.lot == wanted.named)
            rest.append(InspectionTable.part_id.in_(union_all(by_serial, by_lot)))
        if wanted.lot:
            rest.append(InspectionTable.part_id.in_(select(PartTable.id).where(PartTable.lot == wanted.lot)))
        gathered = select(number).where(*rest)
        # A sum is in no index's order: the few inspections of these parts are sorted, instead of all others passed over.
        by = number + 0
        return gathered.order_by(by.desc() if newest else by).limit(limit)
    if wanted.reviewer is not None or wanted.escalated:
        return _beside(wanted, rest + _of_row(wanted), limit, newest=newest, beyond=beyond)
    walks = [_walk(conditions + rest, limit, newest=newest) for conditions in _indexed(wanted)]
    if len(walks) <= 1:
        return walks[0] if walks else None
    together = union_all(*(select(walk.subquery().c.id) for walk in walks)).subquery()
    return select(together.c.id).order_by(together.c.id.desc() if newest else together.c.id).limit(limit)


def judged_within(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """That an inspection was judged in [since, until), for queries that have bounds or a list of inspections already.

    Nearly all that they look at are of the period. Hidden in a call, the time tempts no database to walk the index of times
    instead, and then to sort all that is left of the period.
    """
    judged_at = func.coalesce(InspectionTable.judged_at, InspectionTable.judged_at)
    start = [] if since is None else [judged_at >= since]
    return [*start, *([] if until is None else [judged_at < until])]


def _walk(conditions: list[ColumnElement[bool]], limit: int | None, *, newest: bool) -> Select[int]:
    number = InspectionTable.id
    return select(number).where(*conditions).order_by(number.desc() if newest else number).limit(limit)


def _beside(
    wanted: Wanted, conditions: list[ColumnElement[bool]], limit: int | None, *, newest: bool, beyond: int | None
) -> Select[int]:
    """The walk through what hangs on inspections, in their order: the reviews of one person, or the queue."""
    by_queue = wanted.reviewer is None
    number = QueueTable.inspection_id if by_queue else ReviewTable.inspection_id
    if beyond is not None:
        conditions.append(number < beyond if newest else number > beyond)
    if by_queue:
        conditions.append(QueueTable.escalated_by.is_not(None))
    else:
        conditions += [ReviewTable.reviewer == wanted.reviewer, ~_reviewed_after(ReviewTable)]
        conditions += [_escalated()] if wanted.escalated else []
    query = select(number).join(InspectionTable, InspectionTable.id == number).where(*conditions)
    return query.order_by(number.desc() if newest else number).limit(limit)


def _reviewed_after(review: type[ReviewTable]) -> ColumnElement[bool]:
    """Whether the inspection has a later review than this one."""
    later = aliased(ReviewTable)
    return select(later.id).where(later.inspection_id == review.inspection_id, later.id > review.id).exists()


def _escalated() -> ColumnElement[bool]:
    """Whether the inspection waits, and somebody left it to a second person."""
    left = (QueueTable.inspection_id == InspectionTable.id, QueueTable.escalated_by.is_not(None))
    return select(QueueTable.inspection_id).where(*left).exists()


def _indexed(wanted: Wanted) -> list[list[ColumnElement[bool]]]:
    """What each walk asks for, so that one index begins with it and goes on in order of recording."""
    at = [] if wanted.station is None else [InspectionTable.station == wanted.station]
    verdicts = list(Verdict) if wanted.verdicts is None else [verdict for verdict in Verdict if verdict in wanted.verdicts]
    if wanted.suspected is not None:
        verdicts = [verdict for verdict in verdicts if verdict.flagged]
    unreviewed: list[ColumnElement[bool]] = [InspectionTable.disposition.is_(None)] if wanted.unreviewed else []
    asked = [*at, *_of_judgement_and_review(wanted)]
    if wanted.conflicting:
        return [[text(CONFLICTING), InspectionTable.verdict == verdict, *asked, *unreviewed] for verdict in verdicts]  # type: ignore[list-item]
    if wanted.disposition is not None or wanted.decided_class is not None:
        reviewed: list[ColumnElement[bool]] = [text(REVIEWED), *unreviewed]  # type: ignore[list-item]
        return [[*reviewed, InspectionTable.verdict == verdict, *asked] for verdict in verdicts]
    if wanted.unreviewed:
        waiting: dict[Verdict, list[ColumnElement[bool]]] = {
            verdict: unreviewed if verdict is Verdict.PASS else [text(WAITING)]  # type: ignore[list-item]
            for verdict in verdicts
        }
        return [[*waiting[verdict], InspectionTable.verdict == verdict, *asked] for verdict in verdicts]
    if wanted.suspected is not None:
        return [[text(SUSPECTED), InspectionTable.verdict == verdict, *asked] for verdict in verdicts]  # type: ignore[list-item]
    if wanted.verdicts is None and wanted.station is None:
        return [[]]
    return [[*at, InspectionTable.verdict == verdict] for verdict in verdicts]


def _narrowed(wanted: Wanted) -> list[ColumnElement[bool]]:
    """All that is asked for but the part, the lot and the period."""
    asked = _of_row(wanted)
    if wanted.reviewer is not None:
        made = aliased(ReviewTable)
        of_it = (made.inspection_id == InspectionTable.id, made.reviewer == wanted.reviewer)
        asked.append(select(made.id).where(*of_it, ~_reviewed_after(made)).exists())
    if wanted.escalated:
        asked.append(_escalated())
    return asked


def _of_row(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What stands in the inspection's own row of it."""
    asked = _of_judgement_and_review(wanted)
    if wanted.suspected is not None:
        asked.append(text(SUSPECTED))  # type: ignore[arg-type]
    if wanted.verdicts is not None:
        asked.append(InspectionTable.verdict.in_(wanted.verdicts))
    if wanted.station is not None:
        asked.append(InspectionTable.station == wanted.station)
    if wanted.unreviewed:
        asked.append(InspectionTable.disposition.is_(None))
    if wanted.conflicting:
        asked.append(InspectionTable.explanation_conflict.is_(True))
    return asked


def _of_judgement_and_review(wanted: Wanted) -> list[ColumnElement[bool]]:
    """The suspected class, the decision and its class."""
    columns = {
        InspectionTable.target: wanted.suspected,
        InspectionTable.disposition: wanted.disposition,
        InspectionTable.defect_class: wanted.decided_class,
    }
    return [column == value for column, value in columns.items() if value is not None]
