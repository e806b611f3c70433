"""What engineers look at: counts by lot, and where on the part the defects lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kizu_inspect.results import Verdict

__all__ = ["DefectPlace", "LotCounts"]


@dataclass(frozen=True, kw_only=True)
class LotCounts:
    """The inspections of one lot, as far as they were counted."""

    lot: str
    """Empty for parts of which no lot is known."""
    verdicts: Mapping[Verdict, int]


@dataclass(frozen=True, kw_only=True)
class DefectPlace:
    """The centre of one region of a flagged part's map."""

    uid: str
    """The inspection."""
    station: str
    view: str | None
    label: str
    """The class for which it is evidence."""
    x: float
    """Of the picture's width, 0 to 1 from the left."""
    y: float
    """Of its height, 0 to 1 from the top."""
    aspect: float
    """The picture's width over its height."""
