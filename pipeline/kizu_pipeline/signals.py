"""Asking a service to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stop_on_signals"]


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets; a second signal ends the process at once. Only for the main thread.

    The former handlers come back at the end.
    """
    stop = threading.Event()
    watched = (signal.SIGTERM, signal.SIGINT)

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        for each in watched:
            signal.signal(each, signal.SIG_DFL)

    former = {each: signal.signal(each, ask) for each in watched}
    try:
        yield stop
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
