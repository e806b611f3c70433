"""Who has which part on the screen, so that nobody else is shown it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, update
from sqlalchemy.orm import Session

from kizu_db.repositories.common import inspection_id
from kizu_db.repositories.queue_order import Order, asked_for, may_have, take_next
from kizu_db.tables import QueueTable
from kizu_db.values import Claim
from kizu_inspect.errors import RecordError

__all__ = ["LEASE", "Claims"]

_QUEUE = QueueTable.metadata.tables[QueueTable.__tablename__]

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
        settles: bool = False,
        blind_share: float = 0.0,
        lease: timedelta = LEASE,
    ) -> Claim | None:
        """The next part, for this reviewer alone until the lease ends; None where no part waits that nobody has.

        Of those that the model suspects of `defect_class` (none that is judged blind: no part of the audit sample, none of
        the `blind_share` of the others, no second look) at `station`, but for the uids in `passing_over` and those that this
        reviewer judged or left to a second person: first one whose lease has ended, then the least certain one, or the oldest.
        What two people disagree on is for who `settles` it.
        """
        now = datetime.now(UTC)
        asked, told = asked_for(reviewer, order, station, defect_class, passing_over, settles=settles, blind_share=blind_share)
        found = self._connection.execute(take_next(asked), told | {"now": now, "until": now + lease}).one_or_none()
        if found is None:
            return None
        return Claim(uid_inspection=found[0], reviewer=reviewer, expires_at=now + lease, look=found[1])

    def renew(self, uid: str, reviewer: str, *, lease: timedelta = LEASE) -> Claim:
        """The claim, from now on for a whole lease. Raises RecordError where the part is not this reviewer's any more."""
        until = datetime.now(UTC) + lease
        change = update(_QUEUE).where(_QUEUE.c.inspection_id == self._number(uid), _QUEUE.c.claimed_by == reviewer)
        if not self._connection.execute(change.values(claim_expires_at=until)).rowcount:
            raise RecordError(
                "The part is not yours any more", found=f"inspection {uid}", expected=f"a claim of {reviewer}",
                next_step="Take the next one.",
            )  # fmt: skip
        return Claim(uid_inspection=uid, reviewer=reviewer, expires_at=until)

    def hold(self, uid: str, reviewer: str, *, settles: bool = False, lease: timedelta = LEASE) -> Claim | None:
        """Have this very part, if it waits for this reviewer; None where somebody else has it, or nobody is to judge it."""
        now = datetime.now(UTC)
        free = _QUEUE.c.claimed_by.is_(None) | (_QUEUE.c.claimed_by == reviewer) | (_QUEUE.c.claim_expires_at <= now)
        change = update(_QUEUE).where(_QUEUE.c.inspection_id == self._number(uid), free, *may_have(settles=settles))
        change = change.values(claimed_by=reviewer, claim_expires_at=now + lease)
        held = self._connection.execute(change.returning(_QUEUE.c.look), {"reviewer": reviewer}).one_or_none()
        return None if held is None else Claim(uid_inspection=uid, reviewer=reviewer, expires_at=now + lease, look=held[0])

    def release(self, uid: str, *, by: str) -> None:
        """Give the part back; nothing happens where it is not this reviewer's. Another's is freed by `ReviewQueue.free`."""
        change = update(_QUEUE).where(_QUEUE.c.inspection_id == self._number(uid), _QUEUE.c.claimed_by == by)
        self._connection.execute(change.values(claimed_by=None, claim_expires_at=None))

    def _number(self, uid: str) -> int:
        with Session(self._connection) as session:
            return inspection_id(session, uid)
