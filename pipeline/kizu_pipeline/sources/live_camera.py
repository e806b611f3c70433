"""A camera or stream that may be absent, fall silent or freeze."""

from __future__ import annotations

import hashlib
import math
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import structlog

from kizu_inspect.errors import ImageError, SourceError
from kizu_inspect.results import ImageRGB
from kizu_pipeline.camera_settings import LiveSource
from kizu_pipeline.line_signal.parts import Trigger, Triggers
from kizu_pipeline.naming import PartIdentity, shortened
from kizu_pipeline.sources.base import Queue, Work
from kizu_pipeline.sources.capture import Capture, next_beat
from kizu_pipeline.sources.frames import FrameWork

__all__ = ["LiveCamera"]

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 24.0  # with its jitter 30 s
_MOST_UNFIT = 3
_LOOK_AROUND_S = 0.25

_log = structlog.get_logger("kizu.intake")


class LiveCamera:
    """A camera or stream: a thread reads every frame, so that a triggered one is fresh, and keeps those triggered.

    A camera that is absent, falls silent, fails or is frozen is opened anew, after growing pauses; with `once` it is an error.
    Whatever was triggered becomes a row: what is incomplete, may not be judged, or no longer fits into the memory, as an ERROR.
    Of a camera that runs freely, where no part stands behind each frame, incomplete ones are dropped and counted. Frames that
    still wait when the service is stopped are lost, and their number is logged.
    """

    def __init__(
        self,
        settings: LiveSource,
        open_anew: Callable[[], Capture],
        capture: Capture | None,
        *,
        name: str,
        station: str,
        once: bool,
        batch_wait_s: float,
        stop: threading.Event,
        triggers: Triggers | None = None,
    ) -> None:
        """`name` is the camera's in records, without secrets. `capture` is the camera where it is open already.

        The reader opens it otherwise, by `open_anew`, which raises SourceError, and releases it. With `triggers` each of them
        takes the frame that the camera is commanded to take for it, or where it takes none on command the next one whose
        grabbing began after it; without one it gets an ERROR.
        """
        self.source = f"camera:{station}:{shortened(name)}"
        self._shown = name
        self._open_anew = open_anew
        self._settings = settings
        self._limit = settings.max_frames or (1 if once else None)
        self._once = once
        self._batch_wait_s = batch_wait_s
        self._stop = stop
        self._triggers = triggers
        self._session = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        self._waiting_frames: deque[FrameWork] = deque()
        self._bytes = 0
        """Of the images among them."""
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._finished = False
        """The reader has given its last frame."""
        self._lost: str | None = None
        self._number = 0
        self._next_trigger_s: float | None = None
        self._before: bytes | None = None
        """The digest of the last triggered frame."""
        self._fresh = 0
        """How many frames were not the same as the one before."""
        self._same = 0
        """How many frames in a row were the same as the one before."""
        self.counts: Counter[str] = Counter()
        """connected, lost, frozen (frames), unfit (frames that came incomplete or not to be understood), dropped (frames)."""
        self.connected = False
        """Whether the camera is open now."""
        self._thread = threading.Thread(target=self._read, args=(capture,), name="kizu-camera", daemon=True)
        self._thread.start()

    def _read(self, capture: Capture | None) -> None:
        """Until closed: open the camera, take its frames, and when they end begin again."""
        pauses = _pauses_s()
        try:
            while not self._closing.is_set() and not self._has_all:
                began = self._fresh
                try:
                    capture = capture or self._open_anew()
                    self.counts["connected"] += 1
                    self.connected = True
                    if self.counts["connected"] > 1 or not self._once:
                        _log.info("camera connected", camera=self._shown, times=self.counts["connected"])
                    lost = self._take_from(capture)
                except Exception as error:  # noqa: BLE001 - whatever a driver does, this thread must not end unseen
                    lost = str(error) if isinstance(error, SourceError) else f"{type(error).__name__}: {error}"
                finally:
                    if capture is not None:
                        capture.release()
                        capture = None
                if lost is None or self._closing.is_set():
                    continue
                self.counts["lost"] += 1
                self.connected = False
                if self._once:
                    self._lost = lost
                    return
                if self._fresh > began:
                    pauses = _pauses_s()
                pause_s = next(pauses)
                _log.error("camera lost; it will be opened anew", camera=self._shown, error=lost, in_s=round(pause_s, 1))
                self._closing.wait(pause_s)
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    @property
    def _has_all(self) -> bool:
        return self._limit is not None and self._number >= self._limit

    def _take_from(self, capture: Capture) -> str | None:
        """Grab every frame and keep those triggered, until all wanted are there (None) or the camera is lost (why).

        Raises SourceError where the capture tells of the loss itself.
        """
        self._same = 0  # a frame that is the same as the last one before the camera was lost is frozen still
        unfit, fit_s = 0, time.monotonic()
        wanted: Trigger | None = None
        while not self._closing.is_set() and not self._has_all:
            # Chosen before the frame, and kept until it comes: a late frame is never that of the next trigger.
            wanted = wanted or self._next_trigger(capture)
            if not capture.grab():
                continue
            grabbed_at, now_s = datetime.now(UTC), time.monotonic()
            trigger, wanted = wanted, None
            if trigger is None and (self._triggers is not None or not self._is_time(now_s)):
                continue
            image, error = None, ""
            try:
                image = capture.retrieve()
                unfit, fit_s = 0, now_s
            except ImageError as failure:
                unfit, error = unfit + 1, str(failure)
            if self._triggers is not None and trigger is not None and not self._triggers.take(trigger):
                continue  # it expired meanwhile, and gets its row without a frame
            if image is not None:
                self._keep(image, None, grabbed_at, now_s, trigger)
            else:
                self._keep_unfit(error, grabbed_at, now_s, trigger)
                if unfit >= _MOST_UNFIT and now_s - fit_s > self._settings.timeout_s:
                    return f"no frame that can be judged for {now_s - fit_s:.0f} s: {error}"
            if 0 < self._settings.frozen_frames <= self._same:
                return f"frozen: {self._same + 1} frames in a row are the same"
        return None

    def _next_trigger(self, capture: Capture) -> Trigger | None:
        """The trigger that the next frame is for; a camera that takes frames on command has been told."""
        if self._triggers is None:
            return None
        if not capture.on_command:
            return self._triggers.first()
        trigger = self._triggers.first(within_s=_LOOK_AROUND_S)
        if trigger is not None:
            capture.command()
        return trigger

    def _is_time(self, now_s: float) -> bool:
        """Whether the clock triggers the frame grabbed just now."""
        if self._next_trigger_s is None:  # the first frame starts the clock
            self._next_trigger_s = now_s
        if now_s < self._next_trigger_s:
            return False
        self._next_trigger_s = next_beat(now_s, self._next_trigger_s, self._settings.keep_every_s)
        return True

    def _keep_unfit(self, error: str, captured_at: datetime, seen_s: float, trigger: Trigger | None) -> None:
        """A row for a frame that must not be judged, where a part stands behind it."""
        self.counts["unfit"] += 1
        if self.counts["unfit"] == 1:
            _log.error("a frame came that must not be judged", camera=self._shown, error=error)
        if self._settings.part_behind_each:
            self._keep(None, error, captured_at, seen_s, trigger)

    def _frame(self, captured_at: datetime, seen_s: float, trigger: Trigger | None) -> FrameWork:
        """The next frame; a trigger names its part and tells when it was seen."""
        self._number += 1
        named = trigger.awaited.part if trigger is not None else ""
        generated = f"{self._settings.part_prefix}{self._session}-{self._number:06d}"
        return FrameWork(
            key=f"{self._session}|{self._number}",
            name=f"frame {self._number}",
            part=PartIdentity(named or generated, generated=not named),
            captured_at=captured_at,
            image=None,
            seen_s=trigger.awaited.seen_s if trigger is not None else seen_s,
            trigger=trigger,
        )

    def _keep(
        self, image: ImageRGB | None, error: str | None, captured_at: datetime, seen_s: float, trigger: Trigger | None
    ) -> None:
        """Put a frame behind those that wait: its image, or why there is none."""
        with self._changed:
            frame = self._frame(captured_at, seen_s, trigger)
        frame.image, frame.error = image, error
        if image is not None and self._repeats(image):
            self.counts["frozen"] += 1
            frame.image = None
            frame.error = "camera is frozen: its frame is the same as the one before, bit by bit. Check the camera."
        with self._changed:
            self._waiting_frames.append(frame)
            self._bytes += 0 if frame.image is None else frame.image.nbytes
            while self._bytes > self._settings.memory_mb * 1e6 and self._drop_one(but=frame):
                pass
            self._changed.notify_all()

    def _repeats(self, image: ImageRGB) -> bool:
        """Whether the image is that of the last triggered frame, and may not be."""
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        self._same = self._same + 1 if digest == self._before else 0
        self._before = digest
        self._fresh += not self._same
        return self._same > 0 and self._settings.frozen_frames > 0

    def _drop_one(self, *, but: FrameWork) -> bool:
        """Give up the oldest frame that waits with its image; False where there is none but the newest.

        Behind a triggered frame stands a part, which gets its row; a camera that runs freely only shows the next frame.
        """
        oldest = next((one for one in self._waiting_frames if one.image is not None and one is not but), None)
        if oldest is None or oldest.image is None:
            return False
        self._bytes -= oldest.image.nbytes
        if self._settings.part_behind_each:
            oldest.image = None
            oldest.error = (
                f"frame was dropped: judging is slower than the trigger, and more than {self._settings.memory_mb} MB "
                "waited. Trigger more slowly, or raise station.source.memory_mb."
            )
        else:
            self._waiting_frames.remove(oldest)
        self.counts["dropped"] += 1
        if self.counts["dropped"] == 1:
            _log.error("judging is slower than the camera; the oldest frames go", camera=self._shown, frame=oldest.name)
        return True

    def take(self, limit: int) -> list[Work]:
        """The triggered frames that are there, after a short wait for more. Raises SourceError when the camera is lost."""
        with self._changed:
            if self._waiting_frames and self._batch_wait_s > 0:
                self._changed.wait_for(lambda: self._finished or len(self._waiting_frames) >= limit, self._batch_wait_s)
            works: list[Work] = []
            for trigger in self._triggers.expired() if self._triggers is not None else ():
                frame = self._frame(datetime.now(UTC), trigger.awaited.seen_s, trigger)
                frame.error = trigger.why_no_frame
                self._waiting_frames.append(frame)
            while self._waiting_frames and len(works) < limit:
                frame = self._waiting_frames.popleft()
                self._bytes -= 0 if frame.image is None else frame.image.nbytes
                works.append(frame)
            if not works and self._finished and self._lost is not None:
                raise SourceError(
                    f"the camera {self._shown} gives no more frames", found=self._lost, expected="a steady stream",
                    next_step="Check cable, power and network, and start again.",
                )  # fmt: skip
        return works

    @property
    def taken_until_s(self) -> float:
        """Unknown, and nobody asks: frames tell no view."""
        return -math.inf

    @property
    def folder(self) -> None:
        """None: frames lie nowhere."""

    def finished(self, work: Work) -> None:
        """Nothing to do: a frame is given once."""

    def queues(self) -> dict[str, Queue]:
        """The frames that wait to be taken; any thread may ask."""
        with self._changed:
            oldest = self._waiting_frames[0].seen_s if self._waiting_frames else None
            return {"ready": Queue(len(self._waiting_frames), oldest)}

    def postpone(self, work: Work) -> None:
        """Never needed: a frame has nothing to put away."""

    @property
    def waiting(self) -> bool:
        """Whether more frames are wanted."""
        return not self.ended

    @property
    def ended(self) -> bool:
        """Whether all wanted frames were taken."""
        with self._changed:
            return self._finished and self._lost is None and not self._waiting_frames

    def wait(self) -> None:
        """Until a frame is there, for at most a second, or until the stop event."""
        until = time.monotonic() + 1.0
        with self._changed:
            while not (self._waiting_frames or self._finished or self._stop.is_set()) and time.monotonic() < until:
                self._changed.wait(0.1)

    def close(self) -> None:
        """End the reader, which releases the camera itself: nobody else may do so while it grabs."""
        self._closing.set()
        self._thread.join(timeout=self._settings.timeout_s + 1.0)
        if self._waiting_frames:
            _log.error("frames that waited were not judged", camera=self._shown, frames=len(self._waiting_frames))


def _pauses_s() -> Iterator[float]:
    """Before each try to open a camera again: twice as long each time, up to half a minute, and never two lines in step."""
    pause = _FIRST_PAUSE_S
    while True:
        yield pause * random.uniform(0.75, 1.25)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
