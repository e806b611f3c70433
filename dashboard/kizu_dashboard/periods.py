"""The periods that pages look at, and how an address names them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kizu_dashboard.language.speaking import marked

__all__ = ["ALL", "LENGTHS", "OWN", "Period", "named_period", "own_period", "period_between"]

ALL: Final = marked("All")
OWN: Final = marked("From … to …")
LENGTHS: Final[dict[str, timedelta]] = {
    marked("Last hour"): timedelta(hours=1),
    marked("Last 8 hours"): timedelta(hours=8),
    marked("Last 24 hours"): timedelta(days=1),
    marked("Last 7 days"): timedelta(days=7),
    marked("Last 30 days"): timedelta(days=30),
}
QUARTER: Final = timedelta(minutes=15)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Period:
    """From `since` (inclusive) to `until` (exclusive), aware; None leaves that end open."""

    name: str
    """One of LENGTHS, ALL or OWN."""
    since: datetime | None
    until: datetime | None

    def in_quarters(self) -> Period:
        """The same, made longer so that it begins and ends with a quarter of an hour, by which reviews are counted."""
        since = None if self.since is None else self.since - (self.since - EPOCH) % QUARTER
        until = None if self.until is None else self.until + (EPOCH - self.until) % QUARTER
        return self if (since, until) == (self.since, self.until) else Period(OWN, since, until)

    def by_the_clock(self, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
        """Its ends as a clock in the plant shows them, in whole minutes and without a zone: what a person would type."""
        since, until = (
            None if end is None else end.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
            for end in (self.since, self.until)
        )
        return since, until


def named_period(name: str, now: datetime) -> Period:
    """The last hour, day, … up to and with `now` (aware), or all."""
    return Period(name, None if name == ALL else now - LENGTHS[name], None)


def own_period(first: datetime | None, last: datetime | None, zone: ZoneInfo) -> Period | None:
    """Between two times as a clock in the plant shows them, whole minutes; None where it ends before it begins."""
    if first is not None and last is not None and first >= last:
        return None
    return Period(
        OWN, None if first is None else first.replace(tzinfo=zone), None if last is None else last.replace(tzinfo=zone)
    )


def period_between(since: datetime, until: datetime) -> Period:
    """A period of its own between two aware times."""
    return Period(OWN, since, until)
