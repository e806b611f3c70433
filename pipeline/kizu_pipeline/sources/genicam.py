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
        self.on_command = False
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
        except BaseException:  # Ctrl-C too: the next program is to have the camera; it is raised again
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
        self._due = False
        """A software trigger is to be sent now."""
        self._unasked = 0
        """How many frames came that no software trigger had asked for."""
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
        if settings.trigger == "signal":
            self._set("trigger", "signal", self._follow_the_signal)
            return
        source = {"free": None, "software": "Software", "line": settings.trigger_line}[settings.trigger]
        self._set("trigger", source or "free", lambda: device.set_trigger(source))

    def _follow_the_signal(self) -> None:
        self.on_command = self._device.set_software_trigger()
        if not self.on_command:
            _log.warning("camera has no software trigger; the next frame after each trigger is taken", camera=self._shown)

    def _set(self, key: str, value: object, set_value: Callable[[], None], *, expected: str | None = None) -> None:
        try:
            set_value()
        except SourceError as error:
            raise SourceError(
                f"the GenICam camera {self._shown} refuses station.source.{key}: {value}", found=error,
                expected=expected or "a value that it takes", next_step="See what it takes: arv-tool-0.8 values.",
            ) from error  # fmt: skip

    def command(self) -> None:
        """The next `grab` sends a software trigger. What is left of the frame before is let go."""
        self._absent.clear()
        self._give_back()
        self._due = True

    def grab(self) -> bool:
        """Wait a moment for the next frame; False where none came yet.

        Raises SourceError: silent beyond the time-out, or where silence is no failure (an input, no trigger of the line's
        control) without an answer.
        """
        try:
            return self._grab()
        except SourceError:
            self._lost = True
            raise

    def _grab(self) -> bool:
        if self._absent:  # the frames that did not arrive come before the one that did
            self._absent.popleft()
        else:
            self._give_back()
        if self._absent or self._buffer is not None:
            return True
        if self._ending is not None:
            raise self._ending
        if self._settings.trigger == "software" and not self._asked:
            return self._trigger_when_due()
        if self.on_command and not self._asked:
            return self._trigger() if self._due else self._rest()
        if self._settings.trigger == "signal" and not self.on_command:
            self._drop_what_waits()  # it was taken before this grab began, and perhaps before the trigger
        self._buffer = self._stream.pop(timeout_s=min(_LOOK_AROUND_S, self._settings.timeout_s))
        now_s = time.monotonic()
        if self._buffer is None:
            return self._is_absent(now_s)
        self._heard_s, self._asked = now_s, False
        if self.on_command or self._settings.trigger in ("software", "line"):
            frame_id = self._stream.frame_id(self._buffer)
            self._absent.extend(
                f"frame {missing} of the camera did not arrive" for missing in ids_between(self._last_id, frame_id)
            )
            self._last_id = frame_id
        return True

    def _give_back(self) -> None:
        if self._buffer is not None:
            self._stream.push(self._buffer)
            self._buffer = None

    def _drop_what_waits(self) -> int:
        """Let go of the frames that have arrived already; how many."""
        dropped = 0
        while (buffer := self._stream.pop(timeout_s=0)) is not None:
            self._last_id = self._stream.frame_id(buffer)
            self._stream.push(buffer)
            dropped += 1
        return dropped

    def _drop_unasked(self) -> None:
        """Nothing was asked for: a frame that is there all the same must not be taken for the answer to the next trigger."""
        dropped = self._drop_what_waits()
        if dropped and not self._unasked:
            _log.warning("frames came that no trigger had asked for; they are dropped", camera=self._shown)
        self._unasked += dropped

    def _rest(self) -> bool:
        """No frame is wanted: False, after a look whether the camera is there. Raises SourceError where it does not answer."""
        self._drop_unasked()
        return self._is_absent(time.monotonic())

    def _trigger_when_due(self) -> bool:
        """Trigger the camera if it is time, else wait a moment; whether there is to tell of a frame that will not come."""
        now_s = time.monotonic()
        if now_s < self._beat_s:
            time.sleep(min(self._beat_s - now_s, _LOOK_AROUND_S))
            return False
        self._beat_s = next_beat(now_s, self._beat_s, self._settings.interval_s)
        return self._trigger()

    def _trigger(self) -> bool:
        """Trigger the camera; whether there is to tell of a frame that will not come."""
        self._drop_unasked()
        self._heard_s, self._asked, self._due = time.monotonic(), True, False
        try:
            self._device.trigger()
        except SourceError as error:
            return self._end("the camera did not take the trigger", error)
        return False

    def _is_absent(self, now_s: float) -> bool:
        """Whether the frame that did not come is one that a part was promised. Raises SourceError where the camera is lost."""
        if now_s - self._heard_s < self._settings.timeout_s:
            return False
        if self._settings.trigger == "line" or (self.on_command and not self._asked):
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
