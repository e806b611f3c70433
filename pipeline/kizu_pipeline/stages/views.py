"""Parts of several views: a part's verdict is the worst of its views', and a view that does not come is an ERROR."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from kizu_db.records import Records
from kizu_db.values import ExplanationState, InspectionRow, NewInspection
from kizu_inspect.results import Verdict
from kizu_pipeline.line_signal.part_signal import PartKey, PartSignal
from kizu_pipeline.line_signal.station_signal import LineSignal
from kizu_pipeline.stages.part_state import Change, PartState, SeenView

if TYPE_CHECKING:
    from kizu_pipeline.settings import StationSettings
    from kizu_pipeline.sources.base import Work

__all__ = ["PartViews"]

_UNKNOWN: Final = "unknown view"
_MISSING: Final = "view {view} did not come within "
_RESTARTS: Final = 5
"""A part may have been open through so many starts in a row, each of which gave it its time anew."""
_MARGIN_S: Final = 60.0
_ROWS_MOST: Final = 10_000
_CLOSED_MOST: Final = 4096
_LATE_FACTOR: Final = 10

_log = structlog.get_logger("kizu.line")


@dataclass
class _Closed:
    """A part that was judged without some of its views."""

    lacked: set[str]
    until_s: float


class PartViews:
    """The parts of one station whose views are not all recorded; none without `station.views`. Threads may share it."""

    def __init__(self, station: StationSettings, signal: LineSignal) -> None:
        self._station = station.id
        self._views = station.views
        self._within_s = station.views_within_s
        self._signal = signal
        self._parts: dict[PartKey, PartState] = {}
        self._closed: OrderedDict[PartKey, _Closed] = OrderedDict()
        self._late: set[str] = set()
        self._refused: set[str] = set()
        self._taken_until_s = -math.inf
        self._lock = threading.RLock()

    @property
    def open(self) -> bool:
        """Whether some part has no verdict yet."""
        return bool(self._parts)

    def restore(self, records: Records) -> None:
        """Take up the parts that were cut off: as of the station's last rows, however long ago those are.

        Their time begins anew, and none of them is OK: nobody knows when their first view was seen. Raises RecordError.
        """
        if not self._views:
            return
        with records.unit(read_only=True) as unit:
            rows = unit.inspections.latest(station=self._station, limit=_ROWS_MOST)
        if not rows:
            return
        since = rows[0].judged_at - timedelta(seconds=_RESTARTS * (self._within_s + _MARGIN_S))
        for row in reversed([row for row in rows if row.judged_at >= since]):
            self._restore(row)
        if self._parts:
            _log.info("parts without all views from before", parts=len(self._parts))

    def _restore(self, row: InspectionRow) -> None:
        known = row.view in self._views or row.reason.startswith(_UNKNOWN)
        if row.part_generated or not known:
            return
        key = (row.lot or "", row.part)
        if self._came_late(key, row.view):
            return
        part = self._parts.get(key)
        if part is None:
            part = PartState(row.part, False, row.lot, time.monotonic() + self._within_s, restored=True, told=False)
        missing = row.verdict is Verdict.ERROR and row.reason.startswith(_MISSING.format(view=row.view))
        part = replace(part, rows=(*part.rows, SeenView(row.view, row.uid, row.verdict, missing)))
        if part.complete(self._views):
            self._parts.pop(key, None)
            self._close(key, part)
        else:
            self._parts[key] = part

    def why_missing(self, view: str) -> str:
        """The reason of the row of a view that did not come."""
        return f"{_MISSING.format(view=view)}{self._within_s:g} s. Check its camera, and how files are named."

    def expects(self, work: Work) -> None:
        """A piece of work without a row was taken from the source."""
        if not isinstance(self._signal, PartSignal):
            self._signal.expects(work)
            return
        identity = work.part
        key = (identity.lot or "", identity.part)
        with self._lock:
            part = self._parts.get(key)
            late = self._came_late(key, identity.view) if part is None else work.absent_s > part.until_s
            if late:
                self._late.add(work.key)
                self._signal.expects_view(work, None)
                return
            if part is None:
                until_s = work.seen_s + self._within_s
                part = PartState(identity.part, identity.generated, identity.lot, until_s, told=False)
            if not part.told:
                why = "a view was recorded before the service was started" if part.restored else ""
                self._signal.expects_part(key, seen_s=work.seen_s, until_s=part.until_s, never_ok=why)
            self._parts[key] = replace(part, told=True, pending={**part.pending, work.key: identity.view})
            self._signal.expects_view(work, key)

    def forget(self, work: Work) -> None:
        """It vanished or is being changed: there is nothing to judge."""
        self._signal.forget(work)
        if not isinstance(self._signal, PartSignal):
            return
        key = (work.part.lot or "", work.part.part)
        with self._lock:
            self._late.discard(work.key)
            if (part := self._parts.get(key)) is None:
                return
            pending = {one: view for one, view in part.pending.items() if one != work.key}
            part = replace(part, pending=pending, left_s=time.monotonic())
            self._parts[key] = part
            if not part.pending and not part.rows:
                del self._parts[key]
                self._signal.forget_part(key)

    def looked(self, taken_until_s: float) -> None:
        """All that had come by this time (monotonic, s) was taken from the source, and `expects` has told of it."""
        self._taken_until_s = taken_until_s

    def known(self, inspection: NewInspection) -> NewInspection:
        """The row as it is to be recorded: an ERROR where its view is none of the station's."""
        if not self._views or inspection.view in self._views:
            return inspection
        if inspection.part_generated and inspection.judgement.verdict is Verdict.ERROR:  # it says already why nothing is known
            return inspection
        found = "none" if inspection.view is None else inspection.view
        reason = f"{_UNKNOWN}: found {found}; expected one of {', '.join(self._views)} ({inspection.judgement.reason})"
        return replace(
            inspection,
            judgement=replace(inspection.judgement, verdict=Verdict.ERROR, reason=reason),
            error=reason,
            explanation_state=ExplanationState.NONE,
            audit=False,
            audit_probability=None,
        )

    def overdue(self) -> list[tuple[PartState, tuple[str, ...]]]:
        """The parts whose time is up, and their views that did not come. A picture in work, or not taken yet, has come."""
        until_s = self._taken_until_s
        with self._lock:
            late = [
                part
                for part in self._parts.values()
                if not part.generated and not part.pending and until_s > max(part.until_s, part.left_s)
            ]
            return [(part, missing) for part in late if (missing := part.lacks(self._views))]

    def refused(self, uid: str) -> None:
        """This view passed while its row waited in the spool, and the records would have it only as an ERROR."""
        with self._lock:
            self._refused.add(uid)

    def _as_recorded(self, part: PartState) -> PartState:
        rows = (replace(seen, verdict=Verdict.ERROR) if seen.uid in self._refused else seen for seen in part.rows)
        return replace(part, rows=tuple(rows)) if self._refused else part

    def after(self, rows: Sequence[tuple[str, NewInspection]], *, missing: bool = False) -> Change:
        """What these rows, with their uids, will mean; ask within the transaction that records them. Changes nothing yet."""
        parts: dict[PartKey, PartState] = {}
        with self._lock:
            for uid, new in rows:
                key = (new.lot or "", new.part)
                part = parts.get(key) or self._parts.get(key)
                if part is None or (not missing and new.source_key not in part.pending):
                    continue
                seen = SeenView(new.view, uid, new.judgement.verdict, missing)
                pending = {one: view for one, view in part.pending.items() if one != new.source_key}
                parts[key] = self._as_recorded(replace(part, pending=pending, rows=(*part.rows, seen)))
        judged = tuple(part.judged for part in parts.values() if part.complete(self._views))
        return Change(parts, frozenset(new.source_key for _, new in rows), judged)

    def decided(self, uid: str, inspection: NewInspection) -> None:
        """The row is committed."""
        self._signal.decided(uid, inspection)
        with self._lock:
            late = inspection.source_key in self._late
            self._late.discard(inspection.source_key)
        if late:
            _log.warning(
                "view came after its part was judged", inspection=uid, part=inspection.part, lot=inspection.lot,
                view=inspection.view, verdict=inspection.judgement.verdict.value,
            )  # fmt: skip

    def keep(self, change: Change) -> None:
        """The rows of this change are committed, and `decided` has told of each: judge the parts that are whole now."""
        if not isinstance(self._signal, PartSignal):
            return
        for key, after in change.parts.items():
            with self._lock:
                after = self._as_recorded(after)
                # The reader may have taken another picture of the part since.
                since = {one: view for one, view in self._parts[key].pending.items() if one not in change.recorded}
                part = replace(after, pending=since, told=self._parts[key].told)
                if not after.complete(self._views):
                    self._parts[key] = part
                    continue
                del self._parts[key]
                self._close(key, after)
                if since:
                    until_s = time.monotonic() + self._within_s
                    self._parts[key] = replace(part, until_s=until_s, rows=(), told=False)
            self._signal.part_decided(key, after.judged.worst.uid, after.judged.worst.verdict)
            self._report(after)

    def _close(self, key: PartKey, part: PartState) -> None:
        """Remember what it was judged without: that may come yet."""
        if missing := part.judged.missing:
            self._closed[key] = _Closed(set(missing), time.monotonic() + _LATE_FACTOR * self._within_s)
            self._closed.move_to_end(key)
            if len(self._closed) > _CLOSED_MOST:
                self._closed.popitem(last=False)

    def _came_late(self, key: PartKey, view: str | None) -> bool:
        closed = self._closed.get(key)
        if closed is None or view not in closed.lacked or time.monotonic() > closed.until_s:
            return False
        closed.lacked.discard(view)
        return True

    def _report(self, part: PartState) -> None:
        judged = part.judged
        verdict = judged.worst.verdict
        log = _log.error if verdict is Verdict.ERROR else _log.info
        log(
            "part judged",
            part=part.part,
            lot=part.lot,
            verdict=verdict.value,
            views=[f"{seen.view} {seen.verdict.value}" for seen in judged.views if not seen.missing],
            missing=list(judged.missing),
        )
