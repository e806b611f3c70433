"""What the line's control was told of a part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["NewSignal", "Sent", "Signal"]

Sent = Literal["OK", "NG", "none"]


@dataclass(frozen=True, kw_only=True)
class Signal:
    """What the control was told of one inspection's part."""

    sent: Sent
    """none: nothing was sent, which the control takes for NG."""
    sent_at: datetime | None
    """Aware; None where nothing was sent."""
    acknowledged_at: datetime | None
    """None where the control did not say that it has it."""
    late_ms: float | None
    """How long after its deadline it was sent or given up; None where it was in time."""
    note: str
    """What was unusual; empty where nothing was."""


@dataclass(frozen=True, kw_only=True)
class NewSignal(Signal):
    """The same, as the line hands it to the records."""

    uid: str
    """The inspection."""
