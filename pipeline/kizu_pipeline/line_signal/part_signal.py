"""One result a part of several views: OK only when all of them are recorded, in time, and none speaks against it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kizu_db.values import NewInspection
from kizu_inspect.results import Verdict
from kizu_pipeline.line_signal.parts import AwaitedPart
from kizu_pipeline.line_signal.station_signal import LineSignal
from kizu_pipeline.settings import StationSettings

if TYPE_CHECKING:
    from kizu_pipeline.sources.base import Work

__all__ = ["PartKey", "PartSignal"]

PartKey = tuple[str, str]
"""Lot (empty where there is none) and serial."""


class PartSignal(LineSignal):
    """Pictures hold their own deadlines; results are sent for parts."""

    def __init__(self, station: StationSettings) -> None:
        super().__init__(station)
        self._wholes: dict[PartKey, AwaitedPart] = {}

    def _waiting(self) -> list[AwaitedPart]:
        return list(self._wholes.values())

    def _clear(self) -> None:
        super()._clear()
        self._wholes.clear()

    def _expired(self, now_s: float) -> list[AwaitedPart]:
        """Parts whose time is up, and those of which one picture is past its own deadline."""
        late = {one.whole for one in self._by_key.values() if one.whole is not None and now_s > one.deadline_s}
        return [one for one in self._wholes.values() if one.answer is None and (now_s > one.deadline_s or one in late)]

    def expects_part(self, key: PartKey, *, seen_s: float, until_s: float, never_ok: str = "") -> None:
        """The first view of a part was seen: it waits for its result, OK until `until_s` (both monotonic, s)."""
        with self._lock:
            self._wholes[key] = AwaitedPart(key[1], 0, seen_s, until_s, never_ok=never_ok)

    def forget_part(self, key: PartKey) -> None:
        """Nothing of it is left to be judged."""
        with self._lock:
            self._wholes.pop(key, None)

    def expects_view(self, work: Work, key: PartKey | None) -> None:
        """This picture was taken; None: it counts for no part, and gets no result."""
        with self._lock:
            self.expects(work)
            self._by_key[work.key].whole = None if key is None else self._wholes.get(key)

    def decided(self, uid: str, inspection: NewInspection) -> None:
        """One view is recorded. Of one that speaks against its part, or is past its own deadline, the part is NG at once."""
        now = time.monotonic()
        with self._lock:
            picture = self._by_key.pop(inspection.source_key, None)
            if picture is None:
                return
            late_ms = picture.late_by_ms(now)
            self.counts["late"] += late_ms > 0
            if picture.whole is None:
                return
            if late_ms > 0:
                picture.never_ok = picture.never_ok or f"late: recorded {late_ms:.0f} ms after the deadline"
            picture.whole.never_ok = picture.whole.never_ok or picture.never_ok
            against = picture.whole.never_ok or not self.may_be_ok(inspection.judgement.verdict)
            key = next((key for key, one in self._wholes.items() if one is picture.whole), None)
        # A part that had its NG by its deadline waits here for the end of its views, to be told of until then.
        if key is not None and against and picture.whole.answer is None:
            self.part_decided(key, uid, inspection.judgement.verdict)

    def part_decided(self, key: PartKey, uid: str, verdict: Verdict) -> None:
        """The part has this verdict, that of this inspection: the worst of its views. Never waits."""
        now = time.monotonic()
        with self._lock:
            whole = self._wholes.pop(key, None)
            if whole is None or self._exchange is None:
                return
            answer = self._answer(whole, key[1], verdict, uid, now)
            if answer is not None:
                whole.answer = answer  # a view of it that is still in work must not end in another result
        if answer is not None:
            self._exchange.put(answer)
