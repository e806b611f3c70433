"""The files that could not be read."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.orm import Session

from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import PLAIN, inspection_id
from kizu_db.repositories.users import Users
from kizu_db.tables import InspectionTable, PartTable, QuarantineTable
from kizu_db.values import QuarantinedFile
from kizu_inspect.errors import RecordError

__all__ = ["Quarantine"]


class Quarantine:
    """The files in quarantine, each with the ERROR inspection that tells of it."""

    def __init__(self, session: Session, trail: AuditTrail, users: Users) -> None:
        self._session = session
        self._trail = trail
        self._users = users

    def add(self, uid: str, error: str, *, at: datetime | None = None) -> None:
        """Record that the file of this inspection is put aside, now or at that time.

        Raises RecordError for an unknown inspection.
        """
        number = inspection_id(self._session, uid)
        self._session.execute(
            insert(QuarantineTable).values(inspection_id=number, error=error, quarantined_at=at or datetime.now(UTC))
        )

    def latest(self, *, station: str | None = None, released: bool = True, limit: int | None = 100) -> list[QuarantinedFile]:
        """The files put aside last, newest first, at most `limit` (None: all); `released` False leaves out those given back."""
        conditions: list[ColumnElement[bool]] = []
        if station is not None:
            conditions.append(InspectionTable.station == station)
        if not released:
            conditions.append(QuarantineTable.released_at.is_(None))
        return self._found(*conditions, limit=limit)

    def get(self, uid: str) -> QuarantinedFile | None:
        """The file of this inspection; None where none was put aside for it."""
        return next(iter(self._found(InspectionTable.uid == uid)), None)

    def named(self, text: str, *, limit: int = 100) -> list[QuarantinedFile]:
        """The files of this inspection uid or file name, newest first, at most `limit`."""
        return self._found(or_(InspectionTable.uid == text, InspectionTable.image_name == text), limit=limit)

    def require_release(self, *, by: str, reason: str) -> None:
        """Raise NotAllowed unless this person may release files, RecordError where name or reason is missing."""
        self._users.require(by, Action.RELEASE_FILE)
        if not by.strip() or not reason.strip():
            raise RecordError("A release from quarantine needs a name and a reason", found=f"by {by!r}, because {reason!r}")

    def release(self, uid: str, *, by: str, reason: str, file: str) -> None:
        """Record that the file is given back to be judged anew, as `file` below the watched folder.

        Raises RecordError: no file was put aside for this inspection, it is released already, no name or no reason; NotAllowed.
        """
        self.require_release(by=by, reason=reason)
        number = inspection_id(self._session, uid)
        change = (
            update(QuarantineTable)
            .where(QuarantineTable.inspection_id == number, QuarantineTable.released_at.is_(None))
            .values(released_at=datetime.now(UTC), released_by=by)
            .returning(QuarantineTable.inspection_id)
        )
        if self._session.scalar(change, execution_options=PLAIN) is None:
            raise RecordError("There is nothing to release", found=f"no file in quarantine for inspection {uid}")
        self._trail.add(
            "quarantine.release", actor=by, subject="inspection", subject_id=uid, after={"released_as": file}, reason=reason
        )

    def _found(self, *conditions: ColumnElement[bool], limit: int | None = None) -> list[QuarantinedFile]:
        query = (
            select(QuarantineTable, InspectionTable.uid, InspectionTable.image_name, InspectionTable.station, PartTable.serial)
            .join(InspectionTable, InspectionTable.id == QuarantineTable.inspection_id)
            .join(PartTable, PartTable.id == InspectionTable.part_id)
            .where(*conditions)
            .order_by(QuarantineTable.inspection_id.desc())
            .limit(limit)
        )
        return [
            QuarantinedFile(
                uid, name, row.error, row.quarantined_at, station, part,
                released_at=row.released_at, released_by=row.released_by,
            )
            for row, uid, name, station, part in self._session.execute(query)
        ]  # fmt: skip
