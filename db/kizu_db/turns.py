"""Taking turns: first come, first served."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

__all__ = ["Turns"]


class Turns:
    """A lock for the threads of one program that goes to whoever waited longest.

    With threading.Lock whoever has just let go takes it again before the next one is awake, and some wait for very long.
    """

    def __init__(self) -> None:
        self._guard = Lock()
        self._taken = False
        self._waiting: deque[Lock] = deque()

    @contextmanager
    def take(self, *, timeout_s: float) -> Iterator[None]:
        """Hold the turn for this block. Raises TimeoutError where it does not come in time."""
        self._acquire(timeout_s)
        try:
            yield
        finally:
            with self._guard:
                if self._waiting:
                    self._waiting.popleft().release()  # the turn goes on without becoming free
                else:
                    self._taken = False

    def _acquire(self, timeout_s: float) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
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
        # Called in the last moment: the turn is ours after all.
