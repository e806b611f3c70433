"""Names for inspections: UUID version 7, whose order is the order in which they were made."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from threading import Lock

__all__ = ["UidSource", "new_uid"]

_RANDOM_BITS = 74


class UidSource:
    """Makes UUIDs of version 7 (RFC 9562); within one process each is greater than the one before.

    The order holds through a clock that stands still or steps back: the new number is then the last one plus a random
    step, which runs ahead of the clock until the clock has caught up.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._lock = Lock()
        self._last = 0

    def __call__(self) -> str:
        """A new name as 36 lower-case characters. Safe to call from several threads."""
        milliseconds = self._clock_ns() // 1_000_000
        with self._lock:
            number = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
            if number <= self._last:
                number = self._last + 1 + secrets.randbits(32)
            self._last = number
        time_48, high_12, low_62 = number >> 74, number >> 62 & 0xFFF, number & (1 << 62) - 1
        return str(uuid.UUID(int=time_48 << 80 | 7 << 76 | high_12 << 64 | 0b10 << 62 | low_62))


new_uid = UidSource()
"""The source that this process uses."""
