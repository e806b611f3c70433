"""What engineers look at: counts by lot, where on the part the defects lie, and what people say of what was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kizu_db.values.reviews import Disposition
from kizu_inspect.results import Verdict

__all__ = ["DefectPlace", "LotCounts", "Opinion", "ReviewedPart"]


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


@dataclass(frozen=True, kw_only=True)
class ReviewedPart:
    """What the model said of one inspection, and what the latest review says."""

    verdict: Verdict
    audit: bool
    """Whether it was drawn into the audit sample."""
    audit_probability: float
    """With which chance it could be; 0 where no draw was made."""
    score: float | None
    suspected: str | None
    disposition: Disposition
    decided_class: str | None


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """One person's own judgement of an inspection that others judged too, without having seen it corrected."""

    inspection: int
    """Its number."""
    reviewer: str
    disposition: Disposition
