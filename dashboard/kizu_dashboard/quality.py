"""The figures of the Quality page: which defects, when, at which station, in which lot, where on the part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from kizu_dashboard.language.speaking import marked, say
from kizu_dashboard.periods import Period
from kizu_dashboard.room import Room
from kizu_dashboard.wording import NO_CLASS
from kizu_db.values import DefectPlace
from kizu_inspect.results import Verdict
from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.pareto import ParetoBar, pareto
from kizu_inspect.sums.yields import first_pass_yield, share_of

__all__ = [
    "CELLS", "GROUPINGS", "Group", "Grouping", "Quality", "cells_of", "gather_quality", "group_start", "grouped",
    "labels_of", "most_seen", "side_text", "span_text",
]  # fmt: skip

Grouping = Literal["hour", "shift", "day"]
GROUPINGS: Final[dict[Grouping, timedelta]] = {
    marked("hour"): timedelta(days=30), marked("shift"): timedelta(days=240), marked("day"): timedelta(days=720),
}  # fmt: skip
"""Groups of a control chart, with the longest time that a chart of them shows: 720 groups."""
SHIFT_HOURS: Final = 8
FIRST_SHIFT: Final = 6
"""The hour of the plant's day at which the first of three shifts begins."""
MOST_OF_LOTS: Final = 20_000
MOST_PLACES: Final = 2_000
CELLS: Final = 20
"""The density is counted in so many cells each way."""


@dataclass(frozen=True)
class Group:
    """An hour, a shift or a day of the plant."""

    start: datetime
    """Aware, in the plant's zone."""
    end: datetime
    rejected: Share
    """REJECT of all inspections."""


@dataclass(frozen=True)
class Quality:
    """A period's figures."""

    verdicts: Mapping[Verdict, int]
    bars: tuple[ParetoBar, ...]
    """The classes of which REJECT inspections are suspected."""
    groups: tuple[Group, ...]
    stations: Mapping[str, Share]
    """First-pass yield of each, by inspections."""
    lots: tuple[tuple[str, Share], ...]
    """The same of each lot, newest first; the name is empty where no lot is known."""
    of_lots: int
    """So many inspections were looked at for them."""
    places: tuple[DefectPlace, ...]
    of_places: int
    """So many flagged inspections were looked at for them."""


def gather_quality(room: Room, period: Period, *, station: str | None, grouping: Grouping, now: datetime) -> Quality:
    """Reads it all in one state of the records. Raises RecordError, RecordsAway like `Records.unit`."""
    since, until = period.since, period.until
    last = until or now
    first = max(last - GROUPINGS[grouping], since or datetime.min.replace(tzinfo=UTC))
    with room.records.unit(read_only=True) as unit:
        verdicts = unit.rollups.verdicts(since=since, until=until, station=station)
        classes = unit.rollups.defect_classes(since=since, until=until, station=station)
        series = unit.rollups.series("hour", since=first, until=last, station=station)
        stations = unit.rollups.by_station(since=since, until=until)
        lots, of_lots = unit.analysis.lots(since=since, until=until, station=station, limit=MOST_OF_LOTS)
        places, of_places = unit.analysis.places(since=since, until=until, station=station, limit=MOST_PLACES)
    return Quality(
        verdicts,
        pareto({name or NO_CLASS: n for name, n in classes.items()}),
        grouped(series, grouping, room.config.plant.zone),
        {name: first_pass_yield(counts) for name, counts in stations.items() if station in (None, name)},
        tuple((one.lot, first_pass_yield(one.verdicts)) for one in lots),
        of_lots,
        tuple(places),
        of_places,
    )


def grouped(hours: Iterable[tuple[datetime, Mapping[Verdict, int]]], grouping: Grouping, zone: ZoneInfo) -> tuple[Group, ...]:
    """The hours' verdicts by the plant's hours, shifts or days, oldest first; groups without an inspection are left out.

    An hour of the records belongs to the group in which it begins: they are UTC's, so that in a zone of half hours a
    day's edge is up to half an hour off.
    """
    sums: dict[datetime, dict[Verdict, int]] = {}
    for start, counts in hours:
        found = sums.setdefault(group_start(start, grouping, zone), dict.fromkeys(Verdict, 0))
        for verdict, n in counts.items():
            found[verdict] += n
    return tuple(
        Group(start.astimezone(zone), _end(start.astimezone(zone), grouping), share_of(Verdict.REJECT, counts))
        for start, counts in sorted(sums.items())
        if sum(counts.values())
    )


def group_start(when: datetime, grouping: Grouping, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, of the plant's hour, shift or day that holds this one.

    Shifts begin at 6, 14 and 22 o'clock; what an hour is that the clock goes through twice is told by UTC.
    """
    local = when.astimezone(zone)
    if grouping == "hour":
        return when.astimezone(UTC) - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    if grouping == "day":
        return datetime.combine(local.date(), time.min, zone).astimezone(UTC)
    since_first = (local.hour - FIRST_SHIFT) % 24
    date = local.date() - timedelta(days=local.hour < FIRST_SHIFT)
    hour = FIRST_SHIFT + since_first // SHIFT_HOURS * SHIFT_HOURS
    return datetime.combine(date, time(hour), zone).astimezone(UTC)


def _end(start: datetime, grouping: Grouping) -> datetime:
    """The next group's start: by the plant's clock, but of an hour by the time that passes."""
    if grouping == "hour":
        return (start.astimezone(UTC) + timedelta(hours=1)).astimezone(start.tzinfo)
    return start + timedelta(hours=24 if grouping == "day" else SHIFT_HOURS)


def labels_of(groups: Sequence[Group], grouping: Grouping) -> list[str]:
    """What the groups are called on a chart's axis: their start, by the plant's clock, each another name."""
    labels: list[str] = []
    for group in groups:
        label = group.start.strftime("%Y-%m-%d" if grouping == "day" else "%m-%d %H:%M")
        labels.append(label if label not in labels[-1:] else f"{label} {group.start.tzname()}")
    return labels


def span_text(labels: Sequence[str], indices: Sequence[int]) -> str:
    """From the first to the last of these groups: `03-02 14:00 to 03-02 22:00`."""
    first, last = labels[indices[0]], labels[indices[-1]]
    return first if first == last else say("{first} to {last}", first=first, last=last)


def side_text(side: tuple[str, str | None]) -> str:
    """A station and its view: `press-3, view top`."""
    station, view = side
    return station if view is None else say("{station}, view {view}", station=station, view=view)


def most_seen(places: Sequence[DefectPlace]) -> tuple[tuple[str, str | None], ...]:
    """The sides of a part, (station, view), by falling number of regions: their pictures have nothing in common."""
    counts: dict[tuple[str, str | None], int] = {}
    for place in places:
        counts[place.station, place.view] = counts.get((place.station, place.view), 0) + 1
    return tuple(sorted(counts, key=lambda side: (-counts[side], side[0], side[1] or "")))


def cells_of(places: Iterable[DefectPlace]) -> dict[tuple[int, int], list[DefectPlace]]:
    """The places by cell, (column, row) from the upper left corner, of CELLS × CELLS over the picture."""
    found: dict[tuple[int, int], list[DefectPlace]] = {}
    for place in places:
        cell = (_cell(place.x), _cell(place.y))
        found.setdefault(cell, []).append(place)
    return found


def _cell(share: float) -> int:
    return min(CELLS - 1, max(0, int(share * CELLS)))
