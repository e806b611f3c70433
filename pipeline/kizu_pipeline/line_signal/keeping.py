"""What became of each signal goes into the records after the fact, by a thread of its own: no verdict waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from kizu_db.records import Records
from kizu_db.values import NewSignal
from kizu_inspect.errors import KizuError, RecordsAway

__all__ = ["SignalLog"]

_RESERVED: Final = 100_000
_HIGHEST: Final = 2**32 - 1
_PAUSE_S: Final = 0.5
_AT_ONCE: Final = 200
_WAITING_MOST: Final = 20_000
_CLOSE_S: Final = 3.0

_log = structlog.get_logger("kizu.signal")


class SignalLog:
    """The records of one station's signals, and its sequence numbers.

    Numbers are reserved in the database many at a time, before the first of them is used: a service that is killed leaves a
    gap, and never gives a number twice.
    """

    def __init__(self, records: Records, station: str) -> None:
        """Raises RecordError where no numbers can be reserved."""
        self._records = records
        self._station = station
        self._last = 0
        self._reserved = 0
        self._reserve()
        self._last = self._reserved - _RESERVED
        self._waiting: deque[NewSignal] = deque(maxlen=_WAITING_MOST)
        self._must_wait: Callable[[], bool] = bool
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kizu-signal-log", daemon=True)
        self._thread.start()

    def next_sequence(self, taken: frozenset[int]) -> int:
        """A number that no result of this station ever had, 1 to 2³² − 1, and none of `taken`. One thread asks."""
        while True:
            self._last += 1
            if self._reserved - self._last < _RESERVED // 2:
                self._wake.set()
            number = (self._last - 1) % _HIGHEST + 1
            if number not in taken:
                return number

    def wait_while(self, holds: Callable[[], bool]) -> None:
        """Write nothing while this holds: the inspections that the signals belong to are not in the records yet."""
        self._must_wait = holds

    def put(self, signal: NewSignal) -> None:
        """Keep this soon. Of more than 20,000 that wait for a database the oldest are lost; the log has told of each."""
        with self._lock:
            self._waiting.append(signal)

    def close(self) -> None:
        """Write what waits, for a few seconds at most."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=_CLOSE_S)
        if self._waiting:
            _log.warning("signals not recorded", error="the records are away", signals=len(self._waiting))

    def _run(self) -> None:
        while True:
            last_round = self._closing.is_set()
            try:
                if not self._must_wait() and self._reserved - self._last < _RESERVED // 2:
                    self._reserve()
                while not self._must_wait() and self._write():
                    pass
            except RecordsAway:
                pass  # the line itself tells of it, and waits; what waits here is tried again
            except KizuError as error:
                _log.error("signals not recorded", error=str(error))
                if last_round:
                    return
            if last_round:
                return
            self._wake.wait(_PAUSE_S)
            self._wake.clear()

    def _reserve(self) -> None:
        with self._records.unit() as unit:
            self._reserved = unit.signals.reserve(self._station, _RESERVED)

    def _write(self) -> bool:
        """One transaction; whether more may wait."""
        with self._lock:
            some = [self._waiting[index] for index in range(min(_AT_ONCE, len(self._waiting)))]
        if not some:
            return False
        with self._records.unit() as unit:
            unit.signals.add(some)
        with self._lock:
            for one in some:
                if self._waiting and self._waiting[0] is one:
                    self._waiting.popleft()
        return len(some) == _AT_ONCE
