"""What waits for a review."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from kizu_db.repositories.common import insert_unless_there
from kizu_db.tables import InspectionTable, QueueTable
from kizu_db.values import Claim, NewInspection, Waiting

__all__ = ["ReviewQueue"]

_PLAIN = {"synchronize_session": False}


class ReviewQueue:
    """The parts that wait for a review: all that the line did not pass, and the audit sample. Reviewers take them by claims."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, number: int, new: NewInspection) -> None:
        """Let an inspection wait."""
        judgement = new.judgement
        values = {
            "inspection_id": number,
            "station": new.station,
            "verdict": judgement.verdict,
            "defect_class": judgement.target,
            "certainty": 0.0 if judgement.score is None else abs(2 * judgement.score - 1),
        }
        insert_unless_there(self._session, QueueTable, values)

    def settle(self, number: int) -> None:
        """Take a reviewed inspection out."""
        settled = delete(QueueTable).where(QueueTable.inspection_id == number)
        self._session.execute(settled, execution_options=_PLAIN)

    def claims(self) -> list[Claim]:
        """All parts that somebody has, by the end of the lease; expired ones are nobody's."""
        query = select(InspectionTable.uid, QueueTable.claimed_by, QueueTable.claim_expires_at).join_from(
            QueueTable, InspectionTable, InspectionTable.id == QueueTable.inspection_id
        )
        query = query.where(QueueTable.claimed_by.is_not(None), QueueTable.claim_expires_at > datetime.now(UTC))
        found = self._session.execute(query.order_by(QueueTable.claim_expires_at))
        return [Claim(uid_inspection=uid, reviewer=by, expires_at=end) for uid, by, end in found if by and end]

    def waiting(self, station: str | None = None) -> int:
        """How many parts wait, claimed ones included."""
        query = select(func.count()).select_from(QueueTable)
        return self._session.scalar(query.where(*([] if station is None else [QueueTable.station == station]))) or 0

    def by_station(self) -> dict[str, Waiting]:
        """How many parts wait at each station where one does, claimed ones included, and since when the oldest."""
        counted = select(
            QueueTable.station, func.count().label("parts"), func.min(QueueTable.inspection_id).label("oldest")
        ).group_by(QueueTable.station)
        each = counted.subquery()
        query = select(each.c.station, each.c.parts, InspectionTable.judged_at)
        query = query.join_from(each, InspectionTable, InspectionTable.id == each.c.oldest)
        return {name: Waiting(parts=parts, since=since) for name, parts, since in self._session.execute(query)}
