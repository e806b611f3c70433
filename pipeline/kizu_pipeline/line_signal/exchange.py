"""The thread that talks to the line's control: triggers in, one result after the other out, and a heartbeat."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from kizu_inspect.errors import SignalAway
from kizu_pipeline.line_signal.base import Code, Commands, LineState, Link, Result
from kizu_pipeline.line_signal.parts import Answer
from kizu_pipeline.line_signal.settings import ControlSettings

__all__ = ["Exchange", "Line"]

QUEUED_MOST: Final = 256
DRAIN_S: Final = 2.0
"""For how long a service that stops sends what waits."""
_MISSED_MOST: Final = 16
_TRIGGERS: Final = 65535
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0

_log = structlog.get_logger("kizu.signal")


class Line(Protocol):
    """What the thread asks of the line, and tells it."""

    def overdue(self, now_s: float) -> list[Answer]:
        """An NG for each part whose deadline passed without a verdict, once."""

    def standing(self) -> tuple[bool, bool, bool]:
        """Whether parts are taken, whether some wait for their verdict, and whether some of them are overdue."""

    def triggered(self, number: int, part: str, *, missed: str = "") -> None:
        """The control gave a trigger; `missed` says why it is too late for its frame."""

    def settled(self, answer: Answer) -> None:
        """What became of an answer is known."""

    def next_sequence(self, taken: frozenset[int]) -> int:
        """A sequence number that no result ever had, and none of `taken`."""


class Exchange:
    """Results wait in a queue of bounded length; whoever puts one never waits for the control."""

    def __init__(self, link: Link, settings: ControlSettings, line: Line) -> None:
        self._link = link
        self._settings = settings
        self._line = line
        self._queue: deque[Answer] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._shown: Answer | None = None
        """The answer that waits to be acknowledged."""
        self._known: frozenset[int] = frozenset()
        self._trigger: int | None = None
        """The last trigger; None before the first look."""
        self._reconnected = False
        self._heartbeat = 0
        self._beat_due_s = 0.0
        self._told: LineState | None = None
        self.counts: Counter[str] = Counter()
        """connected, away, ok, ng, not_sent, unacknowledged, missed_triggers, dropped."""
        self._thread = threading.Thread(target=self._run, name="kizu-signal", daemon=True)

    def start(self) -> None:
        """Begin to talk; the control may be away."""
        self._thread.start()

    def put(self, answer: Answer) -> None:
        """Send this as soon as may be. Of more than the queue holds the oldest is not sent: silence is NG too."""
        with self._lock:
            self._queue.append(answer)
            dropped = self._queue.popleft() if len(self._queue) > QUEUED_MOST else None
        if dropped is not None:
            self.counts["dropped"] += 1
            self._not_sent(dropped, "not sent: too many results waited")
        self._wake.set()

    def close(self) -> None:
        """Send what waits, for two seconds at most; then take the result back and say that nobody is ready."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=DRAIN_S + 4 * self._settings.timeout_ms / 1000 + 1.0)

    def _run(self) -> None:
        pause_s, away = _FIRST_PAUSE_S, False
        while not self._closing.is_set():
            try:
                self._connect()
                _log.info("signal connected", control=self._link.name, times=self.counts["connected"])
                pause_s, away = _FIRST_PAUSE_S, False
                self._talk()
            except Exception as error:  # noqa: BLE001 - whatever a driver does, this thread must not end unseen
                found = str(error) if isinstance(error, SignalAway) else f"{type(error).__name__}: {error}"
                if not away:
                    self.counts["away"] += 1
                    _log.error("signal away; every part is NG until it is back", control=self._link.name, error=found)
                away = True
                self._link.close()
                self._wait_away(pause_s * random.uniform(0.75, 1.25))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._link.close()
        if self._shown is not None:
            self._unacknowledged(self._shown)
            self._line.settled(self._shown)
        for answer in self._take_all():
            self._not_sent(answer, "not sent: the service stopped")

    def _connect(self) -> None:
        self._known |= self._link.connect()
        self.counts["connected"] += 1
        self._told, self._beat_due_s = None, 0.0
        self._reconnected = self._trigger is not None
        if self._shown is not None and time.monotonic() <= self._shown.until_s:
            with self._lock:  # under the same number: a control that has it already knows it again
                self._queue.appendleft(self._shown)
            self._shown = None

    def _wait_away(self, for_s: float) -> None:
        """Between two tries to connect deadlines go on."""
        until = time.monotonic() + for_s
        while not self._closing.is_set() and (now := time.monotonic()) < until:
            self._watch(now)
            self._give_up(now)
            self._closing.wait(min(self._settings.poll_ms / 1000, max(until - now, 0.0)))

    def _talk(self) -> None:
        drained_s: float | None = None
        while True:
            self._wake.clear()
            self._turn()
            if self._closing.is_set():
                drained_s = drained_s or time.monotonic() + DRAIN_S
                if (self._shown is None and not self._queue) or time.monotonic() > drained_s:
                    self._link.show(None)
                    self._link.tell(LineState(self._heartbeat, False, False, False, self._trigger or 0))
                    return
            self._wake.wait(self._settings.poll_ms / 1000)

    def _turn(self) -> None:
        commands = self._link.read()
        self._take_trigger(commands)
        self._look_for_acknowledgement(commands)
        self._watch(time.monotonic())
        while self._shown is None and (answer := self._take_one()) is not None:
            self._show(answer)
        self._tell()

    def _take_trigger(self, commands: Commands) -> None:
        number, last, self._trigger = commands.trigger, self._trigger, commands.trigger
        reconnected, self._reconnected = self._reconnected, False
        if last is None or number in (0, last):  # what stood there at the start was given to nobody who could take it
            return
        between = (number - last - 1) % _TRIGGERS if last else 0
        if between < _MISSED_MOST:
            for missed in ((last + step) % _TRIGGERS or _TRIGGERS for step in range(1, between + 1)):
                self.counts["missed_triggers"] += 1
                _log.error("trigger missed", trigger=missed, reason="the next one came before it was taken")
                self._line.triggered(missed, "", missed=f"trigger {missed} was overwritten by the next one before it was read")
        missed_why = ""
        if reconnected:
            self.counts["missed_triggers"] += 1
            missed_why = f"trigger {number} came while the connection to the control was lost"
            _log.error("trigger missed", trigger=number, part=commands.part, reason="it came while the control was away")
        self._line.triggered(number, commands.part, missed=missed_why)
        self._tell()

    def _look_for_acknowledgement(self, commands: Commands) -> None:
        answer = self._shown
        if answer is None:
            return
        if commands.acknowledged == answer.sequence:
            answer.acknowledged_at = datetime.now(UTC)
        elif time.monotonic() < answer.shown_s + self._settings.acknowledge_ms / 1000:
            return
        else:
            self._unacknowledged(answer)
        self._shown = None
        self._line.settled(answer)
        self._link.show(None)

    def _unacknowledged(self, answer: Answer) -> None:
        self.counts["unacknowledged"] += 1
        answer.note = "; ".join(filter(None, (answer.note, f"not acknowledged within {self._settings.acknowledge_ms:g} ms")))
        _log.error("result not acknowledged", part=answer.part, sequence=answer.sequence, code=answer.sent.name)

    def _show(self, answer: Answer) -> None:
        """Write one result; the registers hold none."""
        if not answer.sequence:
            answer.sequence = self._line.next_sequence(self._known)
        now = time.monotonic()
        if answer.sent is not Code.NONE and now > answer.until_s:
            self._unacknowledged(answer)
            self._line.settled(answer)
            return
        if answer.code is Code.OK and now > answer.until_s:
            answer.code, answer.note = Code.NG, f"late: the OK could not be sent in time, {_ms(now - answer.until_s)} too late"
        answer.sent, answer.sent_at, answer.shown_s = answer.code, datetime.now(UTC), now
        answer.late_ms = (now - answer.until_s) * 1e3 if now > answer.until_s else None
        self._shown = answer  # before the write: if that fails nobody knows whether the control has it
        self._link.show(Result(answer.sequence, answer.code, answer.trigger, answer.part))
        self.counts[answer.code.name.lower()] += 1
        if answer.late_ms is None and (late_s := time.monotonic() - answer.until_s) > 0:
            answer.late_ms, answer.note = late_s * 1e3, f"late: begun in time, the control confirmed it {_ms(late_s)} too late"

    def _watch(self, now: float) -> None:
        for answer in self._line.overdue(now):
            self.put(answer)

    def _give_up(self, now: float) -> None:
        """What cannot be sent in time any more while the control is away: it has had its silence."""
        shown = self._shown
        if shown is not None and now > shown.shown_s + self._settings.acknowledge_ms / 1000:
            self._unacknowledged(shown)
            self._shown = None
            self._line.settled(shown)
        with self._lock:
            gone = [answer for answer in self._queue if now > answer.until_s]
            self._queue = deque(answer for answer in self._queue if now <= answer.until_s)
        for answer in gone:
            self._not_sent(answer, "late: not sent, the control was away")

    def _not_sent(self, answer: Answer, why: str) -> None:
        self.counts["not_sent"] += 1
        answer.note = "; ".join(filter(None, (answer.note, why)))
        answer.sent, late = Code.NONE, time.monotonic() - answer.until_s
        answer.late_ms = late * 1e3 if late > 0 else None
        _log.error("result not sent", part=answer.part, code=answer.code.name, reason=why)
        self._line.settled(answer)

    def _take_one(self) -> Answer | None:
        with self._lock:
            return self._queue.popleft() if self._queue else None

    def _take_all(self) -> list[Answer]:
        with self._lock:
            taken, self._queue = list(self._queue), deque()
            return taken

    def _tell(self) -> None:
        """The heartbeat where it is due, and each change of the state at once."""
        now = time.monotonic()
        if due := now >= self._beat_due_s:
            self._heartbeat = (self._heartbeat + 1) & 0xFFFF
            self._beat_due_s = now + self._settings.heartbeat_ms / 1000
        ready, waiting, fault = self._line.standing()
        busy = waiting or bool(self._queue)
        state = LineState(self._heartbeat, ready and not self._closing.is_set(), busy, fault, self._trigger or 0)
        if due or state != self._told:
            self._link.tell(state)
            self._told = state


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"
