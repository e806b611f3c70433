"""What waits for a review, and who has it on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Executable, ScalarSelect, TextClause, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from kizu_db.permissions import Action
from kizu_db.repositories.common import insert_unless_there, inspection_id
from kizu_db.repositories.users import Users
from kizu_db.tables import InspectionTable, QueueTable
from kizu_db.tables.reviews import FREE, TAKEN
from kizu_db.values import Claim, NewInspection
from kizu_inspect.errors import RecordError

__all__ = ["LEASE", "ReviewQueue"]

LEASE = timedelta(minutes=10)
"""For how long a part is a reviewer's own unless renewed."""

_PLAIN = {"synchronize_session": False}


class ReviewQueue:
    """The parts that wait for a review: all that the line did not pass, and the audit sample.

    A claim ends with a review, with its release, or with its lease. Claims may be lost in a power cut, so take and release
    them in a unit that is not `durable`.
    """

    def __init__(self, session: Session, users: Users) -> None:
        self._session = session
        self._users = users

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

    def claim(
        self,
        reviewer: str,
        *,
        order: Literal["uncertain", "oldest"] = "uncertain",
        station: str | None = None,
        defect_class: str | None = None,
        lease: timedelta = LEASE,
    ) -> Claim | None:
        """The next part, for this reviewer alone until the lease ends; None where no part waits that nobody has.

        Of those that the model suspects of `defect_class` at `station`: first one whose lease has ended, then the least
        certain one, or the oldest.
        """
        now = datetime.now(UTC)
        statement = _take_next(order, by_station=station is not None, by_class=defect_class is not None)
        asked = {"of_station": station, "of_class": defect_class}
        told: dict[str, object] = {name: value for name, value in asked.items() if value is not None}
        told |= {"reviewer": reviewer, "now": now, "until": now + lease}
        uid = self._session.connection().scalar(statement, told)
        return None if uid is None else Claim(uid_inspection=uid, reviewer=reviewer, expires_at=now + lease)

    def renew(self, uid: str, reviewer: str, *, lease: timedelta = LEASE) -> Claim:
        """The claim, from now on for a whole lease. Raises RecordError where the part is not this reviewer's any more."""
        number = inspection_id(self._session, uid)
        until = datetime.now(UTC) + lease
        change = update(QueueTable).where(QueueTable.inspection_id == number, QueueTable.claimed_by == reviewer)
        change = change.values(claim_expires_at=until)
        if not self._session.execute(change.returning(QueueTable.inspection_id), execution_options=_PLAIN).all():
            raise RecordError(
                "The part is not yours any more", found=f"inspection {uid}", expected=f"a claim of {reviewer}",
                next_step="Take the next one.",
            )  # fmt: skip
        return Claim(uid_inspection=uid, reviewer=reviewer, expires_at=until)

    def release(self, uid: str, *, by: str) -> None:
        """Give the part back; nothing happens where it is nobody's. Raises NotAllowed: of another, without the role for it."""
        here = QueueTable.inspection_id == inspection_id(self._session, uid)
        holder = self._session.scalar(select(QueueTable.claimed_by).where(here))
        if holder is None:
            return
        if holder != by:
            self._users.require(by, Action.RELEASE_CLAIM)
        change = update(QueueTable).where(here).values(claimed_by=None, claim_expires_at=None)
        self._session.execute(change, execution_options=_PLAIN)

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


# Built once, see `insert_unless_there`. A row that another reviewer is taking at this moment is passed over; on SQLite there is
# no other, nor words for it, and SQLAlchemy leaves them out.
_queue, _inspection = (QueueTable.metadata.tables[name] for name in ("review_queue", "inspection"))


@cache
def _take_next(order: Literal["uncertain", "oldest"], *, by_station: bool, by_class: bool) -> Executable:
    asked = [_queue.c.station == bindparam("of_station")] if by_station else []
    asked += [_queue.c.defect_class == bindparam("of_class")] if by_class else []

    def first(*conditions: ColumnElement[bool] | TextClause, by: Sequence[ColumnElement[Any]]) -> ScalarSelect[int]:
        query = select(_queue.c.inspection_id).where(*conditions, *asked).order_by(*by).limit(1)
        return query.with_for_update(skip_locked=True).scalar_subquery()

    ended = first(TAKEN, _queue.c.claim_expires_at <= bindparam("now"), by=[_queue.c.claim_expires_at])
    free = first(FREE, by=[*([_queue.c.certainty] if order == "uncertain" else []), _queue.c.inspection_id])
    uid = select(_inspection.c.uid).where(_inspection.c.id == _queue.c.inspection_id).scalar_subquery()
    taken: dict[str, Any] = {"claimed_by": bindparam("reviewer"), "claim_expires_at": bindparam("until")}
    return update(_queue).where(_queue.c.inspection_id == func.coalesce(ended, free)).values(taken).returning(uid)
