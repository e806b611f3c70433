"""The last stage of a file: out of the watched folder, once its row is there."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from kizu_pipeline.sources import Intake, Work

__all__ = ["PuttingAway", "Row"]

Row = tuple[str, str | None]
"""The uid of an inspection, and the error for which its file goes into quarantine, if it does."""

_log = structlog.get_logger("kizu.line")


class PuttingAway:
    """Moves recorded work; what cannot be moved is tried again later, or by the next start."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.stuck: dict[str, str] = {}
        """Work that is recorded but could not be put away, and why, by its key."""
        self._rows: dict[str, Row] = {}
        """Their rows."""

    def known(self, keys: Iterable[str]) -> dict[str, Row]:
        """The rows of those of these pieces of work that could not be put away, by key."""
        return {key: self._rows[key] for key in keys if key in self._rows}

    def put_away(self, work: Work, uid: str, *, error: str | None = None) -> None:
        """Move the file of this inspection to done, or with an error to quarantine."""
        try:
            if error is None:
                work.inspected()
            else:
                work.refused(error, inspection=uid)
        except OSError as failure:
            _log.error("recorded but not put away", inspection=uid, image=work.name, error=str(failure))
            self._rows[work.key], self.stuck[work.key] = (uid, error), str(failure)
            self._intake.postpone(work)
        else:
            self.stuck.pop(work.key, None)
            self._rows.pop(work.key, None)
        self._intake.finished(work)
