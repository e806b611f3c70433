"""Waiting for records that are away, so that a fault that passes costs time and nothing else."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog

from kizu_inspect.errors import RecordsAway
from kizu_pipeline.observing.state import LineState

__all__ = ["Patience"]

T = TypeVar("T")

FIRST_S: Final = 0.5
LONGEST_S: Final = 10.0

_log = structlog.get_logger("kizu.line")


class Patience:
    """Repeats what the records refuse for now, until they take it, the service is to stop, or too long."""

    def __init__(
        self,
        stop: threading.Event,
        *,
        beat: Callable[[], None],
        away: Callable[[], None],
        state: LineState,
        most_s: float = math.inf,
    ) -> None:
        """`beat` is called before each try: a line that waits is alive. `away` is called after each that failed.

        `state` is told what is away. Nothing is waited for longer than `most_s`.
        """
        self.state = state
        self.most_s = most_s
        self._stop = stop
        self._beat = beat
        self._away = away

    def kept(self, work: Callable[[], T]) -> T:
        """What `work` gives, once it succeeds: it must be a whole transaction, or something that may be done twice.

        Raises RecordsAway where the service is to stop meanwhile, or they are away too long: nothing of it was kept, and the
        next start does it again.
        """
        asking = object()
        try:
            return self._kept(work, asking)
        finally:
            self.state.records_back(asking)

    def _kept(self, work: Callable[[], T], asking: object) -> T:
        pause, away_since = FIRST_S, None
        while True:
            self._beat()
            try:
                with self.state.asking_records():
                    result = work()
            except RecordsAway as error:
                self._away()
                away_since = away_since or time.monotonic()
                if self._stop.is_set() or time.monotonic() - away_since >= self.most_s:
                    raise
                self.state.records_away(asking, str(error))
                self.state.count("records_retried")
                _log.error("records are away; waiting", error=str(error), next_try_s=pause)
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_S)
            else:
                if away_since is not None:
                    _log.info("records are back", after_s=round(time.monotonic() - away_since, 1))
                return result
