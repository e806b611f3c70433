"""A station's source as the line sees it: what it tells goes on to the line's state, and a full disk stops it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from kizu_pipeline.disk import DiskGuard
from kizu_pipeline.observing.state import LineState
from kizu_pipeline.sources.base import Intake, Queue, Work

__all__ = ["ObservedIntake", "observed"]

_LOOK_AGAIN_S: Final = 1.0
_COUNTED: Final = {
    "camera_connected": "connected", "camera_lost": "lost", "frames_frozen": "frozen", "frames_unfit": "unfit",
    "frames_dropped": "dropped",
}  # fmt: skip
"""What a camera counts, by the name of the event."""


@runtime_checkable
class _Queued(Protocol):
    def queues(self) -> Mapping[str, Queue]: ...


@runtime_checkable
class _Counting(Protocol):
    counts: Mapping[str, int]


@runtime_checkable
class _Connected(Protocol):
    connected: bool


@contextmanager
def observed(
    opened: AbstractContextManager[Intake], state: LineState, disk: DiskGuard, stop: threading.Event
) -> Iterator[ObservedIntake]:
    """The source, open for the length of the `with` block; raises what opening it raises."""
    with opened as intake:
        yield ObservedIntake(intake, state, disk, stop)


class ObservedIntake:
    """Hands on what the source gives, unless the disk is so full that what is taken could not be kept."""

    def __init__(self, intake: Intake, state: LineState, disk: DiskGuard, stop: threading.Event) -> None:
        self._intake = intake
        self._state = state
        self._disk = disk
        self._stop = stop
        self._in_work: dict[int, Work] = {}
        state.watch_queues("intake", self._queues)
        if isinstance(intake, _Counting):
            counts = intake.counts
            state.count_also(lambda: {event: counts.get(name, 0) for event, name in _COUNTED.items()})
        if isinstance(intake, _Connected):
            camera = intake
            state.not_ready_while("camera", lambda: None if camera.connected else "the camera is not connected")

    @property
    def source(self) -> str:
        """The first half of each work's identity."""
        return self._intake.source

    def take(self, limit: int) -> list[Work]:
        """What the source gives; nothing while the disk is too full. Raises SourceError where the source is lost."""
        taken = [] if self._disk.stops_intake() else self._intake.take(limit)
        self._in_work |= {id(work): work for work in taken}
        return taken

    @property
    def taken_until_s(self) -> float:
        """All that had come by this time (monotonic, s) was taken."""
        return self._intake.taken_until_s

    @property
    def folder(self) -> Path | None:
        """The watched folder; None where there is none."""
        return self._intake.folder

    def finished(self, work: Work) -> None:
        """This piece of work is no longer in work."""
        self._in_work.pop(id(work), None)
        self._intake.finished(work)

    def postpone(self, work: Work) -> None:
        """Leave this piece of work alone for a while."""
        self._intake.postpone(work)

    @property
    def waiting(self) -> bool:
        """Whether pictures are there that are not complete yet or in work, or may be there behind a disk that is too full."""
        return self._disk.stopped or self._intake.waiting

    @property
    def ended(self) -> bool:
        """Whether nothing can come any more."""
        return self._intake.ended

    def wait(self) -> None:
        """Return when something may have come, or the disk may have space again."""
        if not self._disk.stopped:
            self._intake.wait()
            return
        until = time.monotonic() + _LOOK_AGAIN_S
        while time.monotonic() < until and not self._stop.wait(0.1):
            pass

    def _queues(self) -> Mapping[str, Queue]:
        in_work = list(self._in_work.copy().values())
        work = Queue(len(in_work), min((one.seen_s for one in in_work), default=None))
        return {"work": work, **(self._intake.queues() if isinstance(self._intake, _Queued) else {})}
