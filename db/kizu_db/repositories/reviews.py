"""What people decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.orm import Session, selectinload

from kizu_db.permissions import Action
from kizu_db.repositories.audit_trail import AuditTrail, canonical_time
from kizu_db.repositories.common import insert_unless_there, inspection_id
from kizu_db.repositories.review_queue import ReviewQueue
from kizu_db.repositories.rollups import Counted, Rollups
from kizu_db.repositories.users import Users
from kizu_db.tables import InspectionTable, ReviewBoxTable, ReviewTable, SecondReviewTable
from kizu_db.values import MOST_BOXES, Decision, Disposition, DrawnBox, NewReview, Review, Treatment
from kizu_inspect.errors import RecordError

__all__ = ["Reviews", "review_content", "review_value"]

# Before the new row, whose foreign key would else hold the inspection for two reviews at once: each would wait for the other.
_WITH_BOXES = selectinload(ReviewTable.boxes)
_HOLD = select(InspectionTable.id).where(InspectionTable.uid == bindparam("uid")).with_for_update(key_share=True)

_BOX = tuple(field.name for field in fields(DrawnBox))


class Reviews:
    """The reviews. They are only ever added: a correction is a new review that names the one it supersedes."""

    def __init__(self, session: Session, rollups: Rollups, queue: ReviewQueue, trail: AuditTrail, users: Users) -> None:
        self._session = session
        self._rollups = rollups
        self._queue = queue
        self._trail = trail
        self._users = users

    def add(self, review: NewReview) -> Review:
        """The stored review; where the nonce is known already, the one stored first, unchanged.

        It becomes the inspection's current disposition, takes it from the queue, and is told in the audit trail.

        Raises RecordError for an unknown inspection, a review without a reviewer, a good part with a defect class or a box,
        boxes that are too many, have no class or lie beyond the picture, and a correction of a review that is not there,
        belongs to another inspection or was corrected before; NotAllowed for a reviewer who may not review.
        """
        first = self._by_nonce(review.nonce)
        if first is not None:
            return first
        number = self.require_storable(review)
        first = self._by_nonce(review.nonce)  # the same form may have been stored while this one waited
        if first is not None:
            return first
        values = {name: value for name, value in asdict(review).items() if name not in ("uid_inspection", "boxes")}
        values |= {
            "inspection_id": number,
            "reviewed_at": datetime.now(UTC),
        }
        if review.supersedes is not None:
            self._require_correctable(review.supersedes, values["inspection_id"])
        new_id = insert_unless_there(self._session, ReviewTable, values)
        if new_id is not None:
            boxes = [{"review_id": new_id, "ordinal": n, **asdict(box)} for n, box in enumerate(review.boxes)]
            if boxes:
                self._session.execute(insert(ReviewBoxTable), boxes)
            stored = self._session.get_one(ReviewTable, new_id, options=[_WITH_BOXES])
            self._settle(stored, review.uid_inspection)
            return review_value(stored, review.uid_inspection)
        # Another connection was faster: with the same form, or with another correction of the same review.
        first = self._by_nonce(review.nonce)
        if first is None:
            raise _corrected_before(review.supersedes)
        return first

    def of(self, uid: str, *, hold: bool = False) -> list[Review]:
        """The inspection's reviews, oldest first, corrected ones included; empty for an unknown inspection.

        With `hold` nobody else adds one until this unit ends.
        """
        if hold:
            self._session.execute(_HOLD, {"uid": uid})
        found = self._session.scalars(
            select(ReviewTable)
            .join(InspectionTable, InspectionTable.id == ReviewTable.inspection_id)
            .where(InspectionTable.uid == uid)
            .order_by(ReviewTable.id)
            .options(_WITH_BOXES)
        )
        return [review_value(review, uid) for review in found]

    def judged_since(self, reviewer: str, since: datetime) -> int:
        """How many inspections this person has judged from then on: decided, corrected, or looked at a second time."""
        counted = 0
        for table in (ReviewTable, SecondReviewTable):
            query = select(func.count(table.inspection_id.distinct()))
            counted += self._session.scalar(query.where(table.reviewer == reviewer, table.reviewed_at >= since)) or 0
        return counted

    def require_storable(self, review: NewReview) -> int:
        """The number of the inspection, which nobody else reviews until this unit ends. Raises as `add`."""
        _require_sound(review)
        self._users.require(review.reviewer, Action.REVIEW)
        number = self._hold(review.uid_inspection)
        self._require_inside(review.boxes, number)
        return number

    def _settle(self, review: ReviewTable, uid: str) -> None:
        """Let the inspection follow its review, and tell of it."""
        same = select(InspectionTable).where(InspectionTable.id == review.inspection_id)
        found = self._session.scalars(same.execution_options(populate_existing=True)).one()
        before = {"disposition": found.disposition, "defect_class": found.defect_class}
        was, is_now = cast("Disposition | None", found.disposition), cast("Disposition", review.disposition)
        self._rollups.move_review(Counted.of(found), was, is_now)
        found.disposition, found.defect_class = review.disposition, review.defect_class
        self._session.flush()
        self._queue.settle(found.id)
        self._trail.add(
            "review.add",
            actor=review.reviewer,
            subject="review",
            subject_id=review.id,
            before=None if was is None else before,
            after=review_content(review, uid),
            reason=review.reason,
        )

    def _hold(self, uid: str) -> int:
        """The inspection's number; of several reviews at once the later ones wait here, and then find what was decided."""
        number: int | None = self._session.scalar(_HOLD, {"uid": uid})
        return inspection_id(self._session, uid) if number is None else number

    def _by_nonce(self, nonce: str) -> Review | None:
        found = self._session.execute(
            select(ReviewTable, InspectionTable.uid)
            .join(InspectionTable, InspectionTable.id == ReviewTable.inspection_id)
            .where(ReviewTable.nonce == nonce)
            .options(_WITH_BOXES)
        ).one_or_none()
        return None if found is None else review_value(found[0], found[1])

    def _require_inside(self, boxes: Sequence[DrawnBox], number: int) -> None:
        """That they lie within the picture of the inspection with this number."""
        if not boxes:
            return
        size = select(InspectionTable.width_px, InspectionTable.height_px).where(InspectionTable.id == number)
        width, height = self._session.execute(size).one()
        for box in boxes:
            if width is None or height is None or not (0 <= box.x1 < box.x2 <= width and 0 <= box.y1 < box.y2 <= height):
                raise RecordError(
                    "A box does not lie within the picture", found=f"x {box.x1} to {box.x2}, y {box.y1} to {box.y2}",
                    expected="a picture whose size is known" if width is None else f"pixels of {width} × {height}",
                )  # fmt: skip

    def _require_correctable(self, review_id: int, of_inspection: int) -> None:
        former = self._session.get(ReviewTable, review_id)
        if former is None or former.inspection_id != of_inspection:
            raise RecordError(
                "The review to be corrected does not belong to this inspection",
                found=f"review {review_id}",
                next_step="Reload the page and decide again.",
            )
        if self._session.scalar(select(ReviewTable.id).where(ReviewTable.supersedes == review_id)) is not None:
            raise _corrected_before(review_id)


