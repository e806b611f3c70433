"""What people decide, and what they have on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

__all__ = [
    "MOST_BOXES",
    "Claim",
    "Decision",
    "Disposition",
    "DrawnBox",
    "Escalation",
    "Look",
    "NewReview",
    "Review",
    "Treatment",
    "Waiting",
]

Disposition = Literal["good", "defective"]
"""What a person decided about the part."""

Decision = Literal["accept", "override"]
"""Whether that person contradicted the verdict. REVIEW and ERROR say nothing that could be contradicted."""

Treatment = Literal["accept", "rework", "scrap"]
"""What becomes of the part."""


Look = Literal["second", "engineer"]
"""Why a decided part waits again: for another person, blind to the decision; or for an engineer, where these two disagree."""

MOST_BOXES: Final = 50
"""Of one review."""


@dataclass(frozen=True, kw_only=True)
class DrawnBox:
    """A defect that a person drew, in pixels of the original picture: 0 ≤ x1 < x2 ≤ width, y likewise."""

    x1: int
    y1: int
    x2: int
    y2: int
    defect_class: str


@dataclass(frozen=True, kw_only=True)
class NewReview:
    """What one person decided about one inspection."""

    uid_inspection: str
    reviewer: str
    disposition: Disposition
    defect_class: str | None = None
    decision: Decision
    treatment: Treatment | None = None
    reason: str = ""
    shown_ms: int | None = None
    """How long the inspection was on the screen before the decision."""
    nonce: str
    """Unique to one filled-in form, so that a double click or a repeated request stores one review."""
    supersedes: int | None = None
    """The id of the review that this one corrects."""
    boxes: tuple[DrawnBox, ...] = ()
    """Where the defects lie, as the reviewer drew them, at most MOST_BOXES; empty where nothing was drawn."""


@dataclass(frozen=True, kw_only=True)
class Review(NewReview):
    """A stored review; it never changes."""

    id: int
    reviewed_at: datetime


@dataclass(frozen=True, kw_only=True)
class Escalation:
    """A part that somebody could not tell: it waits for a second person."""

    by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A part that somebody looks at, so that nobody else is shown it."""

    uid_inspection: str
    reviewer: str
    expires_at: datetime
    """From then on anybody may have it."""
    look: Look | None = None
    """None where nobody decided it yet."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What waits for a review at one station."""

    parts: int
    since: datetime
    """When the one that was recorded first was judged."""
