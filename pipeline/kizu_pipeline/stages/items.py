"""What the stages hand to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kizu_pipeline.sources import Picture, Work

if TYPE_CHECKING:
    from kizu_inspect.judged import JudgedBatch

__all__ = ["Items", "JudgedItems", "Loaded", "Storing", "Unreadable"]

_TURN_S: Final = 0.2


@dataclass(frozen=True)
class Storing:
    """A batch's pictures, which are brought into the image store together, beside their verdicts."""

    done: Future[tuple[Sequence[str], float]]
    """Their SHA-256 in the batch's order, and a picture's share of the time (ms)."""

    def waited_for(self, *, beat: Callable[[], None]) -> tuple[Sequence[str], float]:
        """What came of it; `beat` is called meanwhile. Raises what the storing raised."""
        while not self.done.done():
            beat()
            wait([self.done], timeout=_TURN_S)
        return self.done.result()


@dataclass(frozen=True)
class Loaded:
    """A piece of work with its picture in memory."""

    work: Work
    picture: Picture
    storing: Storing | None = None
    """None where its verdict is to decide whether it is stored: while the disk is nearly full."""
    place: int = 0
    """Its own among the pictures that are stored together."""


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
    recipe_id: int
    """The version of the station's recipe by which it was judged: another one may hold by the time it is recorded."""
    error: str | None = None
    """Why what was loaded could not be judged."""
