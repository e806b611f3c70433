"""What the stages hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kizu_pipeline.sources import Picture, Work

if TYPE_CHECKING:
    from kizu_inspect.judged import JudgedBatch

__all__ = ["Items", "JudgedItems", "Loaded", "Unreadable"]


@dataclass(frozen=True)
class Loaded:
    """A piece of work with its picture in memory."""

    work: Work
    picture: Picture


@dataclass(frozen=True)
class Unreadable:
    """A piece of work whose picture cannot be had."""

    work: Work
    error: str


Items = tuple[Loaded | Unreadable, ...]
"""A batch in the order of its arrival."""


@dataclass(frozen=True)
class JudgedItems:
    """A batch in the order of its arrival, with the judgements of those of it that were loaded."""

    items: Items
    batch: JudgedBatch | None
    """None where nothing of it could be loaded."""
    judge_ms: float
    """A picture's share of the time."""
    error: str | None = None
    """Why what was loaded could not be judged."""
