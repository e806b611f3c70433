"""How often a password, a PIN or a badge may be guessed."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kizu_db.repositories.people import folded

__all__ = ["Attempts"]

FREE_BY_NAME: Final = 5
"""Attempts for one name before waits begin."""
FREE_BY_ADDRESS: Final = 20
"""From one address, which many people may share."""
FREE_BY_TERMINAL: Final = 20
"""At one terminal, by PIN and badge."""
LONGEST_WAIT_S: Final = 60.0
FORGOTTEN_S: Final = 60.0
"""In so long one failure is forgotten."""
MOST_KEPT: Final = 10_000


@dataclass
class _Failures:
    count: float = 0.0
    at: float = 0.0
    until: float = 0.0

    def now(self, now: float) -> float:
        """What is left of them by now."""
        return max(0.0, self.count - (now - self.at) / FORGOTTEN_S)


class Attempts:
    """Counts failed attempts by name, address and terminal in this process; each one too many makes the next wait longer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most_kept: int = MOST_KEPT) -> None:
        """`clock` tells seconds; beyond `most_kept` of these the oldest are forgotten."""
        self._clock = clock
        self._most_kept = most_kept
        self._failures: dict[tuple[str, str], _Failures] = {}
        self._lock = threading.Lock()

    def begin(self, name: str | None, address: str, *, terminal: str | None = None) -> float:
        """0 where an attempt may be made now, which then counts as failed until it succeeds; else the seconds to wait.

        It counts before the password is looked at, so that many at once are no more than one after the other. A badge has
        no name, and a terminal is only one where PIN or badge are tried.
        """
        keys = _keys(name, address, terminal)
        with self._lock:
            now = self._clock()
            self._forget(now, room_for=len(keys))
            wait_s = max((self._failures[key].until - now for key in keys if key in self._failures), default=0.0)
            if wait_s > 0:
                return wait_s
            for key in keys:
                failures = self._failures.setdefault(key, _Failures())
                failures.count, failures.at = failures.now(now) + 1, now
                beyond = failures.count - _FREE[key[0]]
                if beyond > -0.5:  # some of a failure is forgotten between two of them
                    failures.until = now + min(LONGEST_WAIT_S, 2.0 ** min(beyond, 10))
            return 0.0

    def succeeded(self, name: str | None, address: str, *, terminal: str | None = None) -> None:
        """The attempt begun last was no failure: the name's are forgotten, address and terminal have one less."""
        with self._lock:
            for key in _keys(name, address, terminal):
                failures = self._failures.get(key)
                if failures is not None and key[0] == "name":
                    del self._failures[key]
                elif failures is not None:
                    failures.count = max(0.0, failures.count - 1)

    def __len__(self) -> int:
        return len(self._failures)

    def _forget(self, now: float, *, room_for: int) -> None:
        for key in [key for key, failures in self._failures.items() if not failures.now(now) and failures.until <= now]:
            del self._failures[key]
        room = self._most_kept - room_for  # for those that come now
        for key in list(self._failures)[: max(0, len(self._failures) - room)]:  # those that came first
            del self._failures[key]


_FREE: Final = {"name": FREE_BY_NAME, "address": FREE_BY_ADDRESS, "terminal": FREE_BY_TERMINAL}


def _keys(name: str | None, address: str, terminal: str | None) -> list[tuple[str, str]]:
    known = (("name", None if name is None else folded(name)), ("address", _network(address)), ("terminal", terminal))
    return [(kind, text) for kind, text in known if text is not None]


def _network(address: str) -> str:
    """The address; of IPv6 the network that one household or company has to itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    # Where one socket listens for both, each IPv4 address stands in one and the same network of IPv6.
    return str(found.ipv4_mapped or ipaddress.ip_network(f"{found}/64", strict=False))
