"""The typed settings of one station: where its pictures come from, how it judges, on what it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

import regex
from pydantic import Field, field_validator, model_validator

from kizu_inspect.recipe import Device, Recipe
from kizu_inspect.settings import Settings
from kizu_pipeline.camera_settings import CameraSource, GenicamSource
from kizu_pipeline.disk import DiskSettings
from kizu_pipeline.line_signal.settings import MqttSignal, SignalSettings
from kizu_pipeline.observing.settings import HttpSettings
from kizu_pipeline.publishing.settings import MqttTarget, PublishTarget

__all__ = ["CameraSource", "FolderSource", "GenicamSource", "RuntimeSettings", "StationSettings", "check_apart"]

_LONGEST_VIEW = 200


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
    complete_when: Literal["closed", "settled"] = Field(
        default="closed",
        title="Complete when",
        description=(
            "closed: as soon as no program of this machine holds the file open for writing; where that cannot be told (network "
            "drives, other owners' files), settled: its size, times and content were seen unchanged for the settle time."
        ),
    )
    settle_s: float = Field(
        default=1.0, ge=0, le=3600, title="Settle time",
        description="For how many seconds a file must be seen unchanged where nothing says that its writer is done.",
    )  # fmt: skip
    part_pattern: str = Field(
        default="(?P<part>.+)",
        title="Part pattern",
        description=(
            "Regular expression with the named group part, and view and lot if wanted. It must match the whole file name "
            "without its extension, or else the whole path below the folder without extension."
        ),
    )
    sidecar_wait_s: float | None = Field(
        default=None, ge=0, le=3600, title="Wait for sidecars",
        description="With a number NAME.png.json or else NAME.json beside a picture tells its part, and a picture waits so "
        "many seconds for it, from when it was first seen; then its name tells the part. null: no sidecars.",
    )  # fmt: skip
    temporary_suffixes: tuple[str, ...] = Field(
        default=(".tmp", ".part", ".partial", ".filepart", ".crdownload", ".download"),
        title="Temporary suffixes",
        description="Names with one of these endings, or a leading dot, are ignored until they are renamed.",
    )
    ignored: tuple[str, ...] = Field(
        default=("thumbs.db", "desktop.ini", "~$*", "*.json", "*.xml", "*.txt", "*.csv", "*.ini", "*.log", "*.md5", "*.lnk"),
        title="Ignored names",
        description="Shell patterns of names, upper or lower case, that are never pictures: they are left where they lie.",
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
            groups = set(regex.compile(pattern).groupindex)
        except regex.error as error:
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

    @field_validator("ignored")
    @classmethod
    def _patterns_leave_something(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        if {"", "*"} & set(patterns):
            raise ValueError("a pattern that fits every name, or none, would ignore every picture")
        return tuple(pattern.lower() for pattern in patterns)

    @model_validator(mode="after")
    def _folders_stand_apart(self) -> Self:
        for name, folder in (("done", self.done), ("quarantine", self.quarantine)):
            check_apart(self.path, folder, name)
        return self


def check_apart(watched: Path, other: Path, name: str) -> None:
    """Raises ValueError where `other`, called `name`, is the watched folder, lies in it, or holds it.

    What the service writes below the watched folder it would find there as new pictures: at once, or after a change of paths.
    """
    watched, other = watched.resolve(), other.resolve()
    if watched == other or other in watched.parents:
        raise ValueError(f"{name} ({other}) must not be the watched folder ({watched}) nor hold it")
    if watched in other.parents:
        raise ValueError(f"{name} ({other}) must not lie in the watched folder ({watched}); put it beside that folder")


class StationSettings(Settings):
    """One inspection station: its name, its source of pictures, and its recipe."""

    id: str = Field(
        title="Station", description="Name of the station in every record.", pattern=r"^[^\s/\\:](?:[^/\\:\n]{0,78}[^\s/\\:])?$"
    )  # fmt: skip
    source: Annotated[FolderSource | CameraSource | GenicamSource, Field(discriminator="kind")] = Field(
        title="Source", description="Where the pictures come from: a folder or a camera."
    )
    recipe: Recipe = Field(title="Recipe", description="How the station judges.")
    signal: SignalSettings | None = Field(
        default=None,
        title="Signal",
        description="The line's control (PLC) that is told OK or NG for each part, by Modbus TCP or MQTT; none by default.",
    )
    verdict_deadline_ms: float | None = Field(
        default=None, gt=0, le=3_600_000, title="Verdict deadline",
        description="How long after its trigger, or after its picture was first seen, a part may wait for its verdict, in "
        "milliseconds; a later one is an ERROR, and NG. None by default.",
    )  # fmt: skip
    review_signal: Literal["NG", "OK"] = Field(
        default="NG", title="Review signal", description="What the line is told of a part that a person is to look at."
    )
    views: tuple[str, ...] = Field(
        default=(), title="Views",
        description="Every part has a picture of each of these views, and its verdict is the worst of theirs; by default each "
        "picture is a part.",
    )  # fmt: skip
    views_within_s: float = Field(
        default=10.0, gt=0, le=3600, title="Time for the views",
        description="How many seconds after its first view a part waits for the others; one that is missing then is an ERROR.",
    )  # fmt: skip
    publish: PublishTarget | None = Field(
        default=None, title="Publish", description="The receiver of each result: a webhook or an MQTT broker; none by default."
    )

    @model_validator(mode="after")
    def _the_id_is_a_topic(self) -> Self:
        by_broker = isinstance(self.publish, MqttTarget) or isinstance(self.signal, MqttSignal)
        if by_broker and {"+", "#", "\0"} & set(self.id):
            raise ValueError(f"the id {self.id!r} is part of the MQTT topic, which cannot hold + or #")
        return self

    @field_validator("views")
    @classmethod
    def _views_have_names(cls, views: tuple[str, ...]) -> tuple[str, ...]:
        if any(view != view.strip() or not 0 < len(view) <= _LONGEST_VIEW for view in views) or len(set(views)) < len(views):
            raise ValueError(f"each view needs a name of its own, of 1 to {_LONGEST_VIEW} characters, without blanks around it")
        return views

    @model_validator(mode="after")
    def _something_tells_the_view(self) -> Self:
        if not self.views:
            return self
        if not isinstance(self.source, FolderSource):
            raise ValueError("views need a folder as source: a camera's frames tell no view")
        if self.source.sidecar_wait_s is None and "view" not in regex.compile(self.source.part_pattern).groupindex:
            raise ValueError("views need a group (?P<view>…) in source.part_pattern, or sidecars (source.sidecar_wait_s)")
        return self

    @model_validator(mode="after")
    def _triggers_come_from_somewhere(self) -> Self:
        if not isinstance(self.source, FolderSource) and self.source.trigger == "signal" and self.signal is None:
            raise ValueError("source.trigger: signal needs station.signal, from which the triggers come")
        return self


class RuntimeSettings(Settings):
    """On what the service runs and how it batches."""

    device: Device = Field(default="auto", title="Device", description="auto takes the GPU where there is one, else the CPU.")
    max_batch: int = Field(
        default=16, ge=1, le=1024, title="Largest batch", description="At most so many pictures are judged at once."
    )
    max_wait_ms: float = Field(
        default=20.0, ge=0, le=10000, title="Longest wait", description="How long a batch that is not full waits for more."
    )  # fmt: skip
    decoders: int = Field(
        default_factory=lambda: min(4, len(os.sched_getaffinity(0))), ge=1, le=256, title="Decoders",
        description="So many processes decode pictures; by default as many as there are processor cores, four at most.",
    )  # fmt: skip
    decoder_mb: int | None = Field(
        default=None, ge=512, title="Memory of a decoder",
        description="What a decoder may take, in MB; null: what the recipe's largest picture needs.",
    )  # fmt: skip
    drain_s: float = Field(
        default=5.0, ge=0, le=3600, title="Drain",
        description="A service that is to stop ends what is in work and makes maps for at most so many seconds; "
        "the next start makes the others.",
    )  # fmt: skip
    once_waits_s: float = Field(
        default=60.0, ge=0, le=86400, title="Waits with --once",
        description="`kizu run --once` waits so many seconds for a database or image store that is away, then ends with an "
        "error; the service waits for as long as it takes.",
    )  # fmt: skip
    spool_rows: int = Field(
        default=100_000, ge=0, title="Spool",
        description="While the database is away the service keeps so many results in .spool of the image store and goes on; "
        "then, or with 0 at once, it waits.",
    )  # fmt: skip
    heartbeat: Path | None = Field(
        default=None, title="Heartbeat",
        description="File that each turn of the line's loop touches; an old one tells of a stuck line.",
    )  # fmt: skip
    http: HttpSettings | None = Field(
        default=None, title="HTTP",
        description="Where /healthz, /readyz, /metrics and /status.json are answered; nowhere by default. {} takes port 9108.",
    )  # fmt: skip
    disk: DiskSettings = Field(
        default=DiskSettings(), title="Disk", description="How full the disks of image store and SQLite file may become."
    )
