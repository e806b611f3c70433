"""A GenICam camera (GigE Vision, USB3 Vision) as a capture."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable

import structlog

from kizu_inspect.errors import ImageError, SourceError
from kizu_inspect.results import ImageRGB
from kizu_pipeline.camera_settings import GenicamSource
from kizu_pipeline.naming import printable
from kizu_pipeline.sources.aravis import BufferStatus, Stream, open_device
from kizu_pipeline.sources.capture import next_beat
from kizu_pipeline.sources.pixels import FORMATS, pixels_of

__all__ = ["GenicamCapture", "ids_between"]

_BUFFERS = 6
_LOOK_AROUND_S = 0.25
_LAST_SHORT_ID = 65535  # of GigE Vision 1's 16 bits; 1 comes after it
_MOST_ABSENT = 1000  # beyond it the camera counts from somewhere else
_CHECK = "Check the network: packet size (jumbo frames), cable, what else uses it."

_log = structlog.get_logger("kizu.intake")


class GenicamCapture:
    """An open GenICam camera that sends frames."""

    def __init__(self, settings: GenicamSource) -> None:
        """Open it, set it, and let frames come. Raises SourceError."""
        self._settings = settings
        self._shown = printable(settings.camera or "(first found)")
        try:
            self._device = open_device(settings.camera)
        except SourceError as error:
            raise SourceError(
                f"the GenICam camera {self._shown} does not open", found=error, expected="a camera that answers",
                next_step="Check power, cable and address, that no other program holds it, and what `arv-tool-0.8` lists.",
            ) from error  # fmt: skip
        try:
            self._set_up()
            self._stream: Stream = self._device.start(buffers=_BUFFERS)
        except BaseException:
            self._device.close()
            raise
        self._buffer: int | None = None
        self._last_id: int | None = None
        self._absent: deque[str] = deque()
        """Frames that must be told of before the one in the buffer, and why there is none."""
        self._ending: SourceError | None = None
        self._lost = False
        self._heard_s = self._beat_s = time.monotonic()
        """When the camera last gave a frame or an answer; when the next software trigger is due."""
        self._asked = False
        """A software trigger was sent, and its frame has not come."""
        _log.info("camera set up", camera=self._shown, model=printable(self._device.model), trigger=settings.trigger)

    def _set_up(self) -> None:
        settings, device = self._settings, self._device
        if (name := settings.pixel_format) is not None:
            known = ", ".join(device.pixel_formats())
            self._set("pixel_format", name, lambda: device.set_pixel_format(name), expected=f"one of {known}")
        if (code := device.pixel_format()) not in FORMATS:
            understood = {one.name for one in FORMATS.values()}
            usable = sorted(understood.intersection(device.pixel_formats()))
            raise SourceError(
                f"the pixel format of the GenICam camera {self._shown} is not understood", found=f"0x{code:08X} (PFNC)",
                expected="of this camera's " + ", ".join(usable) if usable else "one of " + ", ".join(sorted(understood)),
                next_step="Set station.source.pixel_format.",
            )  # fmt: skip
        if (exposure_us := settings.exposure_us) is not None:
            self._set("exposure_us", exposure_us, lambda: device.set_exposure(exposure_us))
        if (gain_db := settings.gain_db) is not None:
            self._set("gain_db", gain_db, lambda: device.set_gain(gain_db))
        source = {"free": None, "software": "Software", "line": settings.trigger_line}[settings.trigger]
        self._set("trigger", source or "free", lambda: device.set_trigger(source))

    def _set(self, key: str, value: object, set_value: Callable[[], None], *, expected: str | None = None) -> None:
        try:
            set_value()
        except SourceError as error:
            raise SourceError(
                f"the GenICam camera {self._shown} refuses station.source.{key}: {value}", found=error,
                expected=expected or "a value that it takes", next_step="See what it takes: arv-tool-0.8 values.",
            ) from error  # fmt: skip

    def grab(self) -> bool:
        """Wait a moment for the next frame; False where none came yet.

        Raises SourceError: silent beyond the time-out, or with trigger: line, where silence is no failure, without an answer.
        """
        try:
            return self._grab()
        except SourceError:
            self._lost = True
            raise

    def _grab(self) -> bool:
        if self._absent:  # the frames that did not arrive come before the one that did
            self._absent.popleft()
        elif self._buffer is not None:
            self._stream.push(self._buffer)
            self._buffer = None
        if self._absent or self._buffer is not None:
            return True
        if self._ending is not None:
            raise self._ending
        if self._settings.trigger == "software" and not self._asked:
            return self._trigger_when_due()
        self._buffer = self._stream.pop(timeout_s=min(_LOOK_AROUND_S, self._settings.timeout_s))
        now_s = time.monotonic()
        if self._buffer is None:
            return self._is_absent(now_s)
        self._heard_s, self._asked = now_s, False
        if self._settings.trigger != "free":
            frame_id = self._stream.frame_id(self._buffer)
            self._absent.extend(
                f"frame {missing} of the camera did not arrive" for missing in ids_between(self._last_id, frame_id)
            )
            self._last_id = frame_id
        return True

    def _trigger_when_due(self) -> bool:
        """Trigger the camera if it is time, else wait a moment; whether there is to tell of a frame that will not come."""
        now_s = time.monotonic()
        if now_s < self._beat_s:
            time.sleep(min(self._beat_s - now_s, _LOOK_AROUND_S))
            return False
        self._beat_s = next_beat(now_s, self._beat_s, self._settings.interval_s)
        self._heard_s, self._asked = now_s, True
        try:
            self._device.trigger()
        except SourceError as error:
            return self._end("the camera did not take the trigger", error)
        return False

    def _is_absent(self, now_s: float) -> bool:
        """Whether the frame that did not come is one that a part was promised. Raises SourceError where the camera is lost."""
        if now_s - self._heard_s < self._settings.timeout_s:
            return False
        if self._settings.trigger == "line":
            self._device.ask()
            self._heard_s = now_s
            return False
        silent = SourceError(f"no frame for {self._settings.timeout_s:g} s")
        if not self._asked:
            raise silent
        return self._end("no frame came after the trigger", silent)

    def _end(self, why: str, error: SourceError) -> bool:
        """Tell of the frame that a part was promised, and then of the loss."""
        self._absent.append(why)
        self._ending = error
        return True

    def retrieve(self) -> ImageRGB:
        """The frame grabbed last, (H, W, 3) RGB. Raises ImageError: it did not arrive, or not whole, or is not understood."""
        if self._absent:
            raise ImageError(self._absent[0], expected="a frame", next_step=_CHECK)
        if self._buffer is None:
            raise ImageError("no frame was grabbed")
        status = self._stream.status(self._buffer)
        if status is not BufferStatus.SUCCESS:
            raise ImageError("frame is incomplete", found=status.name.lower().replace("_", " "), next_step=_CHECK)
        frame = self._stream.frame(self._buffer)
        return pixels_of(
            frame.data,
            frame.pixel_format,
            width_px=frame.width_px,
            height_px=frame.height_px,
            row_padding_bytes=frame.row_padding_bytes,
            bits=self._settings.bits,
        )

    def release(self) -> None:
        """Stop the camera and give it up; also one that is gone."""
        if not self._lost:  # each question to a camera that is gone takes seconds
            with contextlib.suppress(SourceError):
                self._device.stop()
        self._stream.close()
        self._device.close()


def ids_between(last: int | None, now: int) -> range:
    """The camera's numbers of the frames between two that arrived: it took them, and nothing of them came.

    Empty for the first frame (`last` is None), and where the camera counts from somewhere else.
    """
    if last is None:
        return range(0)
    after = 1 if last == _LAST_SHORT_ID else last + 1
    return range(after, now) if now - after <= _MOST_ABSENT else range(0)
