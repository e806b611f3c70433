"""Whatever OpenCV opens: a USB camera, a network stream, a video file."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import cv2
import numpy as np
import structlog

from kizu_inspect.errors import SourceError
from kizu_inspect.picture.images import encode_png
from kizu_inspect.results import ImageRGB
from kizu_pipeline.naming import PartIdentity, printable
from kizu_pipeline.settings import CameraSource
from kizu_pipeline.sources.base import Picture, Work

__all__ = ["FrameWork", "LiveCamera", "VideoFile", "open_camera"]

_TOLERANCE_S = 5e-4  # containers round a frame's time to the millisecond
_QUEUE_FRAMES = 64

_log = structlog.get_logger("kizu.intake")


@dataclass(frozen=True, eq=False)
class FrameWork:
    """One triggered frame. There is nothing to put away: the image store has the frame as PNG."""

    key: str
    name: str
    part: PartIdentity
    captured_at: datetime
    image: ImageRGB

    def load(self) -> Picture:
        """The frame and its PNG bytes."""
        started = time.perf_counter()
        data = encode_png(self.image)
        return Picture(data, ".png", self.image, {"encode": (time.perf_counter() - started) * 1e3})

    def inspected(self) -> None:
        """Nothing lies anywhere that would have to move."""

    def refused(self, error: str, *, inspection: str) -> None:
        """Likewise."""


@contextmanager
def open_camera(
    settings: CameraSource, *, station: str, once: bool, batch_wait_s: float, stop: threading.Event
) -> Iterator[VideoFile | LiveCamera]:
    """The camera, open. With `once` a live camera gives one frame (or `max_frames`); a video file always gives all.

    Raises SourceError: absent, or not opened by OpenCV.
    """
    path = Path(settings.device) if isinstance(settings.device, str) else None
    capture = _open(settings)
    try:
        if path is not None and path.is_file():
            yield VideoFile(capture, settings, path, station=station)
        else:
            live = LiveCamera(capture, settings, station=station, once=once, batch_wait_s=batch_wait_s, stop=stop)
            try:
                yield live
            finally:
                live.close()
    finally:
        capture.release()


def _open(settings: CameraSource) -> cv2.VideoCapture:
    device = settings.device
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our error says it in one line
    try:
        if isinstance(device, int):
            capture = cv2.VideoCapture(device)
        elif "://" in device:
            limit_ms = round(settings.timeout_s * 1000)
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit_ms]
            capture = cv2.VideoCapture(device, cv2.CAP_FFMPEG, limits)
        else:
            capture = cv2.VideoCapture(device)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            f"the camera {public_name(device)} does not open",
            found=_what_is_there(device),
            expected="a camera, stream or video file that OpenCV can open",
            next_step="Check the cable, address and permissions, and station.source.device.",
        )
    return capture


def _what_is_there(device: int | str) -> str:
    """What the machine shows in the camera's place, in words."""
    if isinstance(device, str) and "://" in device:
        return "no stream at this address within the time-out"
    if isinstance(device, str):
        path = Path(device)
        return "a file that is no video" if path.is_file() else "a device" if path.exists() else "no such file or device"
    present = sorted(str(path) for path in Path("/dev").glob("video*"))
    return "the devices " + ", ".join(present) if present else "no camera on this machine (no /dev/video*)"


def public_name(device: int | str) -> str:
    """The device for messages and records: an address without user, password and query, which may hold secrets."""
    if isinstance(device, int):
        return str(device)
    if "://" not in device:
        return printable(device)
    parts = urlsplit(device)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class VideoFile:
    """The frames of a video file, each when its own time passes the next trigger."""

    def __init__(self, capture: cv2.VideoCapture, settings: CameraSource, path: Path, *, station: str) -> None:
        status = path.stat()
        self.source = f"video:{station}"
        self._identity = f"{printable(path.name)}|{status.st_size}|{status.st_mtime_ns}"
        self._path = path
        self._capture = capture
        self._settings = settings
        self._frames_per_s = capture.get(cv2.CAP_PROP_FPS) or 25.0
        self._announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._number = 0
        """Frames read so far, triggered or not."""
        self._triggered = 0
        self._next_trigger_s = 0.0
        self._ended = False

    def take(self, limit: int) -> list[Work]:
        """The next triggered frames. Raises SourceError for a video without a frame."""
        works: list[Work] = []
        while len(works) < limit and not self._ended:
            if not self._capture.grab():
                self._end()
            elif self._passes_trigger():
                works.append(self._frame())
                self._triggered += 1
                self._ended = self._triggered == self._settings.max_frames
        return works

    def _passes_trigger(self) -> bool:
        """Count the frame just grabbed, and tell whether it is wanted."""
        time_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if time_s <= 0:  # the container tells no times
            time_s = self._number / self._frames_per_s
        self._number += 1
        if time_s < self._next_trigger_s - _TOLERANCE_S:
            return False
        if self._settings.interval_s > 0:
            passed = int((time_s + _TOLERANCE_S) / self._settings.interval_s)
            self._next_trigger_s = (passed + 1) * self._settings.interval_s
        return True

    def _frame(self) -> FrameWork:
        number = self._number
        return FrameWork(
            key=f"{self._identity}|{number}",
            name=f"frame {number}",
            part=PartIdentity(f"{self._settings.part_prefix}{printable(self._path.stem)}-{number:06d}", generated=True),
            captured_at=datetime.now(UTC),
            image=_retrieve(self._capture),
        )

    def _end(self) -> None:
        self._ended = True
        if self._number == 0:
            raise SourceError(
                f"the video {self._path} has no frame", found="0 frames", expected="at least one",
                next_step="Check that the file is whole and that OpenCV knows its codec.",
            )  # fmt: skip
        if self._number < self._announced:
            _log.warning("video ended early", file=printable(self._path), frames=self._number, announced=self._announced)

    def postpone(self, work: Work) -> None:
        """Never needed: a frame has nothing to put away."""

    @property
    def waiting(self) -> bool:
        """Whether frames are left."""
        return not self._ended

    @property
    def ended(self) -> bool:
        """Whether the last frame was taken."""
        return self._ended

    def wait(self) -> None:
        """A file has its next frame at once."""


