"""An open camera as the reader sees it, whoever's driver is behind it; and OpenCV's."""

from __future__ import annotations

from typing import Protocol

import cv2

from kizu_inspect.errors import ImageError, SourceError
from kizu_inspect.results import ImageRGB
from kizu_pipeline.camera_settings import CameraSource
from kizu_pipeline.sources.frames import open_capture, retrieve

__all__ = ["Capture", "OpenCvCapture", "next_beat"]


class Capture(Protocol):
    """An open camera. All calls come from one thread."""

    @property
    def on_command(self) -> bool:
        """Whether it takes a frame only where `command` asks for one; else frames come by themselves."""

    def command(self) -> None:
        """Ask for one frame: the next `grab` that is not False answers it, with a frame or why there is none.

        Ask for another one only after that. Never asked of a camera whose frames come by themselves.
        """

    def grab(self) -> bool:
        """Wait for the next frame; False where none came yet and nothing is wrong, so that the caller may look around.

        Raises SourceError where the camera is lost: gone, or silent beyond its time-out.
        """

    def retrieve(self) -> ImageRGB:
        """The frame grabbed last, (H, W, 3) RGB. Raises ImageError for one that must not be judged: incomplete, or unknown."""

    def release(self) -> None:
        """Close the camera; also one that is gone."""


class OpenCvCapture:
    """A camera or stream that OpenCV reads."""

    on_command = False

    def __init__(self, settings: CameraSource) -> None:
        """Open it. Raises SourceError."""
        self._settings = settings
        self._capture = open_capture(settings)

    def command(self) -> None:
        """Never asked."""

    def grab(self) -> bool:
        """Wait for the next frame. Raises SourceError where none came."""
        if not self._capture.grab():
            raise SourceError(f"no frame for up to {self._settings.timeout_s:g} s")
        return True

    def retrieve(self) -> ImageRGB:
        """The frame grabbed last, (H, W, 3) RGB. Raises ImageError where the driver gives none."""
        try:
            return retrieve(self._capture, bits=self._settings.bits)
        except cv2.error as error:
            raise ImageError("frame cannot be decoded", found=error, next_step="Check cable and camera.") from error

    def release(self) -> None:
        """Close the camera."""
        self._capture.release()


def next_beat(now_s: float, beat_s: float, interval_s: float) -> float:
    """The next moment of an even beat, `beat_s` being one of its moments; those that passed are not made up for."""
    return beat_s + interval_s * (int((now_s - beat_s) / interval_s) + 1) if interval_s > 0 else now_s
