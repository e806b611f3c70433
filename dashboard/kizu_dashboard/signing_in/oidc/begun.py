"""Sign-ins that were begun here and go on at the sign-in service."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["LASTS_S", "Begun", "BegunSignIns"]

LASTS_S: Final = 600
"""Seconds in which somebody types a password elsewhere."""
MOST_KEPT: Final = 10_000


@dataclass(frozen=True)
class Begun:
    """What one sign-in is known by: to the browser, in the address, in the token, and to whoever redeems the code."""

    state: str
    nonce: str
    verifier: str
    back: str
    """The path to go to afterwards."""
    until: float


class BegunSignIns:
    """Kept in this process's memory alone, each for one use by the browser that began it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_browser: dict[str, Begun] = {}
        self._lock = threading.Lock()

    def begin(self, back: str) -> tuple[str, Begun]:
        """A new one, and the secret for its browser's cookie."""
        browser, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        now = self._clock()
        begun = Begun(state, nonce, secrets.token_urlsafe(64), back, now + LASTS_S)
        with self._lock:
            kept = [(one, what) for one, what in self._by_browser.items() if what.until > now]
            self._by_browser = dict(kept[-(MOST_KEPT - 1) :])
            self._by_browser[browser] = begun
        return browser, begun

    def take(self, browser: str, state: str) -> Begun | None:
        """The one that this browser began with this state, which ends with it; None where there is none (any more)."""
        with self._lock:
            begun = self._by_browser.get(browser)
            if begun is None or not hmac.compare_digest(begun.state.encode(), state.encode("utf-8", "backslashreplace")):
                return None
            del self._by_browser[browser]
            return begun if begun.until > self._clock() else None