def _require_sound(review: NewReview) -> None:
    if not review.reviewer.strip():
        raise RecordError("A review needs a reviewer", found=repr(review.reviewer), expected="a name")
    if not review.nonce:
        raise RecordError("A review needs a nonce", found="an empty one", expected="text unique to one form")
    if review.disposition == "good" and review.defect_class is not None:
        raise RecordError("A good part has no defect class", found=repr(review.defect_class), expected="None")
    if review.disposition == "good" and review.boxes:
        raise RecordError("A good part has no boxes", found=len(review.boxes), expected="none")
    if len(review.boxes) > MOST_BOXES:
        raise RecordError("A review has too many boxes", found=len(review.boxes), expected=f"at most {MOST_BOXES}")
    if not all(box.defect_class.strip() for box in review.boxes):
        raise RecordError("A box needs a defect class", found="an empty one", expected="a name")


def _corrected_before(review_id: int | None) -> RecordError:
    return RecordError(
        f"Review {review_id} was corrected by somebody else", next_step="Reload the page to see the newer review, then decide."
    )


def review_content(review: ReviewTable, uid: str) -> dict[str, Any]:
    """What the audit trail keeps of a review: all of it."""
    names = (
        "id",
        "reviewer",
        "disposition",
        "defect_class",
        "decision",
        "treatment",
        "reason",
        "shown_ms",
        "nonce",
        "supersedes",
    )
    told = {name: getattr(review, name) for name in names}
    if review.boxes:  # what is told of a review without any stays what it was before there were boxes
        told["boxes"] = [[getattr(box, name) for name in _BOX] for box in review.boxes]
    return told | {"inspection": uid, "reviewed_at": canonical_time(review.reviewed_at)}


def review_value(review: ReviewTable, uid: str) -> Review:
    """The review as a plain value."""
    return Review(
        id=review.id,
        uid_inspection=uid,
        reviewer=review.reviewer,
        disposition=cast(Disposition, review.disposition),  # the database checks the words
        defect_class=review.defect_class,
        decision=cast(Decision, review.decision),
        treatment=cast("Treatment | None", review.treatment),
        reason=review.reason,
        shown_ms=review.shown_ms,
        nonce=review.nonce,
        supersedes=review.supersedes,
        reviewed_at=review.reviewed_at,
        boxes=tuple(DrawnBox(**{name: getattr(box, name) for name in _BOX}) for box in review.boxes),
    )
