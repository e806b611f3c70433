"""Verifying the records beside the pages: one walk at a time, in a thread of its own, and what it found is on record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import structlog

from kizu_dashboard.failing import failure_text
from kizu_dashboard.language.speaking import marked
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.verifying import verify
from kizu_inspect.errors import KizuError, RecordError

__all__ = ["Verifying", "Walk"]

_LONGEST_PAUSE_S: Final = 0.1
_CLOSE_WITHIN_S: Final = 5.0

_log = structlog.get_logger("kizu.dashboard")


@dataclass(frozen=True)
class Walk:
    """A walk through the records, at one moment."""

    by: str
    began_at: datetime
    events: int = 0
    """Audit events looked at so far."""
    runs: bool = True
    failed: str | None = None
    """Why it ended without a result, as a sentence."""


class _StoppedError(Exception):
    """The dashboard ends."""


class Verifying:
    """The walks of one plant. Threads may share it."""

    def __init__(self, records: Records, settings: DatabaseSettings) -> None:
        self._records = records
        self._settings = settings
        self._lock = threading.Lock()
        self._walk: Walk | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def walk(self) -> Walk | None:
        """The one that runs, or the last one since the dashboard's start."""
        return self._walk

    def begin(self, *, by: str) -> None:
        """Begin a walk. Raises RecordError while one runs or where the database refuses, NotAllowed where `by` may not."""
        with self._records.unit(read_only=True) as unit:
            unit.verifications.require(by)
        with self._lock:
            if self._walk is not None and self._walk.runs:
                raise RecordError(marked("The records are being verified already"), found=f"begun by {self._walk.by}")
            self._walk = Walk(by, datetime.now(UTC))
            # It ends with the program: SQLite's own check of its file cannot be stopped.
            self._thread = threading.Thread(target=self._go, args=(by,), name="kizu-verifying", daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of the walk that runs, if any; whether it came."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def close(self) -> None:
        """End what runs. Close the records after it."""
        self._stop.set()
        self.wait(_CLOSE_WITHIN_S)

    def _go(self, by: str) -> None:
        failed: str | None = None
        try:
            found = verify(self._settings, progress=self._pace())
            findings = [str(one) for one in found.findings]
            with self._records.unit() as unit:
                unit.verifications.add(
                    by=by, events=found.events, reviews=found.reviews, head=found.head, findings=findings
                )  # fmt: skip
        except KizuError as error:
            failed = failure_text(error)
        except _StoppedError:
            failed = marked("The dashboard was ended meanwhile.")
        except Exception:  # noqa: BLE001 - whatever it is, the page must not show a walk that never ends
            _log.exception("verifying failed")
            failed = marked("It ended by a fault. The dashboard's log says which.")
        finally:
            self._tell(runs=False, failed=failed)

    def _pace(self) -> Callable[[int], None]:
        """To be called after each piece of the walk: pauses as long as the piece took, so that pages come in between."""
        since_s = time.monotonic()

        def pause(events: int) -> None:
            nonlocal since_s
            self._tell(events=events)
            if self._stop.wait(min(_LONGEST_PAUSE_S, time.monotonic() - since_s)):
                raise _StoppedError
            since_s = time.monotonic()

        return pause

    def _tell(self, **is_now: object) -> None:
        with self._lock:
            assert self._walk is not None
            self._walk = replace(self._walk, **is_now)  # type: ignore[arg-type]  # names of Walk
