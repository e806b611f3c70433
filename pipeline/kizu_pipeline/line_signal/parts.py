"""The parts that wait for their result, and the triggers that announced some of them."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from kizu_pipeline.line_signal.base import Code

__all__ = ["Answer", "AwaitedPart", "Trigger", "Triggers"]


@dataclass(eq=False)
class Answer:
    """What the control is told of one part, and what became of it."""

    part: str
    trigger: int
    code: Code
    until_s: float
    """Until when (monotonic, s) an OK may be sent."""
    note: str = ""
    uid: str | None = None
    """The inspection, as soon as there is one."""
    sequence: int = 0
    shown_s: float = math.nan
    sent: Code = Code.NONE
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None
    late_ms: float | None = None
    settled: bool = False
    """Nothing of it can change any more."""


@dataclass(eq=False)
class AwaitedPart:
    """A part that was triggered or taken from the source and has no verdict yet."""

    part: str
    trigger: int
    seen_s: float
    """When it was triggered or its picture was first seen (monotonic, s)."""
    deadline_s: float = math.inf
    answer: Answer | None = None
    """The NG that it got by its deadline."""
    never_ok: str = ""
    """Why no verdict makes it OK."""
    whole: AwaitedPart | None = None
    """The part of which this is one view, where a part has several."""

    def late_by_ms(self, now_s: float) -> float:
        """How long after its deadline; 0 or less before it."""
        return (now_s - self.deadline_s) * 1e3


@dataclass(frozen=True, eq=False)
class Trigger:
    """A trigger that waits for its frame."""

    number: int
    awaited: AwaitedPart
    expires_s: float
    """Until when (monotonic, s) a frame may be taken for it."""
    missed: str = ""
    """Why no frame may be taken for it at all."""

    @property
    def why_no_frame(self) -> str:
        """The reason for its ERROR row."""
        waited_s = self.expires_s - self.awaited.seen_s
        return self.missed or f"no frame came within {waited_s:.3g} s of trigger {self.number}. Check the camera."


@dataclass
class Triggers:
    """The triggers that wait for their frames, oldest first. Threads may share it."""

    _waiting: deque[Trigger] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, trigger: Trigger) -> None:
        """One more."""
        with self._changed:
            self._waiting.append(trigger)
            self._changed.notify_all()

    def first(self, *, within_s: float = 0.0) -> Trigger | None:
        """The oldest one that may still take its frame; None where none came within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._usable() is not None, within_s)
            return self._usable()

    def _usable(self) -> Trigger | None:
        now = time.monotonic()
        return next((one for one in self._waiting if not one.missed and one.expires_s > now), None)

    def take(self, trigger: Trigger) -> bool:
        """Whether it may still have its frame: whoever takes it answers for it. One past its time is left to `expired`."""
        with self._changed:
            if trigger not in self._waiting or trigger.expires_s <= time.monotonic():
                return False
            self._waiting.remove(trigger)
            return True

    def expired(self) -> list[Trigger]:
        """Those that get no frame any more, removed."""
        with self._changed:
            now = time.monotonic()
            gone = [one for one in self._waiting if one.missed or one.expires_s <= now]
            self._waiting = deque(one for one in self._waiting if one not in gone)
            return gone
