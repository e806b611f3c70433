"""What an inspection is looked at beside: the last good part, others of its part, its lot around it, evidence at its place."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kizu_db.repositories.finding import Wanted, find_ids
from kizu_db.repositories.rollups import Rollups
from kizu_db.repositories.rows import row_value, rows_query
from kizu_db.tables import HeatmapTable, InspectionTable, PartTable, RegionTable
from kizu_db.values import Disposition, InspectionRow
from kizu_inspect.results import Verdict

__all__ = ["Neighbours"]

_LOOKED_THROUGH = 200
_AROUND = 2000
_AT_ONCE = 500
_NEAR = 0.1
_GOOD_FIRST: tuple[Disposition | None, ...] = ("good", None)


class Neighbours:
    """Inspections that go with another, by its uid; nothing goes with an unknown one."""

    def __init__(self, session: Session, rollups: Rollups) -> None:
        self._session = session
        self._rollups = rollups

    def last_good(self, uid: str) -> InspectionRow | None:
        """The newest other inspection of the same station, view and picture's size that passed, and whose picture is kept.

        One that people called good goes before those that nobody reviewed; one that they called defective is never it. It is
        looked for among the station's newest 200 of each. None where there is none.
        """
        row = InspectionTable
        asked = select(row.station, row.view, row.width_px, row.height_px, row.id).where(row.uid == uid)
        same = self._session.execute(asked).one_or_none()
        if same is None:
            return None
        station, view, width_px, height_px, number = same
        alike = [row.view.is_not_distinct_from(view), row.width_px == width_px, row.height_px == height_px, row.id != number]
        kept = (row.image_sha256.is_not(None), row.image_pruned_at.is_(None))
        for disposition in _GOOD_FIRST:
            wanted = Wanted(verdicts=[Verdict.PASS], station=station, disposition=disposition, unreviewed=disposition is None)
            ids = find_ids(self._session, self._rollups, wanted, limit=_LOOKED_THROUGH, newest=True)
            query = rows_query().where(row.id.in_(ids), *alike, *kept).order_by(row.id.desc()).limit(1)
            found = self._session.execute(query).one_or_none()
            if found is not None:
                return row_value(found)
        return None

    def of_part(self, uid: str, *, limit: int = 10) -> list[InspectionRow]:
        """The other inspections of the same part, newest first, at most `limit`."""
        row = InspectionTable
        part = select(row.part_id).where(row.uid == uid).scalar_subquery()
        by = row.id + 0  # a part has few: they are sorted, instead of all others passed over
        ids = select(row.id).where(row.part_id == part, row.uid != uid).order_by(by.desc()).limit(limit)
        return self._rows(list(self._session.scalars(ids)))

    def of_lot(self, uid: str, *, limit: int = 10) -> list[InspectionRow]:
        """Inspections of other parts of the same lot, newest first, at most `limit`: those recorded nearest before and after.

        As many of each as there are; where one side has fewer, more of the other. They are looked for among the 2,000
        inspections recorded before and after, however large the lot is. Empty where no lot is known.
        """
        row = InspectionTable
        asked = select(row.id, row.part_id, PartTable.lot).join(PartTable, PartTable.id == row.part_id).where(row.uid == uid)
        found = self._session.execute(asked).one_or_none()
        if found is None or not found.lot:
            return []
        # Hidden in a call, the lot tempts no database to gather all of it first: as a rule its next parts are the next ones.
        lot = func.coalesce(PartTable.lot, PartTable.lot) == found.lot
        others = (
            select(row.id).join(PartTable, PartTable.id == row.part_id).where(lot, row.part_id != found.part_id).limit(limit)
        )
        earlier_ones = others.where(row.id.between(found.id - _AROUND, found.id - 1)).order_by(row.id.desc())
        later_ones = others.where(row.id.between(found.id + 1, found.id + _AROUND)).order_by(row.id)
        before, after = list(self._session.scalars(earlier_ones)), list(self._session.scalars(later_ones))
        earlier = max(limit // 2, limit - len(after))
        chosen = before[:earlier]
        return self._rows([*chosen, *after[: limit - len(chosen)]])

    def near_evidence(self, uid: str, *, limit: int = 8) -> list[InspectionRow]:
        """Earlier parts of the same station and view, suspected of the same class, with evidence at a like place; newest first.

        The place is the middle of a region of the line's map: within a tenth of the picture's width and height of that of this
        part's strongest one. Nothing is said of how the parts look. They are looked for among the newest 2,000 of that class
        before it; empty where it has no region, or was not flagged.
        """
        row, region, heatmap = InspectionTable, RegionTable, HeatmapTable
        own = select(func.min(heatmap.id)).where(heatmap.inspection_id == row.id).correlate(row).scalar_subquery()
        x = (region.x1 + region.x2) / (2.0 * heatmap.width_px)
        y = (region.y1 + region.y2) / (2.0 * heatmap.height_px)
        asked = select(row.id, row.station, row.view, row.target, row.verdict, x.label("x"), y.label("y"))
        asked = asked.join_from(row, heatmap, heatmap.id == own).join(region, region.heatmap_id == heatmap.id)
        this = self._session.execute(asked.where(row.uid == uid).order_by(region.ordinal).limit(1)).one_or_none()
        if this is None or this.target is None or not this.verdict.flagged:
            return []
        wanted = Wanted(verdicts=(Verdict.REVIEW, Verdict.REJECT), station=this.station, suspected=this.target)
        ids = find_ids(self._session, self._rollups, wanted, limit=_AROUND, newest=True, beyond=this.id)
        found: list[int] = []
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            first = select(func.min(heatmap.id)).where(heatmap.inspection_id.in_(some)).group_by(heatmap.inspection_id)
            near = select(row.id).distinct().join_from(region, heatmap, heatmap.id == region.heatmap_id)
            near = near.join(row, row.id == heatmap.inspection_id).where(
                region.heatmap_id.in_(first), row.view.is_not_distinct_from(this.view),
                x.between(this.x - _NEAR, this.x + _NEAR), y.between(this.y - _NEAR, this.y + _NEAR),
            )  # fmt: skip
            found += self._session.scalars(near.order_by(row.id.desc()).limit(limit - len(found)))
            if len(found) >= limit:
                break
        return self._rows(found)

    def _rows(self, ids: Collection[int]) -> list[InspectionRow]:
        query = rows_query().where(InspectionTable.id.in_(ids)).order_by(InspectionTable.id.desc())
        return [row_value(found) for found in self._session.execute(query)] if ids else []
