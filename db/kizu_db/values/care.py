"""What the care of the records goes by: the audit trail, the audit sample, and what is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kizu_inspect.results import Verdict

__all__ = ["AuditEvent", "AuditStratum", "DatabaseState", "DueInspection", "RetentionEnds"]


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One link of the audit trail; it never changes."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    subject_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class AuditStratum:
    """The PASS inspections that were drawn into the audit sample with one chance."""

    probability: float
    """Above 0, at most 1."""
    passes: int
    """All PASS inspections of that chance, drawn or not."""
    reviewed: int
    """Drawn ones that a person reviewed."""
    escapes: int
    """Of these, those that are defective."""


@dataclass(frozen=True, kw_only=True)
class DatabaseState:
    """What the records lie in, at one moment."""

    kind: str
    """SQLite or PostgreSQL."""
    program_version: str
    """Of the library or the server."""
    version: str
    """Of the tables."""
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class RetentionEnds:
    """Moments, aware: what was judged before them has been kept long enough. None keeps all."""

    passed_images: datetime | None
    """Pictures of PASS parts."""
    flagged_images: datetime | None
    """Other pictures."""
    records: datetime | None
    """Inspections with all that hangs on them."""


@dataclass(frozen=True)
class DueInspection:
    """An inspection whose time is over, or whose picture's is."""

    number: int
    uid: str
    judged_at: datetime
    verdict: Verdict
    image_sha256: str | None
