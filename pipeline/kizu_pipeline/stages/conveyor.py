"""Stages that run side by side: bounded queues between them, and one end for all."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

__all__ = ["Conveyor", "Pulse", "Stage"]

T = TypeVar("T")

_TURN_S: Final = 0.2
_FRESH_S: Final = 30.0

_log = structlog.get_logger("kizu.line")


class Pulse:
    """Tells a supervisor that every stage of the line still turns."""

    def __init__(self, path: Path | None, *, told: Callable[[float], None]) -> None:
        """`path` is the file that is touched; None: none. `told` hears when the slowest stage turned last (monotonic, s)."""
        self._path = path
        self._told = told
        self._turned: dict[str, float] = {}
        self._works_for: dict[str, str] = {}
        self._touched = 0.0

    def works_for(self, stage: str) -> None:
        """The calling thread is a helper of this stage: what it does is that stage's turn."""
        self._works_for[threading.current_thread().name] = stage

    def beat(self) -> None:
        """The calling stage turns. The file is touched where all others did so lately: none of them hides one that hangs."""
        now = time.monotonic()
        name = threading.current_thread().name
        self._turned[self._works_for.get(name, name)] = now
        if now - self._touched < _TURN_S:
            return
        self._touched = now
        slowest = min(self._turned.copy().values())
        self._told(slowest)
        if self._path is None or now - slowest > _FRESH_S:
            return
        try:
            self._path.touch()
        except OSError as error:  # a line that judges goes on; its supervisor sees the old heartbeat
            _log.warning("heartbeat failed", path=str(self._path), error=error.strerror)

    def ends(self) -> None:
        """The calling stage has nothing to do, for now or for good: it is not missed until it beats again."""
        self._turned.pop(threading.current_thread().name, None)


class Conveyor(Generic[T]):
    """A bounded queue from one stage to the next, with an end."""

    def __init__(self, size: int, pulse: Pulse) -> None:
        self._queue: queue.Queue[T | None] = queue.Queue(size)
        self._pulse = pulse
        self._closed = threading.Event()

    def put(self, item: T) -> bool:
        """Hand it over, however long the next stage takes. False where that one takes nothing any more."""
        while not self._closed.is_set():
            self._pulse.beat()
            try:
                self._queue.put(item, timeout=_TURN_S)
            except queue.Full:
                continue
            return True
        return False

    def get(self, *, wait: bool = True) -> T | None:
        """The next item; None after a short while (at once, without `wait`) where there is none."""
        self._pulse.beat()
        try:
            return self._queue.get(wait, timeout=_TURN_S)
        except queue.Empty:
            return None

    def end(self) -> None:
        """Nothing more comes."""
        self._closed.set()

    @property
    def ended(self) -> bool:
        """Whether nothing is there and nothing more comes."""
        return self._closed.is_set() and self._queue.empty()

    @property
    def depth(self) -> int:
        """How many items wait."""
        return self._queue.qsize()


class Stage:
    """A thread that runs one stage; what it raises ends the whole line."""

    def __init__(self, name: str, work: Callable[[], None], *, pulse: Pulse, stop: threading.Event) -> None:
        self.failure: BaseException | None = None
        self._work = work
        self._pulse = pulse
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the line runs
            self.failure = error
            _log.exception("stage failed; the line ends", stage=threading.current_thread().name)
            self._stop.set()
        finally:
            self._pulse.ends()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> None:
        """Until it has ended, or for so long."""
        self._thread.join(timeout_s)
