"""What an inspection is looked at beside: the last good part like it, the others of its part, and its lot around it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kizu_db.repositories.finding import Wanted, find_ids
from kizu_db.repositories.rollups import Rollups
from kizu_db.repositories.rows import row_value, rows_query
from kizu_db.tables import InspectionTable, PartTable
from kizu_db.values import Disposition, InspectionRow
from kizu_inspect.results import Verdict

__all__ = ["Neighbours"]

_LOOKED_THROUGH = 200
_AROUND = 2000
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

    def _rows(self, ids: Collection[int]) -> list[InspectionRow]:
        query = rows_query().where(InspectionTable.id.in_(ids)).order_by(InspectionTable.id.desc())
        return [row_value(found) for found in self._session.execute(query)] if ids else []
