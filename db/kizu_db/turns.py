"""Taking turns: first come, first served."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

__all__ = ["Turns"]


class Turns:
    """Places for the threads of one program that go to whoever waited longest.

    With threading.Lock whoever has just let go takes it again before the next one is awake, and some wait for very long.
    """

    def __init__(self, places: int = 1) -> None:
        self._guard = Lock()
        self._free = places
        self._waiting: deque[Lock] = deque()

    @contextmanager
    def take(self, *, timeout_s: float) -> Iterator[None]:
        """Hold a place for this block. Raises TimeoutError where it does not come in time."""
        self._acquire(timeout_s)
        try:
            yield
        finally:
            with self._guard:
                if self._waiting:
                    self._waiting.popleft().release()  # the place goes on without becoming free
                else:
                    self._free += 1

    def _acquire(self, timeout_s: float) -> None:
        with self._guard:
            if self._free:
                self._free -= 1
                return
            called = Lock()
            called.acquire()
            self._waiting.append(called)
        if called.acquire(timeout=timeout_s):
            return
        with self._guard:
            if called in self._waiting:
                self._waiting.remove(called)
                raise TimeoutError
        # Called in the last moment: the place is ours after all.
