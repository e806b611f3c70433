"""A period as the spans that the rollups keep: whole hours inside, minutes at its ends, single inspections at their ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from kizu_db.recordable import in_reach
from kizu_inspect.errors import RecordError

__all__ = ["Grain", "Span", "spans_of", "start_of"]

Grain = Literal["single", "minute", "hour"]
Span = tuple[Grain, datetime | None, datetime | None]
"""A grain with the first moment (inclusive) and the last (exclusive); None leaves that end open."""

_LENGTH = {"minute": timedelta(minutes=1), "quarter": timedelta(minutes=15), "hour": timedelta(hours=1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def start_of(when: datetime, grain: Literal["minute", "quarter", "hour"]) -> datetime:
    """The first moment, in UTC, of the span that holds this one. Raises RecordError for a time without a zone."""
    if when.tzinfo is None:
        raise RecordError(
            "A period needs a time zone", found=when.isoformat(), expected="an aware time, such as 2026-03-01T12:00+09:00"
        )
    if not in_reach(when):
        raise RecordError("A period is out of reach", found=when.isoformat(), expected="a time between the years 2 and 9998")
    when = when.astimezone(UTC)
    return when - (when - _EPOCH) % _LENGTH[grain]


def spans_of(since: datetime | None, until: datetime | None) -> Iterator[Span]:
    """The spans that together are [since, until), none empty, by falling time.

    Raises RecordError for a time without a zone.
    """
    for end in (since, until):
        if end is not None:
            start_of(end, "minute")
    if since is not None and until is not None and since >= until:
        return
    first_minute, last_minute = _next(since, "minute"), _last(until, "minute")
    if first_minute is not None and last_minute is not None and first_minute > last_minute:
        yield "single", since, until
        return
    if until is not None and last_minute != until:
        yield "single", last_minute, until
    first_hour, last_hour = _next(first_minute, "hour"), _last(last_minute, "hour")
    if first_hour is not None and last_hour is not None and first_hour > last_hour:
        if first_minute != last_minute:
            yield "minute", first_minute, last_minute
    else:
        if last_minute != last_hour:
            yield "minute", last_hour, last_minute
        if first_hour is None or first_hour != last_hour:
            yield "hour", first_hour, last_hour
        if first_minute != first_hour:
            yield "minute", first_minute, first_hour
    if since is not None and since != first_minute:
        yield "single", since, first_minute


def _last(when: datetime | None, grain: Literal["minute", "hour"]) -> datetime | None:
    return None if when is None else start_of(when, grain)


def _next(when: datetime | None, grain: Literal["minute", "hour"]) -> datetime | None:
    """The first start of a span that is not before this moment."""
    if when is None:
        return None
    start = start_of(when, grain)
    return start if start == when else start + _LENGTH[grain]
