"""What has been kept long enough: finding it, and letting it go in small pieces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, and_, delete, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.common import PLAIN
from kizu_db.repositories.rollups import Counted, Rollups
from kizu_db.tables import (
    HeatmapTable,
    InspectionTable,
    LotTable,
    PartTable,
    PrunePermitTable,
    ReviewBoxTable,
    ReviewTable,
    SecondReviewTable,
)
from kizu_db.values import DueInspection, ExplanationState, RetentionEnds
from kizu_inspect.results import Verdict

__all__ = ["Retention"]


class Retention:
    """Pictures and records whose time is over. What belongs to a held lot, or waits for its map, stays."""

    def __init__(self, session: Session, rollups: Rollups, trail: AuditTrail) -> None:
        self._session = session
        self._rollups = rollups
        self._trail = trail

    def due_images(
        self, ends: RetentionEnds, *, after: DueInspection | None = None, among: Sequence[int] | None = None, limit: int
    ) -> list[DueInspection]:
        """Inspections whose picture is to go, oldest first, at most `limit`: the ones after `after`, `among` these numbers.

        A PASS part of the audit sample, and one that a person called defective, is kept like a flagged one.
        """
        row = InspectionTable
        plain = and_(row.verdict == Verdict.PASS, ~row.audit, or_(row.disposition.is_(None), row.disposition == "good"))
        kinds = [(plain, ends.passed_images), (~plain, ends.flagged_images)]
        over = [and_(kind, row.judged_at < end) for kind, end in kinds if end is not None]
        if not over:
            return []
        latest = max(end for _, end in kinds if end is not None)
        kept = and_(row.image_sha256.is_not(None), row.image_pruned_at.is_(None))
        return self._due(kept, or_(*over), row.judged_at < latest, after=after, among=among, limit=limit)

    def due_records(
        self, ends: RetentionEnds, *, after: DueInspection | None = None, among: Sequence[int] | None = None, limit: int
    ) -> list[DueInspection]:
        """Inspections that are to go, oldest first, at most `limit`: the ones after `after`, `among` these numbers."""
        if ends.records is None:
            return []
        return self._due(InspectionTable.judged_at < ends.records, after=after, among=among, limit=limit)

    def drop_images(self, due: Sequence[DueInspection], *, by: str, reason: str) -> None:
        """Record that these pictures go; remove the files only when this unit is committed."""
        numbers = [one.number for one in due]
        gone = update(InspectionTable).where(InspectionTable.id.in_(numbers)).values(image_pruned_at=datetime.now(UTC))
        self._session.execute(gone, execution_options=PLAIN)
        told = {"images": {one.uid: one.image_sha256 for one in due}}
        self._trail.add("prune.images", actor=by, subject="retention", subject_id=due[0].uid, before=told, reason=reason)

    def drop_records(self, due: Sequence[DueInspection], *, by: str, reason: str) -> None:
        """Delete these inspections with all that hangs on them; the rollups follow, the audit trail stays and says which."""
        numbers = [one.number for one in due]
        rows = self._session.scalars(select(InspectionTable).where(InspectionTable.id.in_(numbers))).all()
        reviews = list(self._session.scalars(select(ReviewTable.id).where(ReviewTable.inspection_id.in_(numbers))))
        seconds = list(self._session.scalars(select(SecondReviewTable.id).where(SecondReviewTable.inspection_id.in_(numbers))))
        for row in rows:
            self._rollups.count(row.id, Counted.of(row), -1)
            self._rollups.move_review(Counted.of(row), row.disposition, None)  # type: ignore[arg-type]  # checked words
        parts = {row.part_id for row in rows}
        self._session.execute(insert(PrunePermitTable), [{"inspection_id": number} for number in numbers])
        for table, column in (
            (ReviewBoxTable, ReviewBoxTable.review_id),
            (ReviewTable, ReviewTable.inspection_id),
            (SecondReviewTable, SecondReviewTable.inspection_id),
            (HeatmapTable, HeatmapTable.inspection_id),  # its regions with it, and with the inspection the rest
            (InspectionTable, InspectionTable.id),
        ):
            of = reviews if table is ReviewBoxTable else numbers
            self._session.execute(delete(table).where(column.in_(of)), execution_options=PLAIN)
        # In the order in which a line looks parts up; who sees one of them again waits here, or is waited for.
        them = select(PartTable.id).where(PartTable.id.in_(parts)).order_by(PartTable.lot, PartTable.serial)
        self._session.execute(them.with_for_update())
        still = select(InspectionTable.id).where(InspectionTable.part_id == PartTable.id).exists()
        self._session.execute(delete(PartTable).where(PartTable.id.in_(parts), ~still), execution_options=PLAIN)
        self._session.execute(delete(PrunePermitTable), execution_options=PLAIN)
        self._session.expunge_all()
        told: dict[str, object] = {"inspections": {one.uid: one.image_sha256 for one in due}, "reviews": reviews}
        if seconds:  # what is told without any stays what it was before there were second reviews
            told["second_reviews"] = seconds
        self._trail.add("prune.records", actor=by, subject="retention", subject_id=due[0].uid, before=told, reason=reason)

    def image_is_kept(self, sha256: str) -> bool:
        """Whether an inspection still has this picture."""
        kept = select(InspectionTable.id).where(
            InspectionTable.image_sha256 == sha256, InspectionTable.image_pruned_at.is_(None)
        )
        return self._session.scalar(kept.limit(1)) is not None

    def kept_images(self, first: str, last: str) -> set[str]:
        """The pictures that inspections have, of those whose SHA-256 lies in [first, last)."""
        kept = (InspectionTable.image_pruned_at.is_(None), InspectionTable.image_sha256.between(first, last))
        return {
            name for name in self._session.scalars(select(InspectionTable.image_sha256).where(*kept)) if name and name < last
        }

    def _due(
        self, *conditions: ColumnElement[bool], after: DueInspection | None, among: Sequence[int] | None, limit: int
    ) -> list[DueInspection]:
        row = InspectionTable
        held = list(self._session.scalars(self._lots(among)))
        query = select(row.id, row.uid, row.judged_at, row.verdict, row.image_sha256).join(
            PartTable, PartTable.id == row.part_id
        )
        query = query.where(*conditions, PartTable.lot.not_in(held), row.explanation_state != ExplanationState.PENDING)
        if after is not None:
            query = query.where(tuple_(row.judged_at, row.id) > tuple_(after.judged_at, after.number))
        if among is None:
            query = query.order_by(row.judged_at, row.id)
        else:
            # About to go: whoever reviews them waits, and is waited for; what then no longer fits is left out.
            query = query.where(row.id.in_(among)).order_by(row.id).with_for_update(of=row)
        found = self._session.execute(query.limit(limit))
        return [DueInspection(number, uid, judged_at, verdict, sha256) for number, uid, judged_at, verdict, sha256 in found]

    def _lots(self, among: Sequence[int] | None) -> Select[str]:
        """The names of held lots; of the lots that inspections about to go belong to, and then none is held meanwhile."""
        if among is None:
            return select(LotTable.name).where(LotTable.held)
        of = select(PartTable.lot).join(InspectionTable, InspectionTable.part_id == PartTable.id)
        ours = LotTable.name.in_(of.where(InspectionTable.id.in_(among)))
        self._session.execute(select(LotTable.name).where(ours).order_by(LotTable.name).with_for_update(read=True))
        return select(LotTable.name).where(ours, LotTable.held)
