"""Who has which part on the screen, so that nobody else is shown it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Executable, ScalarSelect, TextClause, bindparam, func, select, update
from sqlalchemy.orm import Session

from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import inspection_id
from kizu_db.repositories.users import Users
from kizu_db.tables import QueueTable
from kizu_db.tables.reviews import FREE, TAKEN
from kizu_db.values import Claim
from kizu_inspect.errors import RecordError

__all__ = ["LEASE", "Claims", "Order"]

Order = Literal["uncertain", "oldest"]
"""What comes first: the part whose score is nearest to even, or the one that has waited longest."""

LEASE = timedelta(minutes=10)
"""For how long a part is a reviewer's own unless renewed."""


class Claims:
    """Taking, renewing and giving back parts that wait for a review.

    A claim ends with a review, with its release, or with its lease.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(
        self,
        reviewer: str,
        *,
        order: Order = "uncertain",
        station: str | None = None,
        defect_class: str | None = None,
        passing_over: Sequence[str] = (),
        lease: timedelta = LEASE,
    ) -> Claim | None:
        """The next part, for this reviewer alone until the lease ends; None where no part waits that nobody has.

        Of those that the model suspects of `defect_class` at `station`, but for the uids in `passing_over` and those that this
        reviewer left to a second person: first one whose lease has ended, then the least certain one, or the oldest.
        """
        now = datetime.now(UTC)
        asked = _Asked(order, station is not None, defect_class is not None, bool(passing_over))
        told = asked.values(station, defect_class, passing_over) | {"reviewer": reviewer, "now": now, "until": now + lease}
        uid = self._connection.scalar(_take_next(asked), told)
        return None if uid is None else Claim(uid_inspection=uid, reviewer=reviewer, expires_at=now + lease)

    def next_up(
        self,
        reviewer: str,
        *,
        order: Order = "uncertain",
        station: str | None = None,
        defect_class: str | None = None,
        passing_over: Sequence[str] = (),
        limit: int = 1,
    ) -> list[str]:
        """The uids of the parts that `take` would give next, if nobody else took them: for looking ahead."""
        asked = _Asked(order, station is not None, defect_class is not None, bool(passing_over))
        told = asked.values(station, defect_class, passing_over) | {"reviewer": reviewer, "most": limit}
        return list(self._connection.scalars(_look_ahead(asked), told))

    def renew(self, uid: str, reviewer: str, *, lease: timedelta = LEASE) -> Claim:
        """The claim, from now on for a whole lease. Raises RecordError where the part is not this reviewer's any more."""
        until = datetime.now(UTC) + lease
        change = update(_queue).where(_queue.c.inspection_id == self._number(uid), _queue.c.claimed_by == reviewer)
        if not self._connection.execute(change.values(claim_expires_at=until)).rowcount:
            raise RecordError(
                "The part is not yours any more", found=f"inspection {uid}", expected=f"a claim of {reviewer}",
                next_step="Take the next one.",
            )  # fmt: skip
        return Claim(uid_inspection=uid, reviewer=reviewer, expires_at=until)

    def release(self, uid: str, *, by: str) -> None:
        """Give the part back; nothing happens where it is nobody's. Raises NotAllowed: of another, without the role for it."""
        here = _queue.c.inspection_id == self._number(uid)
        holder = self._connection.scalar(select(_queue.c.claimed_by).where(here))
        if holder is None:
            return
        if holder != by:
            with Session(self._connection) as session:
                Users(session, AuditTrail(session)).require(by, Action.RELEASE_CLAIM)
        # Only that claim: its lease may have ended meanwhile, and another reviewer have the part.
        change = update(_queue).where(here, _queue.c.claimed_by == holder)
        self._connection.execute(change.values(claimed_by=None, claim_expires_at=None))

    def _number(self, uid: str) -> int:
        with Session(self._connection) as session:
            return inspection_id(session, uid)


# Built once, see `insert_unless_there`. A row that another reviewer is taking at this moment is passed over; on SQLite there is
# no other, nor words for it, and SQLAlchemy leaves them out.
_queue, _inspection = (QueueTable.metadata.tables[name] for name in ("review_queue", "inspection"))


@dataclass(frozen=True)
class _Asked:
    """By what a reviewer takes parts: what a statement is built for."""

    order: Order
    by_station: bool
    by_class: bool
    with_some_passed_over: bool

    def values(self, station: str | None, defect_class: str | None, passing_over: Sequence[str]) -> dict[str, object]:
        """For the statement's parameters."""
        given = {"of_station": station, "of_class": defect_class, "passed_over": list(passing_over) or None}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """Which parts may be taken."""
        conditions: list[ColumnElement[bool]] = [
            _queue.c.escalated_by.is_(None) | (_queue.c.escalated_by != bindparam("reviewer"))
        ]
        if self.by_station:
            conditions.append(_queue.c.station == bindparam("of_station"))
        if self.by_class:
            conditions.append(_queue.c.defect_class == bindparam("of_class"))
        if self.with_some_passed_over:
            passed = select(_inspection.c.id).where(_inspection.c.uid.in_(bindparam("passed_over", expanding=True)))
            conditions.append(_queue.c.inspection_id.not_in(passed))
        return conditions

    @property
    def ranks(self) -> list[ColumnElement[Any]]:
        """In which order."""
        return [*([_queue.c.certainty] if self.order == "uncertain" else []), _queue.c.inspection_id]


@cache
def _look_ahead(asked: _Asked) -> Executable:
    query = select(_inspection.c.uid).join_from(_queue, _inspection, _inspection.c.id == _queue.c.inspection_id)
    return query.where(FREE, *asked.conditions).order_by(*asked.ranks).limit(bindparam("most"))


@cache
def _take_next(asked: _Asked) -> Executable:
    def first(*conditions: ColumnElement[bool] | TextClause, by: Sequence[ColumnElement[Any]]) -> ScalarSelect[int]:
        query = select(_queue.c.inspection_id).where(*conditions, *asked.conditions).order_by(*by).limit(1)
        return query.with_for_update(skip_locked=True).scalar_subquery()

    ended = first(TAKEN, _queue.c.claim_expires_at <= bindparam("now"), by=[_queue.c.claim_expires_at])
    free = first(FREE, by=asked.ranks)
    uid = select(_inspection.c.uid).where(_inspection.c.id == _queue.c.inspection_id).scalar_subquery()
    taken: dict[str, Any] = {"claimed_by": bindparam("reviewer"), "claim_expires_at": bindparam("until")}
    return update(_queue).where(_queue.c.inspection_id == func.coalesce(ended, free)).values(taken).returning(uid)
