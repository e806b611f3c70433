"""A second look at decided parts: what another person said, blind to the decision, and what follows where they disagree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from kizu_db.chance import chance_of
from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail, canonical_time
from kizu_db.repositories.common import insert_unless_there, number_of
from kizu_db.repositories.review_queue import ReviewQueue
from kizu_db.repositories.reviews import Reviews
from kizu_db.repositories.users import Users
from kizu_db.tables import InspectionTable, SecondReviewTable
from kizu_db.values import Decision, Disposition, DrawnBox, Look, NewReview, Review, Treatment
from kizu_inspect.errors import NotAllowed, RecordError

__all__ = ["SecondReviews"]

_SAID = ("reviewer", "disposition", "defect_class", "decision", "treatment", "reason", "shown_ms", "nonce")
_BOX = ("x1", "y1", "x2", "y2", "defect_class")


class SecondReviews:
    """Second reviews. They are only ever added, and decide nothing: the first decision stands until somebody corrects it."""

    def __init__(self, session: Session, reviews: Reviews, queue: ReviewQueue, trail: AuditTrail, users: Users) -> None:
        self._session = session
        self._reviews = reviews
        self._queue = queue
        self._trail = trail
        self._users = users

    def add(self, review: NewReview) -> bool:
        """Whether it is stored now; not where its nonce is known already. One's own second review may be given anew.

        Raises RecordError where the part waits for no second look by this person, and as `Reviews.add`.
        """
        number = self._reviews.require_storable(review)
        known = self.of(review.uid_inspection)
        if any(one.nonce == review.nonce for one in known):
            return False
        if not self.waits_for(review.reviewer, review.uid_inspection):
            raise RecordError(
                "The part waits for no second look by this person",
                found=f"{review.reviewer}, inspection {review.uid_inspection}",
                expected="a decided part that was drawn for one, and somebody who has not judged it",
                next_step="Take the next one.",
            )  # fmt: skip
        values = {name: getattr(review, name) for name in _SAID} | {
            "boxes": [[getattr(box, name) for name in _BOX] for box in review.boxes],
            "inspection_id": number,
            "reviewed_at": datetime.now(UTC),
        }
        new_id = insert_unless_there(self._session, SecondReviewTable, values)
        if new_id is None:
            return False
        row = self._session.get_one(SecondReviewTable, new_id)
        after = {name: getattr(row, name) for name in ("id", *_SAID, "boxes")}
        after |= {"inspection": review.uid_inspection, "reviewed_at": canonical_time(row.reviewed_at)}
        self._trail.add(
            "review.second", actor=row.reviewer, subject="second_review", subject_id=new_id, before=None, after=after,
            reason=row.reason,
        )  # fmt: skip
        return True

    def waits_for(self, reviewer: str, uid: str) -> bool:
        """Whether this person may give a second review: nobody else has, or they have themselves, and they decided nothing."""
        number = number_of(self._session, uid)
        if number is None or reviewer in {one.reviewer for one in self._reviews.of(uid)}:
            return False
        return reviewer in {one.reviewer for one in self.of(uid)} or self._queue.look_of(number) == "second"

    def of(self, uid: str) -> list[Review]:
        """The inspection's second reviews, oldest first; of one person the last one counts."""
        query = select(SecondReviewTable).join(InspectionTable, InspectionTable.id == SecondReviewTable.inspection_id)
        found = self._session.scalars(query.where(InspectionTable.uid == uid).order_by(SecondReviewTable.id))
        return [_value(one, uid) for one in found]

    def arrange(self, uid: str, *, share: float, settles: bool = False) -> Look | None:
        """After a decision or a second review: let the part wait for who is to look next, and say for whom.

        A decided part that is drawn into `share` waits for another person; where these two disagree, on good or defective or
        on the defect, for an engineer who is neither of them. Once it waits so, only what that engineer decides ends it.
        `settles`: a decision was stored just now, by who may settle as signed in; in the records that person may be more.
        """
        seconds, number = self.of(uid), number_of(self._session, uid)
        drawn = bool(seconds) or chance_of(uid, "second") < share
        decided = self._reviews.of(uid) if drawn else []
        if number is None or (drawn and not decided):
            return None
        judges = [one.reviewer for one in (*decided, *seconds)]
        look: Look | None = "second" if drawn else None
        disputed = self._queue.look_of(number) == "engineer"
        if seconds:
            apart = disputed or _said(decided[-1]) != _said(seconds[-1])
            look = "engineer" if apart and not (settles and self._settled(decided, seconds)) else None
        if look is None:
            self._queue.end(number)
        else:
            self._queue.add_again(number, look, seen_by=judges)
        if look == "engineer" and not disputed:
            told = {"decided": decided[-1].id, "second": seconds[-1].id}
            by = max(decided[-1], seconds[-1], key=lambda one: one.reviewed_at).reviewer
            self._trail.add("review.disagree", actor=by, subject="inspection", subject_id=uid, before=None, after=told)
        return look

    def _settled(self, decided: list[Review], seconds: list[Review]) -> bool:
        """Whether the standing decision is that of an engineer who is neither of the two."""
        last = decided[-1]
        if last.reviewer in {one.reviewer for one in (*decided[:-1], *seconds)}:
            return False
        try:
            self._users.require(last.reviewer, Action.SETTLE)
        except NotAllowed:
            return False
        return True


def _said(review: Review) -> tuple[str, str | None]:
    return review.disposition, review.defect_class


def _value(row: SecondReviewTable, uid: str) -> Review:
    return Review(
        id=row.id, uid_inspection=uid, reviewer=row.reviewer, disposition=cast(Disposition, row.disposition),
        defect_class=row.defect_class, decision=cast(Decision, row.decision), treatment=cast("Treatment | None", row.treatment),
        reason=row.reason, shown_ms=row.shown_ms, nonce=row.nonce, reviewed_at=row.reviewed_at,
        boxes=tuple(DrawnBox(**dict(zip(_BOX, box, strict=True))) for box in row.boxes),
    )  # fmt: skip
