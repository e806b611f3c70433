"""Days of the plant's calendar as commands take them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kizu_inspect.errors import ConfigError

__all__ = ["first_moment", "moment_after", "parse_day"]


def parse_day(text: str, option: str) -> date:
    """The day that the option names. Raises ConfigError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} is not a day", found=text, expected="YYYY-MM-DD") from None


def first_moment(day: date, zone: ZoneInfo) -> datetime:
    """The day's first moment in this zone, aware. Raises ConfigError for a day at the end of all calendars."""
    moment = datetime.combine(day, time(), zone)
    if not date.min + timedelta(days=2) <= day <= date.max - timedelta(days=2):
        raise ConfigError("the day is out of reach", found=day.isoformat(), expected="a day between the years 2 and 9998")
    return moment


def moment_after(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of the day after it, aware."""
    return first_moment(day, zone) + timedelta(days=1)
