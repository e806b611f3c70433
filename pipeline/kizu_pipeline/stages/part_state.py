"""A part of several views: which of them are in work, recorded and missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kizu_inspect.results import Verdict

__all__ = ["Change", "JudgedPart", "PartState", "SeenView"]


@dataclass(frozen=True)
class SeenView:
    """One recorded picture of a part, or the row that says that there is none."""

    view: str | None
    uid: str
    verdict: Verdict
    missing: bool = False


@dataclass(frozen=True)
class JudgedPart:
    """A part whose views all have their rows."""

    part: str
    generated: bool
    lot: str | None
    views: tuple[SeenView, ...]
    """In the order of their recording; a view may have several."""

    @property
    def worst(self) -> SeenView:
        """The view whose verdict is the part's."""
        return max(self.views, key=lambda seen: seen.verdict.severity)

    @property
    def missing(self) -> tuple[str, ...]:
        """The views that did not come."""
        return tuple(seen.view for seen in self.views if seen.missing and seen.view is not None)


@dataclass(frozen=True)
class PartState:
    """A part that has no verdict yet."""

    part: str
    generated: bool
    lot: str | None
    until_s: float
    """Until when a view may come (monotonic, s)."""
    left_s: float = -math.inf
    """When a picture of it was last left where it lies (monotonic, s): only a later look tells whether it is there still."""
    restored: bool = False
    """Whether views of it were recorded before the service was started."""
    told: bool = True
    """Whether the line's control waits for its result."""
    pending: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    """By source key the view of each picture in work."""
    rows: tuple[SeenView, ...] = ()

    @property
    def judged(self) -> JudgedPart:
        """It, with the views that it has."""
        return JudgedPart(self.part, self.generated, self.lot, self.rows)

    def complete(self, views: tuple[str, ...]) -> bool:
        """Whether nothing of it is awaited any more: of a part whose serial was made up no other view can come."""
        if self.pending or not self.rows:
            return False
        return self.generated or set(views) <= {seen.view for seen in self.rows}

    def lacks(self, views: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the views that were neither recorded nor are in work."""
        there = {seen.view for seen in self.rows} | set(self.pending.values())
        return tuple(view for view in views if view not in there)


@dataclass(frozen=True)
class Change:
    """What becomes of the parts when these rows are committed."""

    parts: Mapping[tuple[str, str], PartState]
    recorded: frozenset[str]
    """Source keys."""
    judged: tuple[JudgedPart, ...]
