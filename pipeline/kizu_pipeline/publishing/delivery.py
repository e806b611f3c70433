"""A station's events on their way out: a thread that takes them from the outbox, in order, and settles what was taken."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

import structlog

from kizu_db.records import Records
from kizu_db.values import OutboxEvent
from kizu_inspect.errors import EventRefused, ReceiverAway, RecordsAway
from kizu_pipeline.publishing.base import Publisher
from kizu_pipeline.publishing.events import message_of
from kizu_pipeline.sources.base import Queue

__all__ = ["Delivery"]

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
LOOK_S: Final = 0.25
"""How often the outbox is looked into while nobody says that there is something new."""
GATHER_S: Final = 0.05
"""After news, for what else is being recorded; so marks are few, and verdicts have the database to themselves."""
AT_A_TIME: Final = 100
SENDING_S: Final = 0.5
"""After so long what was taken is settled, and the next piece looked up: a kill repeats no more than that."""
FORGET_EVERY_S: Final = 60.0
FORGET_PIECE: Final = 500

_log = structlog.get_logger("kizu.publish")


class _Found(Enum):
    NOTHING = "nothing waits"
    SOME = "the next in order gets its turn"
    TROUBLE = "the receiver, or the records, did not take it"


class Delivery:
    """Delivers one station's events, each at least once, never one before another that was recorded before it."""

    def __init__(
        self,
        publisher: Publisher,
        records: Records,
        *,
        station: str,
        max_attempts: int,
        keep_days: float,
        stop: threading.Event,
        count: Callable[[str], None],
    ) -> None:
        """`stop` is the service's; `count` is told of what ought to be seen."""
        self._publisher = publisher
        self._records = records
        self._station = station
        self._max_attempts = max_attempts
        self._keep = timedelta(days=keep_days)
        self._stop = stop
        self._count = count
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._give_up_at = float("inf")
        """When the thread is to end whatever waits (monotonic)."""
        self._abandoned = False
        self._using = threading.Lock()
        """Held while records are in use, so that whoever closes them can be sure that they are not."""
        self._failures = 0
        """In a row."""
        self._away_since: float | None = None
        self._refused = ""
        """The event that was refused last."""
        self._forget_at = 0.0
        self._delivered = 0
        self._waiting = self._set_aside = 0
        self._head: tuple[str, float] | None = None
        """The event that is next, and when it was first found waiting (monotonic)."""
        self._thread = threading.Thread(target=self._work, name="kizu-publish", daemon=True)

    def start(self) -> None:
        """Begin to deliver. Raises RecordError where the records cannot be asked."""
        with self._records.unit(read_only=True) as unit:
            self._waiting, self._set_aside = unit.outbox.counts(self._station, max_attempts=self._max_attempts)
        _log.info("publishing", to=self._publisher.shown, waiting=self._waiting, set_aside=self._set_aside)
        if self._set_aside:
            _log.error("events are set aside", to=self._publisher.shown, set_aside=self._set_aside)
        self._thread.start()

    def queues(self) -> dict[str, Queue]:
        """What waits to be delivered, as of the last look into the outbox, and what was set aside."""
        head = self._head
        return {"events": Queue(self._waiting, None if head is None else head[1]), "events_set_aside": Queue(self._set_aside)}

    def notify(self) -> None:
        """There may soon be something new in the outbox."""
        self._wake.set()

    def finish(self, *, drain_s: float, patient: bool) -> None:
        """Deliver what waits for at most `drain_s`, and end. A patient one goes on as long as the receiver takes events.

        What is left waits in the outbox for the next start.
        """
        if not patient or self._stop.is_set():
            self._give_up_at = time.monotonic() + drain_s
        self._ending.set()
        self._wake.set()
        while self._thread.is_alive() and time.monotonic() < self._give_up_at:
            if self._stop.is_set() and self._give_up_at == float("inf"):
                self._give_up_at = time.monotonic() + drain_s
            self._thread.join(timeout=0.05)
        with self._using:
            self._abandoned = True
        self._tell_what_is_left()

    def _tell_what_is_left(self) -> None:
        try:
            with self._records.unit(read_only=True, prompt=True) as unit:
                waiting, set_aside = unit.outbox.counts(self._station, max_attempts=self._max_attempts)
        except Exception as error:  # noqa: BLE001 - the line has done its work; this is only what is told of it
            _log.warning("publishing ended", delivered=self._delivered, error=str(error))
            return
        log = _log.warning if waiting or set_aside else _log.info
        told = "events wait for the next start" if waiting else "publishing ended"
        log(told, delivered=self._delivered, waiting=waiting, set_aside=set_aside)

    def _work(self) -> None:
        try:
            while not self._abandoned and time.monotonic() < self._give_up_at:
                self._wake.clear()  # before the look, so that what is recorded meanwhile is looked for again
                begun = time.monotonic()
                found = self._one_piece()
                if self._ending.is_set() and found is not _Found.SOME and not self._wake.is_set():
                    return
                if found is _Found.TROUBLE:
                    self._pause()
                elif found is _Found.SOME:  # the line has at least as long to itself as this took it
                    self._ending.wait(timeout=max(GATHER_S, min(time.monotonic() - begun, 1.0)))
                else:
                    self._forget_some()
                    if self._wake.wait(timeout=LOOK_S):
                        self._ending.wait(timeout=GATHER_S)
        finally:
            self._publisher.close()

    def _pause(self) -> None:
        longest = min(FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE_S)
        self._ending.wait(timeout=max(FIRST_PAUSE_S, random.uniform(longest / 2, longest)))

    def _one_piece(self) -> _Found:
        """Look up some events, send them one after the other, and settle those that were taken."""
        try:
            return self._send_waiting()
        except RecordsAway as error:
            self._failures += 1
            if self._failures == 1:  # the line says it too; what was taken and not settled is sent again
                _log.warning("publishing waits for the records", error=str(error))
        except Exception:  # noqa: BLE001 - the line goes on, and this must too
            self._failures += 1
            _log.exception("publishing failed; it is tried again")
        return _Found.TROUBLE

    def _send_waiting(self) -> _Found:
        with self._using:
            if self._abandoned:
                return _Found.NOTHING
            with self._records.unit(read_only=True, prompt=True) as unit:
                events = unit.outbox.waiting(self._station, limit=AT_A_TIME, max_attempts=self._max_attempts)
                self._waiting = len(events)
                if len(events) == AT_A_TIME:
                    self._waiting, self._set_aside = unit.outbox.counts(self._station, max_attempts=self._max_attempts)
        if not events:
            self._head = None
        elif self._head is None or self._head[0] != events[0].event_id:
            self._head = events[0].event_id, time.monotonic()
        taken: list[str] = []
        until = time.monotonic() + SENDING_S
        try:
            for event in events:
                self._publisher.send(event.kind, message_of(event))
                taken.append(event.event_id)
                if time.monotonic() > min(until, self._give_up_at):
                    break
        except ReceiverAway as error:
            self._settle_taken(taken)
            self._is_away(error)
            return _Found.TROUBLE
        except EventRefused as error:
            self._settle_taken(taken)
            self._is_back()
            return self._is_refused(events[len(taken)], error)
        self._settle_taken(taken)
        return _Found.SOME if events else _Found.NOTHING

    def _settle_taken(self, event_ids: list[str]) -> None:
        if event_ids:
            self._settle(event_ids, delivered=True)
            self._is_back()
            self._failures = 0

    def _settle(self, event_ids: list[str], *, delivered: bool) -> None:
        with self._using:
            if self._abandoned:  # the records may be closed; these events will come once more
                return
            with self._records.unit() as unit:
                unit.outbox.tried(event_ids, delivered=delivered)
        self._delivered += delivered * len(event_ids)
        self._waiting -= delivered * len(event_ids)

    def _is_away(self, error: ReceiverAway) -> None:
        self._failures += 1
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._count("receiver_away")
            _log.error("receiver is away; events wait", to=self._publisher.shown, error=str(error))

    def _is_back(self) -> None:
        if self._away_since is not None:
            after_s = round(time.monotonic() - self._away_since, 1)
            _log.info("receiver is back", to=self._publisher.shown, after_s=after_s, tries=self._failures)
            self._away_since, self._failures = None, 0

    def _is_refused(self, event: OutboxEvent, error: EventRefused) -> _Found:
        """Count it; after the last attempt the event is set aside by its count alone, and the next in order gets its turn."""
        self._settle([event.event_id], delivered=False)
        attempts = event.attempts + 1
        told = {"event_id": event.event_id, "seq": event.seq, "kind": event.kind, "attempts": attempts, "error": str(error)}
        if attempts >= self._max_attempts:
            _log.error("event set aside", inspection=event.payload.get("inspection"), **told)
            self._failures = 0
            self._waiting -= 1
            self._set_aside += 1
            self._count("event_set_aside")
            return _Found.SOME
        if self._refused != event.event_id:
            self._refused = event.event_id
            _log.warning("event refused; it is tried again", **told)
        self._failures += 1
        return _Found.TROUBLE

    def _forget_some(self) -> None:
        """Remove a piece of what was delivered long ago."""
        if time.monotonic() < self._forget_at or self._ending.is_set():
            return
        try:
            with self._using:
                if self._abandoned:
                    return
                with self._records.unit() as unit:
                    gone = unit.outbox.forget(self._station, before=datetime.now(UTC) - self._keep, limit=FORGET_PIECE)
        except Exception as error:  # noqa: BLE001 - the next look removes them
            _log.warning("delivered events could not be removed", error=str(error))
            gone = 0
        if gone < FORGET_PIECE:  # else the next idle turn goes on
            self._forget_at = time.monotonic() + FORGET_EVERY_S
