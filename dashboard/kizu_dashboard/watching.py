"""What the line does now, station by station."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kizu_dashboard.language.speaking import marked
from kizu_dashboard.room import Room
from kizu_db.records import Unit
from kizu_db.values import InspectionRow, Waiting
from kizu_inspect.results import Verdict

__all__ = ["LINE_MINUTES", "SPANS", "LineNow", "Pulse", "StationNow", "pulses_of", "quiet_after", "span_start", "watch"]

LINE_MINUTES: Final = 60
"""How many whole minutes the line of rejects shows."""
LAST_REJECTS: Final = 6
FORGOTTEN_AFTER: Final = timedelta(days=7)
SPANS: Final = (marked("Last hour"), marked("Today"))

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Pulse:
    """Whether a station goes on recording."""

    name: str
    newest: datetime
    """When the inspection that it recorded last was judged."""
    quiet_after: timedelta
    """From then on without an inspection, it has recorded nothing for longer than it should."""

    def silent_for(self, now: datetime) -> timedelta | None:
        """For how long it has recorded nothing, where that is longer than it should be; else None."""
        silence = now - self.newest
        return silence if silence > self.quiet_after else None


@dataclass(frozen=True)
class StationNow(Pulse):
    """One station at one moment."""

    counts: Mapping[Verdict, int]
    """Of the span that is looked at."""
    rejects: tuple[int, ...]
    """In each of the last LINE_MINUTES whole minutes, oldest first."""
    last_rejects: tuple[InspectionRow, ...]
    """Newest first."""
    waiting: Waiting | None
    """None where nothing waits for a review."""


@dataclass(frozen=True)
class LineNow:
    """All stations at one moment."""

    read_at: datetime
    """Aware."""
    stations: tuple[StationNow, ...]
    """Those that recorded something within FORGOTTEN_AFTER, by name."""
    forgotten: tuple[str, ...]
    """Those that did before."""


def span_start(span: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Where one of SPANS begins: an hour ago, or with the day of the plant's zone."""
    return now - _HOUR if span == "Last hour" else datetime.combine(now.astimezone(zone).date(), time.min, zone)


def quiet_after(minutes: Sequence[tuple[datetime, int]], newest: datetime) -> timedelta:
    """How long a station may record nothing: ten times its usual distance between inspections, at least a minute.

    `minutes` are the minutes with inspections, and how many, of the hour up to `newest`, by rising time. An hour at most, and
    where there is one inspection alone, which has no distance from another.
    """
    inspections = sum(n for _, n in minutes)
    if inspections < 2:
        return _HOUR
    usual = (newest - minutes[0][0]) / (inspections - 1)
    return min(_HOUR, max(_MINUTE, 10 * usual))


def watch(room: Room, *, span: str, now: datetime) -> LineNow:
    """What the records say of each station; `span` is one of SPANS. Raises RecordError, RecordsAway like `Records.unit`."""
    since = span_start(span, now, room.config.plant.zone)
    with room.records.unit(read_only=True) as unit:
        counts, waiting = unit.rollups.by_station(since=since), unit.queue.by_station()
        pulses, forgotten = pulses_of(unit, now)
        found = [
            StationNow(
                one.name,
                one.newest,
                one.quiet_after,
                counts.get(one.name, dict.fromkeys(Verdict, 0)),
                _rejects(unit, one.name, now),
                tuple(unit.inspections.latest(station=one.name, verdicts=[Verdict.REJECT], limit=LAST_REJECTS)),
                waiting.get(one.name),
            )
            for one in pulses
        ]
    return LineNow(now, tuple(found), tuple(forgotten))


def pulses_of(unit: Unit, now: datetime) -> tuple[list[Pulse], list[str]]:
    """The stations that recorded something within FORGOTTEN_AFTER, by name; and the names of those that did before."""
    pulses: list[Pulse] = []
    forgotten: list[str] = []
    for name in unit.stations.names():
        newest = next((row.judged_at for row in unit.inspections.latest(station=name, limit=1)), None)
        if newest is None:
            continue
        if now - newest > FORGOTTEN_AFTER:
            forgotten.append(name)
        else:
            pulses.append(Pulse(name, newest, _quiet_after(unit, name, newest)))
    return pulses, forgotten


def _quiet_after(unit: Unit, station: str, newest: datetime) -> timedelta:
    until = newest + _MINUTE
    series = unit.rollups.series("minute", since=until - _HOUR, until=until, station=station)
    return quiet_after([(start, sum(counts.values())) for start, counts in series], newest)


def _rejects(unit: Unit, station: str, now: datetime) -> tuple[int, ...]:
    """The minute that is not over yet would look like a fall: it stays out."""
    until = now.replace(second=0, microsecond=0)
    first = until - LINE_MINUTES * _MINUTE
    series = unit.rollups.series("minute", since=first, until=until, station=station)
    counted = {start: counts[Verdict.REJECT] for start, counts in series}
    return tuple(counted.get(first + number * _MINUTE, 0) for number in range(LINE_MINUTES))
