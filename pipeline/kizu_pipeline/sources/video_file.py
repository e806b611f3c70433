"""The frames of a video file."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import cv2
import structlog

from kizu_inspect.errors import ImageError, SourceError
from kizu_pipeline.camera_settings import CameraSource
from kizu_pipeline.naming import PartIdentity, printable
from kizu_pipeline.sources.base import Work
from kizu_pipeline.sources.frames import FrameWork, retrieve

__all__ = ["VideoFile"]

_TOLERANCE_S = 5e-4  # containers round a frame's time to the millisecond

_log = structlog.get_logger("kizu.intake")


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
        image, error = None, None
        try:
            image = retrieve(self._capture, bits=self._settings.bits)
        except cv2.error as broken:
            error = f"frame cannot be decoded: {broken}. Check the video."
        except ImageError as wrong:
            error = str(wrong)
        return FrameWork(
            key=f"{self._identity}|{number}",
            name=f"frame {number}",
            part=PartIdentity(f"{self._settings.part_prefix}{printable(self._path.stem)}-{number:06d}", generated=True),
            captured_at=datetime.now(UTC),
            image=image,
            error=error,
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

    @property
    def taken_until_s(self) -> float:
        """Unknown, and nobody asks: frames tell no view."""
        return -math.inf

    @property
    def folder(self) -> None:
        """None: frames lie nowhere."""

    def finished(self, work: Work) -> None:
        """Nothing to do: a frame is given once."""

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
