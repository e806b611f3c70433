"""The log of the line: one JSON object a line, or readable text on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog

__all__ = ["configure_logging", "hearing_errors", "let_hear"]

_listeners: list[Callable[[str], None]] = []


@contextmanager
def hearing_errors(listen: Callable[[str], None]) -> Iterator[None]:
    """Call `listen` with the text of each line at level error or above, for the length of the `with` block."""
    _listeners.append(listen)
    try:
        yield
    finally:
        _listeners.remove(listen)


def let_hear(_logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The processor of the log that lets them hear."""
    if _listeners and method in ("error", "exception", "critical"):
        why = event.get("error") or event.get("reason")
        for listen in _listeners:
            listen(str(event.get("event")) + (f": {why}" if why else ""))
    return event


def configure_logging(stream: TextIO | None = None, *, station: str | None = None) -> None:
    """Write the log to `stream` (default: standard error, so that a command's own output stays clean).

    With a `station`, one of several that log to one place, every line names it.
    """
    on_terminal = (stream or sys.stderr).isatty()
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        let_hear,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if station is not None:
        processors.append(lambda _logger, _method, event: {**event, "station": station})
    if on_terminal:
        processors.append(structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback))
    else:
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # which may hold passwords
        processors += [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]
    # Standard error is looked up at each line: who replaced it for a while (a test, a host program) may have closed it.
    # A line and its end go out in one write, so that the lines of several stations stay whole, with PYTHONUNBUFFERED too.
    structlog.configure(processors=processors, logger_factory=lambda *_: structlog.WriteLogger(stream or sys.stderr))
