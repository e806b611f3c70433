"""What the stages hand to each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kizu_pipeline.sources import Picture, Work

if TYPE_CHECKING:
    from kizu_inspect.judged import JudgedBatch

__all__ = ["Items", "JudgedItems", "Loaded", "Storing", "Unreadable"]

_TURN_S: Final = 0.2


class Storing:
    """Pictures that are brought into the image store together, beside their verdicts."""

    def __init__(self, pictures: Sequence[Picture], done: Future[Sequence[str]]) -> None:
        self._places = {id(picture): place for place, picture in enumerate(pictures)}
        self._begun_s = time.perf_counter()
        self._done = done
        self._took_s = 0.0
        done.add_done_callback(self._note)

    def _note(self, _done: Future[Sequence[str]]) -> None:
        self._took_s = time.perf_counter() - self._begun_s

    def name_of(self, picture: Picture, *, beat: Callable[[], None]) -> str:
        """Its SHA-256, once it is there; `beat` is called meanwhile. Raises what the storing raised."""
        while not self._done.done():
            beat()
            wait([self._done], timeout=_TURN_S)
        return self._done.result()[self._places[id(picture)]]

    @property
    def share_ms(self) -> float:
        """A picture's share of the time."""
        return self._took_s * 1e3 / len(self._places)


@dataclass(frozen=True)
class Loaded:
    """A piece of work with its picture in memory."""

    work: Work
    picture: Picture
    storing: Storing | None = None
    """None where its verdict is to decide whether it is stored: while the disk is nearly full."""


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
