"""The log of the line: one JSON object a line, or readable text on a terminal."""

from __future__ import annotations

import sys
from typing import TextIO

import structlog

__all__ = ["configure_logging"]


def configure_logging(stream: TextIO | None = None) -> None:
    """Write the log to `stream` (default: standard error, so that a command's own output stays clean)."""
    stream = stream if stream is not None else sys.stderr
    on_terminal = stream.isatty()
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if on_terminal:
        processors.append(structlog.dev.ConsoleRenderer())
    else:
        processors += [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    structlog.configure(processors=processors, logger_factory=structlog.PrintLoggerFactory(file=stream))
