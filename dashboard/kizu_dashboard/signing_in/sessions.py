"""Who is signed in, as every page, picture and message is asked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from kizu_dashboard.settings import DashboardSettings
from kizu_db.permissions import Way
from kizu_db.records import Records
from kizu_db.values import User
from kizu_inspect.errors import RecordError

__all__ = ["Sessions", "cookie_name", "own_cookie", "terminal_cookie_name"]

NOTED_EVERY: Final = timedelta(minutes=1)
"""A use is noted in the records at most so often: pages ask at every turn, and for every picture."""


def cookie_name(settings: DashboardSettings) -> str:
    """The cookie that holds the secret. With `__Host-` a browser takes it from this host alone, and only by HTTPS."""
    return own_cookie("kizu-session", settings)


def terminal_cookie_name(settings: DashboardSettings) -> str:
    """The cookie that makes a browser a known terminal, in the same way."""
    return own_cookie("kizu-terminal", settings)


class Sessions:
    """The sign-ins of one plant. Threads may share it."""

    def __init__(self, records: Records, settings: DashboardSettings) -> None:
        self._records = records
        self._idle = timedelta(minutes=settings.idle_min)
        self._idle_at_terminal = timedelta(minutes=settings.terminal_idle_min)
        self._lasting = timedelta(hours=settings.session_h)
        self._lasting_at_terminal = timedelta(hours=settings.terminal_session_h)
        self._noting: set[str] = set()
        self._lock = threading.Lock()
        self._notes = ThreadPoolExecutor(1, thread_name_prefix="kizu-sessions")

    def begin(
        self, name: str, *, way: Way = Way.PASSWORD, proof: str | None = None, terminal: int | None = None
    ) -> str:  # fmt: skip
        """A new secret for this person, never one that a browser brought. Raises NotAllowed and RecordError.

        `proof` and `terminal` as `SignIns.begin` has them.
        """
        lasting = self._lasting_at_terminal if way.quick else self._lasting
        with self._records.unit() as unit:
            return unit.sign_ins.begin(name, lasting=lasting, way=way, proof=proof, terminal=terminal)

    def whose(self, secret: str | None, *, used: bool = True) -> User | None:
        """The person who is signed in by this secret, None where nobody is (any more). Waits for no writer.

        Without `used` it is only looked at: a page that draws itself anew keeps nobody signed in who has gone home.
        Raises RecordError where the database refuses or is away.
        """
        if not secret:
            return None
        with self._records.unit(read_only=True) as unit:
            found = unit.sign_ins.whose(secret, idle=self._idle, idle_at_terminal=self._idle_at_terminal)
        if found is None:
            return None
        if used and datetime.now(UTC) - found.last_seen_at >= NOTED_EVERY:
            self._note(secret)
        return found.user

    def end(self, secret: str | None) -> None:
        """Nobody is signed in by this secret any more. Raises RecordError where the database refuses or is away."""
        if secret:
            with self._records.unit() as unit:
                unit.sign_ins.end(secret)

    def close(self) -> None:
        """Wait for what is being noted. Close the records after it."""
        self._notes.shutdown()

    def _note(self, secret: str) -> None:
        with self._lock:
            if secret in self._noting:
                return
            self._noting.add(secret)
        with suppress(RuntimeError):  # a page that is still being drawn while the program ends
            self._notes.submit(self._write, secret)

    def _write(self, secret: str) -> None:
        try:
            with self._records.unit(prompt=True) as unit:
                unit.sign_ins.saw(secret, idle=self._idle, idle_at_terminal=self._idle_at_terminal)
        except RecordError:
            pass  # the database is busy or away: the next look notes it
        finally:
            with self._lock:
                self._noting.discard(secret)


def own_cookie(name: str, settings: DashboardSettings) -> str:
    """The name of one of this dashboard's cookies.

    Browsers send a host's cookies to all of its ports: with the port in its name another dashboard there leaves it alone.
    """
    named = f"{name}-{settings.port}" if settings.port else name
    return f"__Host-{named}" if settings.https else named
