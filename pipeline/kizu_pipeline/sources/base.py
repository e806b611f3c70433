"""What every source of pictures offers to the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from kizu_inspect.results import ImageRGB
from kizu_pipeline.decoders import Decode
from kizu_pipeline.line_signal.parts import Trigger
from kizu_pipeline.naming import PartIdentity

__all__ = ["Intake", "Picture", "Queue", "Work"]


@dataclass(frozen=True)
class Picture:
    """One picture in memory: the bytes to keep, and the pixels to judge."""

    data: bytes
    suffix: str
    """The file ending that fits the bytes, such as ".png"."""
    image: ImageRGB
    timings_ms: Mapping[str, float]


@dataclass(frozen=True)
class Queue:
    """What waits at one place of the line."""

    depth: int
    oldest_s: float | None = None
    """Since when its oldest item waits (monotonic, s); None where none does, or nobody knows."""


class Work(Protocol):
    """One piece of work: a picture that waits for its verdict. (intake's source, key) is its identity."""

    @property
    def key(self) -> str:
        """The source key; the same picture has it again after a restart."""

    @property
    def name(self) -> str:
        """The file's name, or the frame's."""

    @property
    def part(self) -> PartIdentity:
        """The part it shows."""

    @property
    def captured_at(self) -> datetime:
        """When it was taken; aware, UTC."""

    @property
    def seen_s(self) -> float:
        """When it was triggered or first seen (monotonic, s): its deadline counts from then."""

    @property
    def absent_s(self) -> float:
        """When the source was last looked at without finding it (monotonic, s): it may have come at any time since."""

    @property
    def trigger(self) -> Trigger | None:
        """The control's trigger that it answers, if one did."""

    def load(self, decode: Decode) -> Picture | None:
        """The picture; None where it vanished or is being changed. Raises ImageError where it cannot be read."""

    def inspected(self) -> None:
        """Put it away: its row is recorded. Raises OSError where that fails; the work then waits still."""

    def refused(self, error: str, *, inspection: str) -> None:
        """Put it into quarantine: its ERROR row is recorded under this uid. Raises OSError as `inspected` does."""


class Intake(Protocol):
    """An open source of pictures."""

    @property
    def source(self) -> str:
        """The first half of each work's identity."""

    def take(self, limit: int) -> list[Work]:
        """Up to `limit` pieces of work that are complete now, oldest first; empty where there are none.

        What was taken does not come again before it is finished. Raises SourceError where the source is lost.
        """

    @property
    def taken_until_s(self) -> float:
        """All that had come by this time (monotonic, s) was taken, or has been incomplete for too long."""

    @property
    def folder(self) -> Path | None:
        """The watched folder; None where there is none."""

    def finished(self, work: Work) -> None:
        """This piece of work is no longer in work: put away, or left where it lies."""

    def postpone(self, work: Work) -> None:
        """Leave this piece of work alone for a while: it is recorded, but could not be put away."""

    @property
    def waiting(self) -> bool:
        """Whether pictures are there that are not complete yet, as of the last `take`, or are in work."""

    @property
    def ended(self) -> bool:
        """Whether nothing can come any more."""

    def wait(self) -> None:
        """Return when something may have come, after the source's own interval, or soon after the stop event."""
