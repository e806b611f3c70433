"""The files that could not be read."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from kizu_db.repositories.common import inspection_id
from kizu_db.tables import InspectionTable, QuarantineTable
from kizu_db.values import QuarantinedFile

__all__ = ["Quarantine"]


class Quarantine:
    """The files in quarantine, each with the ERROR inspection that tells of it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, uid: str, error: str) -> None:
        """Record that the file of this inspection is put aside. Raises RecordError for an unknown inspection."""
        number = inspection_id(self._session, uid)
        self._session.execute(
            insert(QuarantineTable).values(inspection_id=number, error=error, quarantined_at=datetime.now(UTC))
        )

    def latest(self, *, limit: int = 100) -> list[QuarantinedFile]:
        """The files put aside last, newest first, at most `limit`."""
        query = select(QuarantineTable, InspectionTable.uid, InspectionTable.image_name).join(
            InspectionTable, InspectionTable.id == QuarantineTable.inspection_id
        )
        found = self._session.execute(query.order_by(QuarantineTable.inspection_id.desc()).limit(limit))
        return [QuarantinedFile(uid, name, row.error, row.quarantined_at) for row, uid, name in found]
