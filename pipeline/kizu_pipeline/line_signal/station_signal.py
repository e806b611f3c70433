"""The line's signal as the service uses it: which parts wait, by when, and what each of them gets."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from kizu_db.records import Records
from kizu_db.values import NewInspection, NewSignal, Sent
from kizu_inspect.results import Verdict
from kizu_pipeline.line_signal.base import Code, Link
from kizu_pipeline.line_signal.exchange import Exchange
from kizu_pipeline.line_signal.keeping import SignalLog
from kizu_pipeline.line_signal.parts import Answer, AwaitedPart, Trigger, Triggers
from kizu_pipeline.line_signal.settings import ModbusSignal, SignalSettings
from kizu_pipeline.policy import explanation_due
from kizu_pipeline.settings import FolderSource, StationSettings

if TYPE_CHECKING:
    from kizu_pipeline.sources.base import Work

__all__ = ["LineSignal", "open_signal"]

_SENT: Final[Mapping[Code, Sent]] = {Code.NONE: "none", Code.OK: "OK", Code.NG: "NG"}

_log = structlog.get_logger("kizu.signal")


@contextmanager
def open_signal(station: StationSettings, records: Records) -> Iterator[LineSignal]:
    """The station's signal, for the length of the `with` block; enter it before the source of pictures.

    A control that is away is waited for, now and later. Raises ConfigError where a package is missing, RecordError.
    """
    signal = LineSignal(station)
    if station.views:
        from kizu_pipeline.line_signal.part_signal import PartSignal

        signal = PartSignal(station)
    if station.signal is not None:
        signal.begin(_link(station.signal, station.id), records)
    try:
        yield signal
    finally:
        signal.end()


def _link(settings: SignalSettings, station: str) -> Link:
    """Optional packages, only where they are configured."""
    if isinstance(settings, ModbusSignal):
        from kizu_pipeline.line_signal.modbus import ModbusLink

        return ModbusLink(settings)
    from kizu_pipeline.line_signal.mqtt import MqttLink

    return MqttLink(settings, station=station)


class LineSignal:
    """OK or NG for each part within its deadline; without a control only the deadline is held.

    Only what `decided` says of a PASS row that is recorded, in time, is OK. Threads may share it.
    """

    def __init__(self, station: StationSettings) -> None:
        self._station = station
        deadline_ms = station.verdict_deadline_ms
        self._deadline_s = math.inf if deadline_ms is None else deadline_ms / 1000
        source = station.source
        self._camera = source if not isinstance(source, FolderSource) and source.trigger == "signal" else None
        self.triggers = Triggers() if self._camera is not None else None
        """The triggers for a camera that waits for them; None for any other source."""
        self.counts: Counter[str] = Counter()
        """late (verdicts), overdue (NG by the watchdog), triggered, ignored_triggers."""
        self._by_key: dict[str, AwaitedPart] = {}
        self._triggered: set[AwaitedPart] = set()
        """Those that no source has taken yet."""
        self._ready = False
        self._lock = threading.RLock()
        self._exchange: Exchange | None = None
        self._kept: SignalLog | None = None

    def begin(self, link: Link, records: Records) -> None:
        """Talk to this control from now on. Raises RecordError."""
        assert self._station.signal is not None
        self._kept = SignalLog(records, self._station.id)
        self._exchange = Exchange(link, self._station.signal, self)
        self._exchange.start()

    def spooled_while(self, holds: Callable[[], bool]) -> None:
        """While this holds some inspections wait for the records, and what their parts were told waits with them."""
        if self._kept is not None:
            self._kept.wait_while(holds)

    def ready(self) -> None:
        """Model, records and source are there: from now on parts may come."""
        self._ready = True

    def stopping(self) -> None:
        """Nothing is taken from the source any more."""
        self._ready = False

    def end(self) -> None:
        """NG for whatever waits still, then silence."""
        if self._exchange is None or self._kept is None:
            if self.totals:
                _log.info("deadlines ended", **self.totals)
            return
        now = time.monotonic()
        with self._lock:
            waiting = [one for one in self._waiting() if one.answer is None]
            self._clear()
        for one in waiting:
            self._exchange.put(Answer(one.part, one.trigger, Code.NG, max(now, one.deadline_s), "the service stopped"))
        self._exchange.close()
        self._kept.close()
        _log.info("signal ended", **self.totals)

    @property
    def totals(self) -> dict[str, int]:
        """All counts that are not 0, by name: those of the parts and those of the exchange."""
        return dict(sorted((self.counts + (self._exchange.counts if self._exchange is not None else Counter())).items()))

    def _waiting(self) -> list[AwaitedPart]:
        """Whatever is to get a result."""
        return [*self._triggered, *self._by_key.values()]

    def _clear(self) -> None:
        self._by_key.clear()
        self._triggered.clear()

    def _expired(self, now_s: float) -> list[AwaitedPart]:
        """What has no result and whose time is up."""
        return [one for one in self._waiting() if one.answer is None and now_s > one.deadline_s]

    def expects(self, work: Work) -> None:
        """A piece of work without a row was taken from the source: its part waits for a result from now on."""
        with self._lock:
            if work.trigger is not None:
                self._triggered.discard(work.trigger.awaited)
                self._by_key[work.key] = work.trigger.awaited
            elif work.key not in self._by_key:
                seen_s = work.seen_s
                self._by_key[work.key] = AwaitedPart(work.part.part, 0, seen_s, seen_s + self._deadline_s)

    def forget(self, work: Work) -> None:
        """It vanished or is being changed: there is nothing to judge, and silence is NG."""
        with self._lock:
            self._by_key.pop(work.key, None)

    def timely(self, inspection: NewInspection) -> NewInspection:
        """The row as it may be recorded now: after its deadline an ERROR that says which verdict came too late.

        Ask within the transaction that records it, after all waiting.
        """
        with self._lock:
            awaited = self._by_key.get(inspection.source_key)
            if awaited is None or (late_ms := awaited.late_by_ms(time.monotonic())) <= 0:
                return inspection
        judgement = inspection.judgement
        if judgement.verdict is Verdict.ERROR:
            return inspection
        reason = (
            f"late: the verdict {judgement.verdict.value} came {late_ms:.0f} ms after the deadline of "
            f"{self._deadline_s * 1e3:g} ms ({judgement.reason})"
        )
        judgement = replace(judgement, verdict=Verdict.ERROR, reason=reason)
        policy = self._station.recipe.explanation.policy
        return replace(
            inspection,
            judgement=judgement,
            error=reason,
            explanation_state=explanation_due(judgement, policy, audit=False),
            audit=False,
            audit_probability=None,
        )

    def never_ok(self, source_key: str, why: str) -> None:
        """Whatever `decided` says of this work is NG."""
        with self._lock:
            awaited = self._by_key.get(source_key)
            if awaited is not None:
                awaited.never_ok = why

    def decided(self, uid: str, inspection: NewInspection) -> None:
        """The inspection is recorded: send its result. Never waits."""
        now = time.monotonic()
        with self._lock:
            awaited = self._by_key.pop(inspection.source_key, None)
            if awaited is None:
                return
            late_ms = awaited.late_by_ms(now)
            self.counts["late"] += late_ms > 0
            if self._exchange is None or self._station.signal is None:
                return
            answer = self._answer(awaited, inspection.part, inspection.judgement.verdict, uid, now)
        if answer is not None:
            self._exchange.put(answer)

    def _answer(self, awaited: AwaitedPart, part: str, verdict: Verdict, uid: str, now_s: float) -> Answer | None:
        """What is to be sent for a part that is decided now; None where it had its NG by its deadline."""
        assert self._station.signal is not None
        if awaited.answer is not None:
            awaited.answer.uid = uid
            self._keep(awaited.answer)
            return None
        late_ms = awaited.late_by_ms(now_s)
        code = Code.OK if self.may_be_ok(verdict) else Code.NG
        note = awaited.never_ok
        if code is Code.OK and late_ms > 0:
            note = note or f"late: recorded {late_ms:.0f} ms after the deadline"
        until_s = min(awaited.deadline_s, now_s + self._station.signal.send_within_ms / 1000)
        return Answer(awaited.part or part, awaited.trigger, Code.NG if note else code, until_s, note, uid)

    def may_be_ok(self, verdict: Verdict) -> bool:
        """Whether the line hears OK of this verdict."""
        return verdict is Verdict.PASS or (verdict is Verdict.REVIEW and self._station.review_signal == "OK")

    def overdue(self, now_s: float) -> list[Answer]:
        """An NG for each part whose deadline passed without a verdict, once."""
        answers = []
        with self._lock:
            for one in self._expired(now_s):
                one.answer = Answer(one.part, one.trigger, Code.NG, one.deadline_s, "late: no verdict by the deadline")
                answers.append(one.answer)
                _log.error("no verdict by the deadline", part=one.part, waited_ms=round((now_s - one.seen_s) * 1e3))
        self.counts["overdue"] += len(answers)
        return answers

    def standing(self) -> tuple[bool, bool, bool]:
        """Whether parts are taken, whether some wait for their verdict, and whether some of them are overdue."""
        with self._lock:
            waiting = [one.answer for one in self._waiting()]
        return self._ready, None in waiting, any(answer is not None for answer in waiting)

    def triggered(self, number: int, part: str, *, missed: str = "") -> None:
        """The control gave a trigger; `missed` says why it is too late for its frame."""
        now = time.monotonic()
        if self.triggers is None or self._camera is None:
            self.counts["ignored_triggers"] += 1
            if self.counts["ignored_triggers"] == 1:
                _log.warning("triggers are ignored; this source takes none (station.source.trigger)", trigger=number)
            return
        self.counts["triggered"] += 1
        expires_s = now + min(self._deadline_s, self._camera.timeout_s)
        awaited = AwaitedPart(part, number, now, now + self._deadline_s)
        with self._lock:
            self._triggered.add(awaited)
        self.triggers.put(Trigger(number, awaited, expires_s, missed))

    def settled(self, answer: Answer) -> None:
        """What became of an answer is known."""
        with self._lock:
            answer.settled = True
            self._keep(answer)

    def next_sequence(self, taken: frozenset[int]) -> int:
        """A sequence number that no result ever had, and none of `taken`."""
        assert self._kept is not None
        return self._kept.next_sequence(taken)

    def _keep(self, answer: Answer) -> None:
        """Into the records, as soon as both are known: which inspection it is, and what became of it."""
        if not answer.settled or answer.uid is None or self._kept is None:
            return
        self._kept.put(
            NewSignal(
                uid=answer.uid,
                sent=_SENT[answer.sent],
                sent_at=answer.sent_at if answer.sent is not Code.NONE else None,
                acknowledged_at=answer.acknowledged_at,
                late_ms=answer.late_ms,
                note=answer.note,
            )
        )
