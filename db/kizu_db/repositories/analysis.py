"""What no rollup counts: read from a bounded number of inspections, the newest of a period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kizu_db.repositories.finding import Wanted, find_ids
from kizu_db.repositories.rollups import Rollups
from kizu_db.tables import HeatmapTable, InspectionTable, PartTable, RegionTable
from kizu_db.values import DefectPlace, LotCounts
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
        ids = find_ids(self._session, self._rollups, wanted, limit=limit, newest=True)
        newest: dict[str, int] = {}
        counts: dict[str, dict[Verdict, int]] = {}
        for some in _pieces(ids, 20 * _AT_ONCE):
            query = select(PartTable.lot, InspectionTable.verdict, func.count(), func.max(InspectionTable.id))
            query = query.join_from(InspectionTable, PartTable, PartTable.id == InspectionTable.part_id)
            query = query.where(InspectionTable.id.in_(some)).group_by(PartTable.lot, InspectionTable.verdict)
            for lot, verdict, n, last in self._session.execute(query):
                counts.setdefault(lot, dict.fromkeys(Verdict, 0))[verdict] += n
                newest[lot] = max(newest.get(lot, last), last)
        ranked = sorted(newest, key=lambda lot: -newest[lot])
        return [LotCounts(lot=lot, verdicts=counts[lot]) for lot in ranked], len(ids)

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


def _pieces(ids: Sequence[int], length: int) -> Iterator[Sequence[int]]:
    return (ids[start : start + length] for start in range(0, len(ids), length))