class LiveCamera:
    """A camera or stream: a thread reads every frame, so that a triggered one is fresh, and keeps those triggered."""

    def __init__(
        self,
        capture: cv2.VideoCapture,
        settings: CameraSource,
        *,
        station: str,
        once: bool,
        batch_wait_s: float,
        stop: threading.Event,
    ) -> None:
        self.source = f"camera:{station}:{public_name(settings.device)}"
        self._capture = capture
        self._settings = settings
        self._limit = settings.max_frames or (1 if once else None)
        self._batch_wait_s = batch_wait_s
        self._stop = stop
        self._session = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        self._frames: queue.Queue[FrameWork] = queue.Queue(maxsize=_QUEUE_FRAMES)
        self._held: list[FrameWork] = []
        self._closing = threading.Event()
        self._finished = threading.Event()
        """The reader has put its last frame into the queue."""
        self._lost = False
        self._thread = threading.Thread(target=self._read, name="kizu-camera", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        """Grab frames until closed; one at each trigger goes into the queue. A full queue makes the trigger wait."""
        number = 0
        next_trigger_s: float | None = None
        late = False
        try:
            while not self._closing.is_set() and (self._limit is None or number < self._limit):
                if not self._capture.grab():
                    self._lost = not self._closing.is_set()
                    return
                now_s = time.monotonic()
                if next_trigger_s is None:  # the first frame starts the clock
                    next_trigger_s = now_s
                if now_s < next_trigger_s:
                    continue
                number += 1
                if self._frames.full() and not late:
                    late = True
                    _log.warning("judging is slower than the trigger; frames wait", frame=number)
                self._put(self._frame(number))
                next_trigger_s = self._trigger_after(now_s, next_trigger_s)
        except cv2.error:
            _log.exception("camera failed", camera=public_name(self._settings.device))
            self._lost = True
        finally:
            self._finished.set()

    def _trigger_after(self, now_s: float, trigger_s: float) -> float:
        """The next moment of the trigger's even beat; one that passed while no frame came is not made up for."""
        interval_s = self._settings.interval_s
        return trigger_s + interval_s * (int((now_s - trigger_s) / interval_s) + 1) if interval_s > 0 else now_s

    def _put(self, frame: FrameWork) -> None:
        while not self._closing.is_set():
            try:
                self._frames.put(frame, timeout=0.1)
            except queue.Full:
                continue
            return

    def _frame(self, number: int) -> FrameWork:
        return FrameWork(
            key=f"{self._session}|{number}",
            name=f"frame {number}",
            part=PartIdentity(f"{self._settings.part_prefix}{self._session}-{number:06d}", generated=True),
            captured_at=datetime.now(UTC),
            image=_retrieve(self._capture),
        )

    def take(self, limit: int) -> list[Work]:
        """The triggered frames that are there, after a short wait for more. Raises SourceError when the camera is lost."""
        works: list[Work] = []
        until = time.monotonic() + self._batch_wait_s
        while len(works) < limit and (frame := self._next(until if works else 0.0)) is not None:
            works.append(frame)
        if not works and self._finished.is_set() and self._frames.empty() and self._lost:
            raise SourceError(
                f"the camera {public_name(self._settings.device)} gives no more frames",
                found=f"none for up to {self._settings.timeout_s:g} s",
                expected="a steady stream",
                next_step="Check cable, power and network, and start again.",
            )
        return works

    def _next(self, until: float) -> FrameWork | None:
        """The next frame, waited for until that moment (monotonic) unless no other will come."""
        if self._held:
            return self._held.pop()
        left_s = 0.0 if self._finished.is_set() else until - time.monotonic()
        try:
            return self._frames.get(timeout=left_s) if left_s > 0 else self._frames.get_nowait()
        except queue.Empty:
            return None

    def postpone(self, work: Work) -> None:
        """Never needed: a frame has nothing to put away."""

    @property
    def waiting(self) -> bool:
        """Whether more frames are wanted."""
        return not self.ended

    @property
    def ended(self) -> bool:
        """Whether all wanted frames were taken."""
        return self._finished.is_set() and not self._lost and self._frames.empty() and not self._held

    def wait(self) -> None:
        """Until a frame is there, for at most a second, or until the stop event."""
        until = time.monotonic() + 1.0
        while not (self._held or self._finished.is_set() or self._stop.is_set()) and time.monotonic() < until:
            try:
                self._held.append(self._frames.get(timeout=0.1))
            except queue.Empty:
                continue

    def close(self) -> None:
        """End the reader before the capture is released under it."""
        self._closing.set()
        self._thread.join(timeout=self._settings.timeout_s + 1.0)


def _retrieve(capture: cv2.VideoCapture) -> ImageRGB:
    """The frame grabbed last, (H, W, 3) RGB. Raises cv2.error where the driver gives none."""
    given, frame = capture.retrieve()
    if not given or frame is None:
        raise cv2.error("a grabbed frame could not be retrieved")
    if frame.ndim == 2:
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)
