"""Asking a service to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stop_on_signals"]


@contextmanager
def stop_on_signals(*, patient: Callable[[], bool] = lambda: False) -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets; a second signal ends the process at once. Only for the main thread.

    While `patient` says so, a further signal only repeats the first: whoever sent that one ends the process if it takes too
    long. The former handlers come back at the end.
    """
    stop = threading.Event()
    watched = (signal.SIGTERM, signal.SIGINT)
    asked = False

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        repeated, asked = asked, True
        if not repeated:
            stop.set()
        if patient():
            return
        for each in watched:
            signal.signal(each, signal.SIG_DFL)  # the next one ends a process that Python cannot interrupt, too
        if repeated:
            signal.raise_signal(number)

    former = {each: signal.signal(each, ask) for each in watched}
    try:
        yield stop
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
