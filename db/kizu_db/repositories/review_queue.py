"""What waits for a review."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from kizu_db.chance import chance_of
from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail, canonical_time
from kizu_db.repositories.common import insert_unless_there, inspection_id
from kizu_db.repositories.queue_order import Order, asked_for, look_ahead
from kizu_db.repositories.users import Users
from kizu_db.tables import InspectionTable, QueueTable
from kizu_db.values import Claim, Escalation, Look, NewInspection, Waiting
from kizu_inspect.errors import RecordError

__all__ = ["ReviewQueue"]

_PLAIN = {"synchronize_session": False}
_BETWEEN = "\x1e"  # what several people wrote is kept in one text
_KINDS = (QueueTable.station.expression, QueueTable.defect_class.expression)


class ReviewQueue:
    """The parts that wait for a review: all that the line did not pass, and the audit sample. Reviewers take them by claims."""

    def __init__(self, session: Session, trail: AuditTrail, users: Users) -> None:
        self._session = session
        self._trail = trail
        self._users = users

    def add(self, number: int, uid: str, new: NewInspection) -> None:
        """Let an inspection wait."""
        judgement = new.judgement
        values = {
            "inspection_id": number,
            "station": new.station,
            "verdict": judgement.verdict,
            "defect_class": judgement.target,
            "certainty": _certainty(judgement.score),
            "blind_chance": chance_of(uid, "blind"),
        }
        insert_unless_there(self._session, QueueTable, values)

    def add_again(self, number: int, look: Look, *, seen_by: Sequence[str]) -> None:
        """Let a decided inspection wait once more, for none of these people. Who has it for the same look keeps it."""
        names = "".join(f"{name}\n" for name in dict.fromkeys(seen_by))
        if self.look_of(number) == look:
            change = update(QueueTable).where(QueueTable.inspection_id == number)
            self._session.execute(change.values(seen_by=names), execution_options=_PLAIN)
            free = change.where(QueueTable.claimed_by.in_(seen_by)).values(claimed_by=None, claim_expires_at=None)
            self._session.execute(free, execution_options=_PLAIN)
            return
        self.end(number)
        of = select(InspectionTable.station, InspectionTable.verdict, InspectionTable.target, InspectionTable.score)
        station, verdict, target, score = self._session.execute(of.where(InspectionTable.id == number)).one()
        values = {
            "inspection_id": number,
            "station": station,
            "verdict": verdict,
            "defect_class": target,
            "certainty": _certainty(score),
            "look": look,
            "seen_by": names,
        }
        insert_unless_there(self._session, QueueTable, values)

    def look_of(self, number: int) -> Look | None:
        """Why this decided inspection waits again; None where it does not."""
        look = self._session.scalar(select(QueueTable.look).where(QueueTable.inspection_id == number).with_for_update())
        return cast("Look | None", look)

    def looks(self, uids: Collection[str]) -> dict[str, Look]:
        """Those of these inspections that wait again though they were decided, each with whose look they wait for."""
        waiting = select(InspectionTable.uid, QueueTable.look).join(QueueTable, QueueTable.inspection_id == InspectionTable.id)
        found = self._session.execute(waiting.where(InspectionTable.uid.in_(uids), QueueTable.look.is_not(None)))
        return {uid: cast("Look", look) for uid, look in found}

    def settle(self, number: int) -> None:
        """Take an inspection out that was reviewed just now; a look that decided ones wait for is still to be made."""
        settled = delete(QueueTable).where(QueueTable.inspection_id == number, QueueTable.look.is_(None))
        self._session.execute(settled, execution_options=_PLAIN)

    def end(self, number: int) -> None:
        """Take a decided inspection out that nobody is to look at again."""
        again = delete(QueueTable).where(QueueTable.inspection_id == number, QueueTable.look.is_not(None))
        self._session.execute(again, execution_options=_PLAIN)

    def escalate(self, uid: str, *, by: str, why: str = "") -> None:
        """Leave a part that `by` cannot tell to another person: it waits on, and `by` is not offered it again.

        Who has it on the screen by now keeps it. Raises RecordError where it does not wait, NotAllowed where `by` may
        not review.
        """
        self._users.require(by, Action.REVIEW)
        here = QueueTable.inspection_id == inspection_id(self._session, uid)
        waiting = self._session.scalar(select(QueueTable).where(here).with_for_update())
        if waiting is None:
            raise RecordError(
                "The part does not wait for a decision", found=f"inspection {uid}", expected="one that nobody decided yet",
                next_step="Take the next one.",
            )  # fmt: skip
        before = [] if waiting.escalated_by is None else [waiting.escalated_why or ""]
        told = {
            "escalated_by": f"{waiting.escalated_by or ''}{by}\n",
            "escalated_why": _BETWEEN.join([*before, why.replace(_BETWEEN, " ")]),
        }
        free = {"claimed_by": None, "claim_expires_at": None} if waiting.claimed_by == by else {}
        self._session.execute(update(QueueTable).where(here).values(**told, **free), execution_options=_PLAIN)
        self._session.expire(waiting)
        self._trail.add("review.escalate", actor=by, subject="inspection", subject_id=uid, before=None, after=None, reason=why)

    def escalations(self, uid: str) -> tuple[Escalation, ...]:
        """Who could not tell this part, in that order; empty where nobody said so, or it was decided since."""
        query = select(QueueTable.escalated_by, QueueTable.escalated_why).join(
            InspectionTable, InspectionTable.id == QueueTable.inspection_id
        )
        found = self._session.execute(query.where(InspectionTable.uid == uid)).one_or_none()
        if found is None or found[0] is None:
            return ()
        names, reasons = found[0].splitlines(), (found[1] or "").split(_BETWEEN)
        return tuple(Escalation(by=by, why=why) for by, why in zip(names, reasons, strict=True))

    def left_by(self, name: str, uids: Collection[str]) -> set[str]:
        """Those of these inspections that wait and that this person left to somebody else."""
        left = select(InspectionTable.uid, QueueTable.escalated_by).join(
            QueueTable, QueueTable.inspection_id == InspectionTable.id
        )
        found = self._session.execute(left.where(InspectionTable.uid.in_(uids), QueueTable.escalated_by.is_not(None)))
        return {uid for uid, names in found if name in (names or "").splitlines()}

    def claims(self, *, of: str | None = None) -> list[Claim]:
        """All parts that somebody has, or this reviewer, by the end of the lease; expired ones are nobody's."""
        query = select(InspectionTable.uid, QueueTable.claimed_by, QueueTable.claim_expires_at, QueueTable.look).join_from(
            QueueTable, InspectionTable, InspectionTable.id == QueueTable.inspection_id
        )
        query = query.where(QueueTable.claimed_by.is_not(None), QueueTable.claim_expires_at > datetime.now(UTC))
        if of is not None:
            query = query.where(QueueTable.claimed_by == of)
        found = self._session.execute(query.order_by(QueueTable.claim_expires_at))
        return [
            Claim(uid_inspection=uid, reviewer=by, expires_at=end, look=cast("Look | None", look))
            for uid, by, end, look in found
            if by and end
        ]

    def free(self, uid: str, *, of: str, by: str, reason: str) -> None:
        """Take a part from the reviewer `of`, who has it on the screen: anybody may have it from now on.

        Raises RecordError where that reviewer has not got it (any more) and without a reason, NotAllowed where `by` may not.
        """
        self._users.require(by, Action.RELEASE_CLAIM)
        if not reason.strip():
            raise RecordError("The release of a claim needs a reason", found=repr(reason))
        number = inspection_id(self._session, uid)
        claimed = select(QueueTable.claim_expires_at).where(
            QueueTable.inspection_id == number, QueueTable.claimed_by == of, QueueTable.claim_expires_at > datetime.now(UTC)
        )
        until = self._session.scalar(claimed.with_for_update())
        if until is None:
            raise RecordError(f"{of} has not got this part any more", found=f"inspection {uid}", expected=f"a claim of {of}")
        change = update(QueueTable).where(QueueTable.inspection_id == number)
        self._session.execute(change.values(claimed_by=None, claim_expires_at=None), execution_options=_PLAIN)
        before = {"claimed_by": of, "claim_expires_at": canonical_time(until)}
        self._trail.add(
            "claim.release", actor=by, subject="inspection", subject_id=uid, before=before, after={"claimed_by": None},
            reason=reason,
        )  # fmt: skip

    def next_up(
        self,
        reviewer: str,
        *,
        order: Order = "uncertain",
        station: str | None = None,
        defect_class: str | None = None,
        passing_over: Sequence[str] = (),
        settles: bool = False,
        blind_share: float = 0.0,
        limit: int = 1,
    ) -> list[str]:
        """The uids of the parts that `Claims.take` would give next, if nobody else took them. It waits for nobody."""
        asked, told = asked_for(reviewer, order, station, defect_class, passing_over, settles=settles, blind_share=blind_share)
        return list(self._session.scalars(look_ahead(asked), told | {"most": limit}))

    def kinds(self) -> tuple[list[str], list[str]]:
        """The stations whose parts wait, and the defect classes that these are suspected of, each by name."""
        queries = (select(column).distinct().where(column.is_not(None)).order_by(column) for column in _KINDS)
        stations, classes = ([kind for kind in self._session.scalars(query) if kind is not None] for query in queries)
        return stations, classes

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


def _certainty(score: float | None) -> float:
    return 0.0 if score is None else abs(2 * score - 1)
