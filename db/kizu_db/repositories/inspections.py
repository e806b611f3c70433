"""What was inspected, and why it was judged so."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Exists, Row, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload

from kizu_db.repositories.common import insert_unless_there, inspection_id, require_finite
from kizu_db.repositories.heatmaps import explanation_value, heatmap_values, region_values
from kizu_db.repositories.models import model_row
from kizu_db.repositories.recipes import recipe_row
from kizu_db.repositories.reviews import review_value
from kizu_db.tables import HeatmapTable, InspectionTable, PartTable, RegionTable, ReviewTable
from kizu_db.uid import new_uid
from kizu_db.values import Disposition, ExplanationState, InspectionRecord, InspectionRow, NewInspection
from kizu_inspect.errors import AlreadyInspected
from kizu_inspect.results import Explanation, Verdict

__all__ = ["Inspections"]

_TO_REPORT = (Verdict.REVIEW, Verdict.REJECT, Verdict.ERROR)


class Inspections:
    """The inspections. Times are aware; "newest" and "oldest" mean the order of recording, whatever the clock did.

    A period goes from `since` (inclusive) to `until` (exclusive) by the time of judging; None leaves that end open.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, new: NewInspection) -> str:
        """Record an inspection; its uid, a UUID of version 7.

        Raises AlreadyInspected where this (source, source key) has its row already (the unit stays usable), RecordError
        for numbers that are none.
        """
        judgement = new.judgement
        require_finite({"score": judgement.score, **judgement.probabilities, **new.timings_ms}, "An inspection")
        uid = new_uid()
        values = {
            "uid": uid,
            "part_id": self._part_id(new),
            "view": new.view,
            "station": new.station,
            "source": new.source,
            "source_key": new.source_key,
            "captured_at": new.captured_at,
            "judged_at": new.judged_at,
            "verdict": judgement.verdict,
            "reason": judgement.reason,
            "probabilities": {name: float(value) for name, value in judgement.probabilities.items()},
            "predicted": judgement.predicted,
            "target": judgement.target,
            "score": None if judgement.score is None else float(judgement.score),
            "width_px": judgement.width_px,
            "height_px": judgement.height_px,
            "image_sha256": new.image_sha256,
            "image_name": new.image_name,
            "model_hash": new.model_hash,
            "recipe_id": new.recipe_id,
            "device": new.device,
            "timings_ms": {name: float(value) for name, value in new.timings_ms.items()},
            "explanation_state": new.explanation_state,
            "audit": new.audit,
            "audit_probability": new.audit_probability,
            "error": new.error,
        }
        if insert_unless_there(self._session, InspectionTable, values) is None:
            raise AlreadyInspected(f"{new.source_key} of {new.source} was inspected before")
        return uid

    def uid_of(self, source: str, source_key: str) -> str | None:
        """The inspection of this piece of work; None where it has none yet."""
        return self._session.scalar(
            select(InspectionTable.uid).where(InspectionTable.source == source, InspectionTable.source_key == source_key)
        )

    def latest(
        self,
        *,
        verdicts: Collection[Verdict] | None = None,
        station: str | None = None,
        part: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        unreviewed: bool = False,
        conflicting: bool = False,
        limit: int = 100,
        before: str | None = None,
    ) -> list[InspectionRow]:
        """The newest inspections, newest first, at most `limit`.

        `verdicts` None means all; `part` is a piece of the serial, in upper or lower case; `unreviewed` leaves only those
        that nobody reviewed yet, `conflicting` only those with a map that does not explain the verdict. `before` is the uid of
        the last row of the page before; an unknown one gives an empty list.
        """
        query = _rows().where(*_period(since, until), *_at(station)).order_by(InspectionTable.id.desc()).limit(limit)
        if verdicts is not None:
            query = query.where(InspectionTable.verdict.in_(verdicts))
        if part is not None:
            query = query.where(PartTable.serial.icontains(part, autoescape=True))
        if unreviewed:
            query = query.where(~select(ReviewTable.id).where(ReviewTable.inspection_id == InspectionTable.id).exists())
        if conflicting:
            query = query.where(_conflicting())
        if before is not None:
            query = query.where(
                InspectionTable.id < select(InspectionTable.id).where(InspectionTable.uid == before).scalar_subquery()
            )
        return [_row_value(found) for found in self._session.execute(query)]

    def get(self, uid: str) -> InspectionRecord | None:
        """All that is known of one inspection; None where there is no such uid."""
        found = self._session.execute(_records().where(InspectionTable.uid == uid)).one_or_none()
        return None if found is None else _record_value(found)

    def pending_explanations(self, station: str, limit: int) -> list[InspectionRow]:
        """The station's inspections whose map is promised and not made, oldest first, at most `limit`."""
        pending = InspectionTable.explanation_state == ExplanationState.PENDING
        query = _rows().where(pending, *_at(station)).order_by(InspectionTable.id).limit(limit)
        return [_row_value(found) for found in self._session.execute(query)]

    def store_explanation(self, uid: str, explanation: Explanation, *, settles: bool = True) -> None:
        """Keep the map and its regions; a map of the same method that was there is replaced.

        `settles` False leaves open whether the line's own map was made: for a second opinion, which must not end a promise.

        Raises RecordError for an unknown inspection, a grid that is not float16, and numbers that are none.
        """
        number = inspection_id(self._session, uid)
        values = heatmap_values(number, explanation)
        same = (HeatmapTable.inspection_id == number) & (HeatmapTable.method == explanation.heatmap.method)
        self._session.execute(delete(HeatmapTable).where(same), execution_options={"synchronize_session": False})
        heatmap_id = self._session.scalars(insert(HeatmapTable).values(**values).returning(HeatmapTable.id)).one()
        regions = region_values(heatmap_id, explanation.regions)
        if regions:
            self._session.execute(insert(RegionTable), regions)
        if settles:
            self._set_state(number, ExplanationState.DONE, None)

    def fail_explanation(self, uid: str, error: str) -> None:
        """Record that the map could not be made, and why. Raises RecordError for an unknown inspection."""
        self._set_state(inspection_id(self._session, uid), ExplanationState.FAILED, error)

    def counts(
        self, *, since: datetime | None = None, until: datetime | None = None, station: str | None = None
    ) -> dict[Verdict, int]:
        """How many inspections of the period have each verdict, mildest first, with 0 for those that none has."""
        query = select(InspectionTable.verdict, func.count()).where(*_period(since, until), *_at(station))
        found: dict[Verdict, int] = dict(self._session.execute(query.group_by(InspectionTable.verdict)).all())
        return {verdict: found.get(verdict, 0) for verdict in Verdict}

    def flagged(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        station: str | None = None,
        limit: int | None = None,
    ) -> list[InspectionRecord]:
        """The REVIEW, REJECT and ERROR inspections of the period, oldest first, at most `limit` (None: all)."""
        query = _records().where(InspectionTable.verdict.in_(_TO_REPORT), *_period(since, until), *_at(station))
        found = self._session.execute(query.order_by(InspectionTable.id).limit(limit))
        return [_record_value(record) for record in found]

    def _part_id(self, new: NewInspection) -> int:
        lot = new.lot or ""
        known = select(PartTable.id).where(PartTable.serial == new.part, PartTable.lot == lot)
        found = self._session.scalar(known)
        if found is None:
            values = {"serial": new.part, "lot": lot, "generated": new.part_generated}
            found = insert_unless_there(self._session, PartTable, values)
        # Another station may have recorded its first view of the part in between.
        return found if found is not None else self._session.scalars(known).one()

    def _set_state(self, number: int, state: ExplanationState, error: str | None) -> None:
        change = update(InspectionTable).where(InspectionTable.id == number)
        self._session.execute(
            change.values(explanation_state=state, explanation_error=error),
            execution_options={"synchronize_session": False},
        )

    def records_after(
        self,
        uid: str | None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        station: str | None = None,
        verdicts: Collection[Verdict] | None = None,
        limit: int = 200,
    ) -> list[InspectionRecord]:
        """The next inspections after that one, oldest first, at most `limit`; None begins with the first of all.

        `verdicts` None means all. An unknown uid gives an empty list.
        """
        table = InspectionTable
        # With an index on a bare column, each page would sort all that is left of the period, in time that grows with the
        # square of its length. Hidden in a call, the conditions are asked of each row along the order of recording.
        judged_at, at, verdict = (func.coalesce(one, one) for one in (table.judged_at, table.station, table.verdict))
        query = _records().order_by(table.id).limit(limit)
        if uid is not None:
            query = query.where(table.id > select(table.id).where(table.uid == uid).scalar_subquery())
        if since is not None:
            query = query.where(judged_at >= since)
        if until is not None:
            query = query.where(judged_at < until)
        if station is not None:
            query = query.where(at == station)
        if verdicts is not None:
            query = query.where(verdict.in_(verdicts))
        return [_record_value(found) for found in self._session.execute(query)]


