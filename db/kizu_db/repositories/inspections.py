"""What was inspected, and why it was judged so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, text, update
from sqlalchemy.orm import Session

from kizu_db.recordable import require_recordable
from kizu_db.repositories.common import PLAIN, insert_unless_there, inspection_id, number_of
from kizu_db.repositories.finding import MOST_PARTS, Wanted, find_ids
from kizu_db.repositories.heatmaps import heatmap_values, region_values
from kizu_db.repositories.plant import ensure_part, ensure_place, too_many_like
from kizu_db.repositories.review_queue import ReviewQueue
from kizu_db.repositories.rollups import Counted, Rollups
from kizu_db.repositories.rows import record_value, records_query, row_value, rows_query
from kizu_db.tables import InspectionTable
from kizu_db.uid import new_uid
from kizu_db.values import Disposition, ExplanationState, InspectionRecord, InspectionRow, NewInspection
from kizu_inspect.errors import AlreadyInspected
from kizu_inspect.results import Explanation, Verdict

__all__ = ["Inspections"]

_TO_REPORT = (Verdict.REVIEW, Verdict.REJECT, Verdict.ERROR)
_AT_ONCE = 500

# Transaction 2 of each flagged picture; built once, see `insert_unless_there`.
_inspection, _heatmap, _region = (InspectionTable.metadata.tables[name] for name in ("inspection", "heatmap", "region"))
_DROP_MAP = delete(_heatmap).where(_heatmap.c.inspection_id == bindparam("number"), _heatmap.c.method == bindparam("of_method"))
_ADD_MAP = insert(_heatmap).returning(_heatmap.c.id)
_ADD_REGION = insert(_region)
_TELL_CONFLICT = (
    update(_inspection)
    .where(_inspection.c.id == bindparam("number"))
    .values(
        explanation_conflict=select(_heatmap.c.id)
        .where(_heatmap.c.inspection_id == _inspection.c.id, _heatmap.c.conflict)
        .exists()
    )
)
_SETTLE = _TELL_CONFLICT.values(explanation_state=ExplanationState.DONE, explanation_error=None)


class Inspections:
    """The inspections. Times are aware; "newest" and "oldest" mean the order of recording, whatever the clock did.

    A period goes from `since` (inclusive) to `until` (exclusive) by the time of judging; None leaves that end open. Lists
    raise RecordError for a time without a zone.
    """

    def __init__(self, session: Session, rollups: Rollups, queue: ReviewQueue) -> None:
        self._session = session
        self._rollups = rollups
        self._queue = queue
        self._places: set[tuple[str, str | None]] = set()
        self._parts: dict[tuple[str, str], int] = {}
        """What this unit has made sure of."""

    def expect(self, news: Sequence[NewInspection]) -> None:
        """Make known what a batch refers to, in one order for all programs; call it before a unit adds several inspections.

        Two programs that each add the same new parts in an order of their own could wait for each other in a circle. Raises
        RecordRefused as `add` does.
        """
        for new in news:
            require_recordable(new)
        for station, view in sorted({(new.station, new.view or "") for new in news}):
            self._place(station, view or None)
        for lot, part, generated in sorted({(new.lot or "", new.part, new.part_generated) for new in news}):
            self._part(part, lot, generated=generated)

    def _place(self, station: str, view: str | None) -> None:
        if (station, view) not in self._places:
            ensure_place(self._session, station, view)
            self._places.add((station, view))

    def _part(self, serial: str, lot: str, *, generated: bool) -> int:
        if (serial, lot) not in self._parts:
            self._parts[serial, lot] = ensure_part(self._session, serial, lot, generated=generated)
        return self._parts[serial, lot]

    def add(self, new: NewInspection, *, uid: str | None = None) -> str:
        """Record an inspection; its uid, a UUID of version 7, which it may have already (`kizu_db.uid`).

        Raises AlreadyInspected where this (source, source key) has its row already (the unit stays usable), RecordRefused
        for what no row may hold (`kizu_db.recordable`).
        """
        judgement = new.judgement
        numbers = {
            "score": judgement.score,
            "novelty": judgement.novelty,
            "reference_correlation": judgement.reference_correlation,
        }
        require_recordable(new)
        uid = uid or new_uid()
        self._place(new.station, new.view)
        part_id = self._part(new.part, new.lot or "", generated=new.part_generated)
        values = {
            "uid": uid,
            "part_id": part_id,
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
            **{name: None if value is None else float(value) for name, value in numbers.items()},
            "width_px": judgement.width_px,
            "height_px": judgement.height_px,
            "image_sha256": new.image_sha256,
            "image_pruned_at": None if new.image_kept else new.judged_at,
            "image_name": new.image_name,
            "model_hash": new.model_hash,
            "recipe_id": new.recipe_id,
            "device": new.device,
            "timings_ms": {name: float(value) for name, value in new.timings_ms.items()},
            "explanation_state": new.explanation_state,
            "audit": new.audit,
            "audit_probability": new.audit_probability,
            "error": new.error,
            "measured": None if new.measured is None else {name: float(value) for name, value in new.measured.items()},
        }
        number = insert_unless_there(self._session, InspectionTable, values)
        if number is None:
            raise AlreadyInspected(f"{new.source_key} of {new.source} was inspected before")
        counted = Counted(new.judged_at, new.station, judgement.verdict, judgement.target, new.audit, new.audit_probability)
        self._rollups.count(number, counted, 1)
        if new.audit or judgement.verdict is not Verdict.PASS:
            self._queue.add(number, uid, new)
        return uid

    def uid_of(self, source: str, source_key: str) -> str | None:
        """The inspection of this piece of work; None where it has none yet."""
        return self._session.scalar(
            select(InspectionTable.uid).where(InspectionTable.source == source, InspectionTable.source_key == source_key)
        )

    def uids_of(self, source: str, source_keys: Collection[str]) -> dict[str, str]:
        """The inspections of those of these pieces of work that have one, by source key."""
        found = self._session.execute(
            select(InspectionTable.source_key, InspectionTable.uid).where(
                InspectionTable.source == source, InspectionTable.source_key.in_(source_keys)
            )
        )
        return {row.source_key: row.uid for row in found}

    def finds_all(self, named: str) -> bool:
        """Whether `latest` looks at all serials that begin or end so, and not at the first 200 of each."""
        return not too_many_like(self._session, named, MOST_PARTS)

    def latest(
        self,
        *,
        verdicts: Collection[Verdict] | None = None,
        station: str | None = None,
        named: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        unreviewed: bool = False,
        conflicting: bool = False,
        suspected: str | None = None,
        lot: str | None = None,
        disposition: Disposition | None = None,
        decided_class: str | None = None,
        reviewer: str | None = None,
        escalated: bool = False,
        limit: int = 100,
        before: str | None = None,
    ) -> list[InspectionRow]:
        """The newest inspections, newest first, at most `limit`.

        `verdicts` None means all; `named` is how a serial begins or ends, in upper or lower case (of at most 200 serials each),
        or a lot's whole name; `unreviewed` leaves only those that nobody reviewed yet, `conflicting` only those with a map that
        does not explain the verdict, `suspected` those of REVIEW and REJECT that the model takes for this class, `escalated`
        what waits and was left to a second person. `disposition`, `decided_class` and `reviewer` are those of the latest
        review. `before` is the uid of the last row of the page before; an unknown one gives an empty list.
        """
        beyond = None if before is None else number_of(self._session, before)
        if before is not None and beyond is None:
            return []
        wanted = Wanted(
            verdicts=verdicts,
            station=station,
            named=named,
            since=since,
            until=until,
            unreviewed=unreviewed,
            conflicting=conflicting,
            suspected=suspected,
            lot=lot,
            disposition=disposition,
            decided_class=decided_class,
            reviewer=reviewer,
            escalated=escalated,
        )
        ids = find_ids(self._session, self._rollups, wanted, limit=limit, newest=True, beyond=beyond)
        rows = rows_query().where(InspectionTable.id.in_(ids)).order_by(InspectionTable.id.desc())
        return [row_value(found) for found in self._session.execute(rows)] if ids else []

    def rows(self, uids: Collection[str]) -> list[InspectionRow]:
        """Those of these inspections that there are, newest first."""
        query = rows_query().where(InspectionTable.uid.in_(uids)).order_by(InspectionTable.id.desc())
        return [row_value(found) for found in self._session.execute(query)]

    def records(self, uids: Collection[str]) -> list[InspectionRecord]:
        """All that is known of those of these inspections that there are, newest first."""
        query = records_query().where(InspectionTable.uid.in_(uids)).order_by(InspectionTable.id.desc())
        return [record_value(found) for found in self._session.execute(query)]

    def get(self, uid: str) -> InspectionRecord | None:
        """All that is known of one inspection; None where there is no such uid."""
        found = self._session.execute(records_query().where(InspectionTable.uid == uid)).one_or_none()
        return None if found is None else record_value(found)

    def pending_explanations(self, station: str, limit: int) -> list[InspectionRow]:
        """The station's inspections whose map is promised and not made, oldest first, at most `limit`."""
        pending = (text("explanation_state = 'pending'"), InspectionTable.station == station)
        query = rows_query().where(*pending).order_by(InspectionTable.id).limit(limit)
        return [row_value(found) for found in self._session.execute(query)]

    def store_explanation(self, uid: str, explanation: Explanation, *, settles: bool = True) -> None:
        """Keep the map and its regions; a map of the same method that was there is replaced.

        `settles` False leaves open whether the line's own map was made: for a second opinion, which must not end a promise.

        Raises RecordError for an unknown inspection, a grid that is not float16, and numbers that are none.
        """
        number = inspection_id(self._session, uid)
        values = heatmap_values(number, explanation)
        connection = self._session.connection()
        connection.execute(_DROP_MAP, {"number": number, "of_method": explanation.heatmap.method})
        heatmap_id = connection.scalars(_ADD_MAP, values).one()
        regions = region_values(heatmap_id, explanation.regions)
        if regions:
            connection.execute(_ADD_REGION, regions)
        connection.execute(_SETTLE if settles else _TELL_CONFLICT, {"number": number})
        self._session.expire_all()

    def fail_explanation(self, uid: str, error: str) -> None:
        """Record that the map could not be made, and why. Raises RecordError for an unknown inspection."""
        number = inspection_id(self._session, uid)
        self._set(number, explanation_state=ExplanationState.FAILED, explanation_error=error)

    def flagged(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        station: str | None = None,
        limit: int | None = None,
    ) -> list[InspectionRecord]:
        """The REVIEW, REJECT and ERROR inspections of the period, oldest first; the newest `limit` of them (None: all)."""
        wanted = Wanted(verdicts=_TO_REPORT, since=since, until=until, station=station)
        return self._records(sorted(find_ids(self._session, self._rollups, wanted, limit=limit, newest=True)))

    def records_after(
        self,
        number: int | None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        station: str | None = None,
        verdicts: Collection[Verdict] | None = None,
        limit: int = 200,
    ) -> list[InspectionRecord]:
        """The inspections recorded after the one with this number (None: from the first), oldest first, at most `limit`.

        `verdicts` None means all. It goes on also where the inspection of that number was pruned meanwhile.
        """
        wanted = Wanted(verdicts=verdicts, since=since, until=until, station=station)
        return self._records(find_ids(self._session, self._rollups, wanted, limit=limit, newest=False, beyond=number))

    def _records(self, ids: Sequence[int]) -> list[InspectionRecord]:
        found: list[InspectionRecord] = []
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            query = records_query().where(InspectionTable.id.in_(some)).order_by(InspectionTable.id)
            found += [record_value(record) for record in self._session.execute(query)]
        return found

    def _set(self, number: int, **values: object) -> None:
        change = update(InspectionTable).where(InspectionTable.id == number).values(**values)
        self._session.execute(change, execution_options=PLAIN)
