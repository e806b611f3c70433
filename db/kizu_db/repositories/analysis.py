"""What no rollup counts: read from a bounded number of inspections, the newest of a period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, cast, get_args

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased

from kizu_db.repositories.finding import Wanted, find_ids, ids_query, judged_within
from kizu_db.repositories.rollups import Rollups
from kizu_db.tables import HeatmapTable, InspectionTable, PartTable, QueueTable, RegionTable, ReviewTable, SecondReviewTable
from kizu_db.values import DefectPlace, Disposition, LotCounts, Opinion, ReviewedPart
from kizu_inspect.results import Verdict

__all__ = ["Analysis"]

_AT_ONCE: Final = 500


class Analysis:
    """Reads of a period, [since, until) by the time of judging, None leaves that end open; `limit` inspections at most.

    All raise RecordError for a time without a zone.
    """

    def __init__(self, session: Session, rollups: Rollups) -> None:
        self._session = session
        self._rollups = rollups

    def lots(
        self, *, since: datetime | None = None, until: datetime | None = None, station: str | None = None, limit: int
    ) -> tuple[list[LotCounts], int]:
        """The period's newest inspections by lot, the lot of the newest one first; and how many were counted."""
        wanted = Wanted(since=since, until=until, station=station)
        ids = ids_query(self._session, self._rollups, wanted, limit=limit, newest=True)
        if ids is None:
            return [], 0
        # The numbers stay in the database: handed back and forth, so many cost more than all else.
        row, found = InspectionTable, ids.subquery()
        query = select(PartTable.lot, row.verdict, func.count(), func.max(row.id)).join_from(found, row, row.id == found.c.id)
        query = query.join(PartTable, PartTable.id == row.part_id).group_by(PartTable.lot, row.verdict)
        newest: dict[str, int] = {}
        counts: dict[str, dict[Verdict, int]] = {}
        for lot, verdict, n, last in self._session.execute(query):
            counts.setdefault(lot, dict.fromkeys(Verdict, 0))[verdict] += n
            newest[lot] = max(newest.get(lot, last), last)
        ranked = sorted(newest, key=lambda lot: -newest[lot])
        lots = [LotCounts(lot=lot, verdicts=counts[lot]) for lot in ranked]
        return lots, sum(sum(one.verdicts.values()) for one in lots)

    def places(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        station: str | None = None,
        suspected: str | None = None,
        limit: int,
    ) -> tuple[list[DefectPlace], int]:
        """Where the regions of the period's newest REVIEW and REJECT parts lie; and how many parts were looked at.

        Of a part with several maps those of the first one, which is the line's. Newest part first, a part's regions as its
        map numbers them.
        """
        wanted = Wanted(
            verdicts=(Verdict.REVIEW, Verdict.REJECT), since=since, until=until, station=station, suspected=suspected
        )
        ids = find_ids(self._session, self._rollups, wanted, limit=limit, newest=True)
        found: list[DefectPlace] = []
        for some in _pieces(ids, _AT_ONCE):
            first = select(func.min(HeatmapTable.id)).where(HeatmapTable.inspection_id.in_(some))
            query = select(
                InspectionTable.uid, InspectionTable.station, InspectionTable.view, RegionTable.label,
                (RegionTable.x1 + RegionTable.x2) / (2.0 * HeatmapTable.width_px),
                (RegionTable.y1 + RegionTable.y2) / (2.0 * HeatmapTable.height_px),
                HeatmapTable.width_px / (1.0 * HeatmapTable.height_px),
            )  # fmt: skip
            query = query.join_from(RegionTable, HeatmapTable, HeatmapTable.id == RegionTable.heatmap_id)
            query = query.join(InspectionTable, InspectionTable.id == HeatmapTable.inspection_id)
            query = query.where(RegionTable.heatmap_id.in_(first.group_by(HeatmapTable.inspection_id)))
            for uid, at, view, label, x, y, aspect in self._session.execute(
                query.order_by(InspectionTable.id.desc(), RegionTable.ordinal)
            ):
                found.append(
                    DefectPlace(uid=uid, station=at, view=view, label=label, x=float(x), y=float(y), aspect=float(aspect))
                )
        return found, len(ids)

    def reviewed(
        self, *, since: datetime | None = None, until: datetime | None = None, station: str | None = None, limit: int
    ) -> list[ReviewedPart]:
        """The period's newest reviewed inspections, newest first."""
        row, found = InspectionTable, {}
        columns = (row.verdict, row.audit, row.audit_probability, row.score, row.target, row.defect_class)
        for disposition in get_args(Disposition):
            wanted = Wanted(disposition=disposition, since=since, until=until, station=station)
            ids = ids_query(self._session, self._rollups, wanted, limit=limit, newest=True)
            if ids is None:
                continue
            walked = ids.subquery()
            query = select(row.id, *columns).join_from(walked, row, row.id == walked.c.id)
            for number, verdict, audit, chance, score, target, name in self._session.execute(query):
                found[number] = ReviewedPart(
                    verdict=verdict, audit=audit, audit_probability=chance or 0.0, score=score, suspected=target,
                    disposition=disposition, decided_class=name,
                )  # fmt: skip
        return [found[number] for number in sorted(found, reverse=True)[:limit]]

    def audit_waiting(
        self, *, since: datetime | None = None, until: datetime | None = None, station: str | None = None
    ) -> dict[float, int]:
        """How many PASS parts of the audit sample still wait for their review, by the chance with which they were drawn."""
        row = InspectionTable
        query = select(row.audit_probability, func.count()).join_from(QueueTable, row, row.id == QueueTable.inspection_id)
        query = query.where(QueueTable.verdict == Verdict.PASS, QueueTable.look.is_(None), *_of_period(since, until, station))
        return {chance: n for chance, n in self._session.execute(query.group_by(row.audit_probability)) if chance}

    def opinions(
        self, *, since: datetime | None = None, until: datetime | None = None, station: str | None = None, limit: int
    ) -> list[Opinion]:
        """What two people each said of the same inspections on their own, newest first: the first review, and the second one.

        A second review was made blind to the first. A correction is left out: who corrects has seen what was decided.
        """
        bounds = self._rollups.bounds(since, until, station)
        if bounds is None:
            return []
        row, second = InspectionTable, SecondReviewTable
        earliest = select(func.min(second.id)).where(second.inspection_id.between(*bounds)).group_by(second.inspection_id)
        own = aliased(ReviewTable)
        first = select(func.min(own.id)).where(own.inspection_id == row.id).correlate(row).scalar_subquery()
        query = select(row.id, ReviewTable.reviewer, ReviewTable.disposition, second.reviewer, second.disposition)
        query = query.join_from(second, row, row.id == second.inspection_id).join(ReviewTable, ReviewTable.id == first)
        query = query.where(second.id.in_(earliest), *_of_period(since, until, station))
        found = self._session.execute(query.order_by(row.id.desc()).limit(limit))
        return [
            Opinion(inspection=number, reviewer=reviewer, disposition=cast("Disposition", disposition))
            for number, *said in found
            for reviewer, disposition in (said[:2], said[2:])
        ]


def _of_period(since: datetime | None, until: datetime | None, station: str | None) -> list[ColumnElement[bool]]:
    return [*judged_within(since, until), *([] if station is None else [InspectionTable.station == station])]


def _pieces(ids: Sequence[int], length: int) -> Iterator[Sequence[int]]:
    return (ids[start : start + length] for start in range(0, len(ids), length))
