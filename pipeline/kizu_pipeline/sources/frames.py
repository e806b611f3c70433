"""One frame of whatever OpenCV opens, and the opening."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import cv2
import numpy as np

from kizu_inspect.errors import ImageError, SourceError
from kizu_inspect.picture.depth import to_8_bits
from kizu_inspect.picture.images import encode_png
from kizu_inspect.recipe import Bits
from kizu_inspect.results import ImageRGB
from kizu_pipeline.camera_settings import CameraSource
from kizu_pipeline.decoders import Decode
from kizu_pipeline.line_signal.parts import Trigger
from kizu_pipeline.naming import PartIdentity, printable
from kizu_pipeline.sources.base import Picture

__all__ = ["FrameWork", "open_capture", "public_name", "retrieve"]


@dataclass(eq=False)
class FrameWork:
    """One triggered frame. There is nothing to put away: the image store has the frame as PNG."""

    key: str
    name: str
    part: PartIdentity
    captured_at: datetime
    image: ImageRGB | None
    error: str | None = None
    """Why it cannot be judged."""
    seen_s: float = field(default_factory=time.monotonic)
    """When it was grabbed, or the time of its trigger (monotonic, s)."""
    trigger: Trigger | None = None
    """The control's trigger that it answers."""

    @property
    def absent_s(self) -> float:
        """No source looks for a frame: it was not there before it was grabbed."""
        return self.seen_s

    def load(self, _decode: Decode) -> Picture:
        """The frame and its PNG bytes. Raises ImageError where it cannot be judged."""
        if self.image is None or self.error is not None:
            raise ImageError(self.error or "frame was lost")
        started = time.perf_counter()
        data = encode_png(self.image)
        return Picture(data, ".png", self.image, {"encode": (time.perf_counter() - started) * 1e3})

    def inspected(self) -> None:
        """Nothing lies anywhere that would have to move."""

    def refused(self, error: str, *, inspection: str) -> None:
        """Likewise."""


def open_capture(settings: CameraSource) -> cv2.VideoCapture:
    """The camera, stream or file, open. Raises SourceError."""
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


def retrieve(capture: cv2.VideoCapture, *, bits: Bits | None = None) -> ImageRGB:
    """The frame grabbed last, (H, W, 3) RGB.

    Raises cv2.error where the driver gives none, ImageError for values beyond `bits`.
    """
    given, frame = capture.retrieve()
    if not given or frame is None:
        raise cv2.error("a grabbed frame could not be retrieved")
    if frame.dtype == np.uint16:
        frame = to_8_bits(frame, bits=bits or 16)
    if frame.dtype != np.uint8:
        raise cv2.error(f"frames of {frame.dtype} values have no known range")
    if frame.ndim == 2:
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)
