"""The typed settings of one station: where its pictures come from, how it judges, on what it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from kizu_inspect.recipe import Device, Recipe
from kizu_inspect.settings import Settings

__all__ = ["CameraSource", "FolderSource", "RuntimeSettings", "StationSettings"]


class FolderSource(Settings):
    """Pictures that some camera or person drops into a folder."""

    kind: Literal["folder"] = Field(default="folder", title="Kind", description="Pictures come from a watched folder.")
    path: Path = Field(title="Folder", description="The watched folder, sub-folders included.")
    done: Path = Field(
        default=Path("done"), title="Done", description="Where inspected files go; a file there is never overwritten."
    )
    quarantine: Path = Field(
        default=Path("quarantine"),
        title="Quarantine",
        description="Where files that cannot be read go, each beside NAME.json with the error.",
    )
    settle_s: float = Field(
        default=1.0, ge=0, le=3600, title="Settle time",
        description="A file counts as complete when its size and modification time were stable for this many seconds.",
    )  # fmt: skip
    part_pattern: str = Field(
        default="(?P<part>.+)",
        title="Part pattern",
        description=(
            "Regular expression with the named group part, and view and lot if wanted. It must match the whole file name "
            "without its extension, or else the whole path below the folder without extension."
        ),
    )
    temporary_suffixes: tuple[str, ...] = Field(
        default=(".tmp", ".part"),
        title="Temporary suffixes",
        description="Names with one of these endings, or a leading dot, are ignored until they are renamed.",
    )
    rescan_s: float = Field(
        default=1.0, gt=0, le=3600, title="Rescan",
        description="Look into the folder at least this often; file events only make it faster.",
    )  # fmt: skip
    keep: Literal["move", "delete"] = Field(
        default="move",
        title="Keep",
        description="Move an inspected file to done, or delete it: its picture is in the image store either way.",
    )

    @field_validator("part_pattern")
    @classmethod
    def _pattern_names_the_part(cls, pattern: str) -> str:
        try:
            groups = set(re.compile(pattern).groupindex)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        if "part" not in groups:
            raise ValueError(f"{pattern!r} has no group (?P<part>…)")
        if unknown := groups - {"part", "view", "lot"}:
            raise ValueError(f"{pattern!r} has the unknown groups {sorted(unknown)}; known are part, view and lot")
        return pattern

    @field_validator("temporary_suffixes")
    @classmethod
    def _suffixes_are_not_empty(cls, suffixes: tuple[str, ...]) -> tuple[str, ...]:
        if "" in suffixes:
            raise ValueError("an empty suffix would ignore every file")
        return tuple(suffix.lower() for suffix in suffixes)

    @model_validator(mode="after")
    def _folders_stand_apart(self) -> Self:
        watched = self.path.resolve()
        for name, folder in (("done", self.done.resolve()), ("quarantine", self.quarantine.resolve())):
            if watched == folder or folder in watched.parents:
                raise ValueError(f"{name} ({folder}) must not be the watched folder ({watched}) nor hold it")
        return self


class CameraSource(Settings):
    """Pictures from whatever OpenCV opens: a USB camera by its index, a network stream, a video file."""

    kind: Literal["camera"] = Field(description="Pictures come from a camera.", title="Kind")
    device: int | str = Field(
        title="Device",
        description="USB index (0), device (/dev/video0), address (rtsp://…, http://…), or path of a video file.",
    )
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
        description="A network stream that does not open, or gives no frame, for this many seconds has failed.",
    )  # fmt: skip

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


class StationSettings(Settings):
    """One inspection station: its name, its source of pictures, and its recipe."""

    id: str = Field(
        title="Station", description="Name of the station in every record.", pattern=r"^[^\s/\\:](?:[^/\\:\n]{0,78}[^\s/\\:])?$"
    )  # fmt: skip
    source: Annotated[FolderSource | CameraSource, Field(discriminator="kind")] = Field(
        title="Source", description="Where the pictures come from: a folder or a camera."
    )
    recipe: Recipe = Field(title="Recipe", description="How the station judges.")


class RuntimeSettings(Settings):
    """On what the service runs and how it batches."""

    device: Device = Field(default="auto", title="Device", description="auto takes the GPU where there is one, else the CPU.")
    max_batch: int = Field(
        default=16, ge=1, le=1024, title="Largest batch", description="At most so many pictures are judged at once."
    )
    max_wait_ms: float = Field(
        default=20.0, ge=0, le=10000, title="Longest wait", description="How long a batch that is not full waits for more."
    )  # fmt: skip
    heartbeat: Path | None = Field(
        default=None, title="Heartbeat",
        description="File that each turn of the line's loop touches; an old one tells of a stuck line.",
    )  # fmt: skip
