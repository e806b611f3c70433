"""What people read when something fails: a sentence and a next step. Addresses and the system's own words go to the log."""

from __future__ import annotations

from typing import Final

import structlog

from kizu_inspect.errors import KizuError, RecordError, RecordsAway

__all__ = ["AWAY_SENTENCE", "failure_text"]

AWAY_SENTENCE: Final = "The records cannot be reached at the moment."

_log = structlog.get_logger("kizu.dashboard")


def failure_text(error: KizuError) -> str:
    """The sentence for the page; the whole error is told in the log."""
    _log.warning("failed", error=str(error), kind=type(error).__name__)
    if isinstance(error, RecordsAway):
        return f"{AWAY_SENTENCE} Nothing of this step was stored; try again."
    if isinstance(error, RecordError) and "://" in str(error):  # a database's own words name its address
        return "The records refused this step, and nothing of it was stored. The dashboard's log says why."
    return str(error)
