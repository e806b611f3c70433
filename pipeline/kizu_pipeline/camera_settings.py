"""The typed settings of cameras: what OpenCV opens, and GenICam cameras."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from kizu_inspect.recipe import Bits
from kizu_inspect.settings import Settings

__all__ = ["CameraSource", "GenicamSource", "LiveSource"]

_NO_INTERVAL: Final = "trigger: signal takes no interval_s; leave it out"


class LiveSource(Settings):
    """What every camera has: when a frame is wanted, and when the camera counts as lost."""

    interval_s: float = Field(
        default=0.0, ge=0, le=86400, title="Trigger interval",
        description="One picture every so many seconds, by frame time in a video file; 0 takes every frame.",
    )  # fmt: skip
    part_prefix: str = Field(
        default="frame-", max_length=80, title="Part prefix", description="What the generated part ids begin with."
    )
    max_frames: int | None = Field(
        default=None, ge=1, title="Most frames", description="End after so many pictures; without it, never by itself."
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=600, title="Time-out",
        description="A stream or GenICam camera that does not open, or gives no frame, for this many seconds has failed.",
    )  # fmt: skip

    frozen_frames: int = Field(
        default=3, ge=0, le=1000, title="Frozen frames",
        description="A triggered frame that is the same as the one before, bit by bit, is an ERROR; after so many in a row a "
        "live camera is opened anew. 0: they are judged (for drawn pictures; a sensor's noise never repeats).",
    )  # fmt: skip
    memory_mb: int = Field(
        default=256, ge=1, le=65536, title="Memory",
        description="Frames that wait to be judged take at most so much; beyond it the oldest become ERROR rows, or without "
        "a trigger are dropped and counted.",
    )  # fmt: skip
    bits: Bits | None = Field(
        default=None, title="Bit depth",
        description="How many bits of a 16-bit value the sensor fills, from the lowest: 12 where white is 4095. Without it "
        "what the pixel format says (Mono12: 12); all 16 where it says nothing, as for values shifted up.",
    )  # fmt: skip

    @property
    def part_behind_each(self) -> bool:
        """Whether a part stands behind each frame that is kept, so that each must have its row."""
        return self.interval_s > 0

    @property
    def keep_every_s(self) -> float:
        """How far apart the kept frames are among those that come, in seconds; 0 where every one is kept."""
        return self.interval_s


class CameraSource(LiveSource):
    """Pictures from whatever OpenCV opens: a USB camera by its index, a network stream, a video file."""

    kind: Literal["camera"] = Field(description="Pictures come from a camera.", title="Kind")
    device: int | str = Field(
        title="Device",
        description="USB index (0), device (/dev/video0), address (rtsp://…, http://…), or path of a video file.",
    )

    trigger: Literal["interval", "signal"] = Field(
        default="interval",
        title="Trigger",
        description="interval: by time. signal: each trigger of the line's control (station.signal) takes the next frame.",
    )

    @model_validator(mode="after")
    def _one_trigger(self) -> Self:
        if self.trigger == "signal" and self.interval_s > 0:
            raise ValueError(_NO_INTERVAL)
        return self

    @property
    def part_behind_each(self) -> bool:
        """Whether a part stands behind each frame that is kept, so that each must have its row."""
        return self.interval_s > 0 or self.trigger == "signal"

    @field_validator("device")
    @classmethod
    def _digits_are_an_index(cls, device: int | str) -> int | str:
        if isinstance(device, str) and device.strip().isdecimal():
            device = int(device)
        if isinstance(device, int) and device < 0:
            raise ValueError(f"the index of a camera is 0 or more, not {device}")
        if isinstance(device, str) and not device.strip():
            raise ValueError("the device is empty")
        return device


class GenicamSource(LiveSource):
    """Pictures from a GenICam camera (GigE Vision, USB3 Vision), by the library Aravis."""

    kind: Literal["genicam"] = Field(description="Pictures come from a GenICam camera.", title="Kind")
    camera: str | None = Field(
        default=None, min_length=1, max_length=200, title="Camera",
        description="Its name as `arv-tool-0.8` lists it, or its IP address; without it the first that is found.",
    )  # fmt: skip
    pixel_format: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9]+$", max_length=40, title="Pixel format",
        description="As GenICam names it, such as Mono8, Mono12p or BayerRG8; without it the one the camera is set to.",
    )  # fmt: skip
    exposure_us: float | None = Field(
        default=None, gt=0, le=1e8, title="Exposure", description="Exposure time in µs; without it as the camera is set."
    )  # fmt: skip
    gain_db: float | None = Field(
        default=None, ge=-100, le=100, title="Gain", description="Gain in dB; without it as the camera is set."
    )
    trigger: Literal["free", "software", "line", "signal"] = Field(
        default="free", title="Trigger",
        description="free: the camera runs freely. software: this program triggers it every interval_s. line: its input does; "
        "then silence is no failure as long as the camera answers. signal: each trigger of the line's control (station.signal) "
        "triggers it, or takes the next frame of a camera that knows no software trigger.",
    )  # fmt: skip
    trigger_line: str = Field(
        default="Line1", pattern=r"^[A-Za-z0-9]+$", max_length=40, title="Trigger input",
        description="The camera's input that triggers a frame, as GenICam names it (TriggerSource); with trigger: line.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _interval_fits_the_trigger(self) -> Self:
        if self.trigger == "software" and self.interval_s == 0:
            raise ValueError("trigger: software needs an interval_s above 0: it is when this program triggers the camera")
        if self.trigger == "line" and self.interval_s > 0:
            raise ValueError("trigger: line takes every frame that the input triggers: leave interval_s at 0")
        if self.trigger == "signal" and self.interval_s > 0:
            raise ValueError(_NO_INTERVAL)
        return self

    @property
    def part_behind_each(self) -> bool:
        """Whether a part stands behind each frame that is kept, so that each must have its row."""
        return self.interval_s > 0 or self.trigger != "free"

    @property
    def keep_every_s(self) -> float:
        """How far apart the kept frames are among those that come, in seconds; 0 where every one is kept."""
        return self.interval_s if self.trigger == "free" else 0.0