def _period(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    start = [] if since is None else [InspectionTable.judged_at >= since]
    end = [] if until is None else [InspectionTable.judged_at < until]
    return [*start, *end]


def _at(station: str | None) -> list[ColumnElement[bool]]:
    return [] if station is None else [InspectionTable.station == station]


def _conflicting() -> Exists:
    """Whether a map of the inspection does not explain its verdict."""
    same = HeatmapTable.inspection_id == InspectionTable.id
    return select(HeatmapTable.id).where(same, HeatmapTable.conflict).exists()


def _rows() -> Select[InspectionTable, str | None, bool, bool]:
    """Each inspection with its part, what the latest review says, and whether it has a map."""
    disposition = (
        select(ReviewTable.disposition)
        .where(ReviewTable.inspection_id == InspectionTable.id)
        .order_by(ReviewTable.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    has_heatmap = select(HeatmapTable.id).where(HeatmapTable.inspection_id == InspectionTable.id).exists()
    query = select(InspectionTable, disposition, has_heatmap, _conflicting()).join(InspectionTable.part)
    # A unit may have stored a map or a state since it last read the row.
    return query.options(contains_eager(InspectionTable.part)).execution_options(populate_existing=True)


def _records() -> Select[InspectionTable, str | None, bool, bool]:
    """The rows with everything that hangs on them, in a fixed number of queries however many they are."""
    return _rows().options(
        joinedload(InspectionTable.model),
        joinedload(InspectionTable.recipe),
        selectinload(InspectionTable.heatmaps).selectinload(HeatmapTable.regions),
        selectinload(InspectionTable.reviews),
    )


def _row_value(found: Row[InspectionTable, str | None, bool, bool]) -> InspectionRow:
    inspection, disposition, has_heatmap, conflict = found
    return InspectionRow(
        uid=inspection.uid,
        part=inspection.part.serial,
        part_generated=inspection.part.generated,
        view=inspection.view,
        lot=inspection.part.lot or None,
        station=inspection.station,
        captured_at=inspection.captured_at,
        judged_at=inspection.judged_at,
        verdict=inspection.verdict,
        reason=inspection.reason,
        predicted=inspection.predicted,
        target=inspection.target,
        score=inspection.score,
        image_sha256=inspection.image_sha256,
        model_hash=inspection.model_hash,
        explanation_state=inspection.explanation_state,
        audit=inspection.audit,
        disposition=cast("Disposition | None", disposition),
        has_heatmap=bool(has_heatmap),
        explanation_conflict=bool(conflict),
    )


def _record_value(found: Row[InspectionTable, str | None, bool, bool]) -> InspectionRecord:
    inspection = found[0]
    return InspectionRecord(
        row=_row_value(found),
        source=inspection.source,
        source_key=inspection.source_key,
        image_name=inspection.image_name,
        probabilities=inspection.probabilities,
        width_px=inspection.width_px,
        height_px=inspection.height_px,
        device=inspection.device,
        timings_ms=inspection.timings_ms,
        audit_probability=inspection.audit_probability,
        model=None if inspection.model is None else model_row(inspection.model),
        recipe=None if inspection.recipe is None else recipe_row(inspection.recipe),
        explanations=tuple(explanation_value(heatmap) for heatmap in inspection.heatmaps),
        explanation_error=inspection.explanation_error,
        reviews=tuple(review_value(review, inspection.uid) for review in inspection.reviews),
        error=inspection.error,
    )
