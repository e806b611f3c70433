"""What a scanner reads: an inspection's id, a part's serial or a lot, and which of its inspections are to be judged."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from kizu_db.repositories.common import number_of
from kizu_db.repositories.rows import row_value, rows_query
from kizu_db.tables import InspectionTable, PartTable, QueueTable
from kizu_db.tables.base import clean_text
from kizu_db.values import InspectionRow

__all__ = ["Scanned"]

_MOST = 50


class Scanned:
    """Looks up what was scanned: first as an inspection's id, then as a serial, whatever its capitals, then as a lot."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def waiting(self, text: str) -> list[str]:
        """The uids of the inspections of this text that wait for somebody, oldest first, at most 50; for whom is not asked."""
        row = InspectionTable
        for of in self._readings(text):
            query = select(row.uid).join_from(QueueTable, row, row.id == QueueTable.inspection_id)
            query = query.join(PartTable, PartTable.id == row.part_id).where(of)
            found = list(self._session.scalars(query.order_by(row.id).limit(_MOST)))
            if found:
                return found
        return []

    def newest(self, text: str) -> InspectionRow | None:
        """The newest inspection of this text; None where nothing on record bears it."""
        for of in self._readings(text):
            by = InspectionTable.id + 0  # a part or lot has few: they are sorted, instead of all others passed over
            newest = select(InspectionTable.id).join(PartTable, PartTable.id == InspectionTable.part_id).where(of)
            number = self._session.scalar(newest.order_by(by.desc()).limit(1))
            if number is not None:
                found = self._session.execute(rows_query().where(InspectionTable.id == number)).one()
                return row_value(found)
        return None

    def _readings(self, text: str) -> list[ColumnElement[bool]]:
        text = clean_text(text)
        number = number_of(self._session, text.lower())
        if number is not None:
            return [InspectionTable.id == number]
        # The serial letter by letter goes before other capitals; both by the index of the folded one.
        exact = (PartTable.serial_folded == text.casefold()) & (PartTable.serial == text)
        return [exact, PartTable.serial_folded == text.casefold(), PartTable.lot == text]
