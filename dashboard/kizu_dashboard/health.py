"""Whether all is well: database, disks, stations, what waits; each in a word, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from kizu_dashboard.language.speaking import say, say_count
from kizu_dashboard.room import Room
from kizu_dashboard.watching import Pulse, pulses_of
from kizu_dashboard.wording import duration_text, forgotten_text, moment
from kizu_db.records import Unit
from kizu_db.space import Space, space_of
from kizu_db.spooled import spooled_rows
from kizu_db.values import DatabaseState, Waiting

__all__ = ["Line", "Word", "look_at", "pressing"]

FULL: Final = (85.0, 95.0)
"""Percent of a disk from which to look, and to act. From there on a line warns, and keeps no passed pictures (by default)."""
WAITS: Final = (timedelta(hours=8), timedelta(days=3))
"""For how long a part may wait for its review."""
UNSENT: Final = (timedelta(minutes=10), timedelta(hours=24))
"""For how long an event may wait for its receiver."""


class Word(StrEnum):
    """How it is."""

    WELL = "well"
    LOOK = "look"
    ACT = "act"


@dataclass(frozen=True)
class Line:
    """One thing that is looked at."""

    name: str
    word: Word
    said: str
    todo: str = ""
    """A sentence; empty where all is well."""
    state: str = ""
    """The same until it changes, whatever the time: who was told of it need not be told again."""
    live: bool = False
    """The page Live tells more of it."""


def look_at(room: Room, now: datetime) -> list[Line]:
    """All that is looked at. Raises RecordError where the database refuses, RecordsAway within seconds where it is away."""
    zone = room.config.plant.zone
    with room.records.unit(read_only=True, prompt=True) as unit:
        database, waiting, events = unit.database.state(), unit.queue.by_station(), [*_outbox(unit, now, zone)]
        pulses, forgotten = pulses_of(unit, now)
    stations = [_station(one, now, zone) for one in pulses]
    found = [_database(room, database), _image_store(room), *stations, *events, _waiting(waiting, now), *_spool(room)]
    if forgotten:
        found.append(Line(say("Other stations"), Word.WELL, forgotten_text(forgotten)))
    return found


def pressing(room: Room, now: datetime) -> list[Line]:
    """What every page tells: silent stations, a disk that is nearly full, events that nobody takes. Raises like `look_at`."""
    zone = room.config.plant.zone
    with room.records.unit(read_only=True, prompt=True) as unit:
        events = [*_outbox(unit, now, zone)]
        pulses, _ = pulses_of(unit, now)
    found = [*(_station(one, now, zone) for one in pulses), *events]
    return [one for one in (_image_store(room), *found) if one.word is not Word.WELL]


def _worse(value: timedelta | float, limits: tuple[timedelta, timedelta] | tuple[float, float]) -> Word:
    look, act = limits
    return Word.ACT if value >= act else Word.LOOK if value >= look else Word.WELL  # type: ignore[operator]  # of one kind


def _bytes(number: int) -> str:
    return (
        f"{number / 1e12:,.2f} TB"
        if number >= 1e12
        else f"{number / 1e9:,.1f} GB"
        if number >= 1e9
        else f"{number / 1e6:,.1f} MB"
    )


def _database(room: Room, state: DatabaseState) -> Line:
    said = say(
        "{kind} {program}, {size}, tables of version {version}",
        kind=state.kind, program=state.program_version, size=_bytes(state.size_bytes), version=state.version,
    )  # fmt: skip
    file = room.records.file
    space = None if file is None else space_of(file)
    if space is None:
        return Line(say("Database"), Word.WELL, said)
    word, todo = _fullness(space)
    return Line(say("Database"), word, f"{said}; {_space(space)}", todo)


def _image_store(room: Room) -> Line:
    space = space_of(room.images.path)
    if space is None:
        todo = say("See that it is mounted: images.path.")
        return Line(say("Image store"), Word.ACT, say("its disk cannot be read"), todo, "unread")
    word, todo = _fullness(space)
    return Line(say("Image store"), word, _space(space), todo, word)


def _space(space: Space) -> str:
    return say("{free} free, {used:.0f} % used", free=_bytes(space.free_bytes), used=space.used_percent)


def _fullness(space: Space) -> tuple[Word, str]:
    word = _worse(space.used_percent, FULL)
    return word, "" if word is Word.WELL else say("Make space, or let go what is over: kizu db prune.")


def _station(pulse: Pulse, now: datetime, zone: ZoneInfo) -> Line:
    name = say("Station {station}", station=pulse.name)
    if pulse.silent_for(now) is None:
        said = say("recording, last part {duration} ago", duration=duration_text(now - pulse.newest))
        return Line(name, Word.WELL, said, live=True)
    # By the clock, for a page that nobody touches says it for hours.
    said = say(
        "nothing recorded since {time}; {usual} would be usual at most",
        time=moment(pulse.newest, zone), usual=duration_text(pulse.quiet_after),
    )  # fmt: skip
    todo = say("Is the line at rest? Else see its source and kizu status.")
    return Line(name, Word.LOOK, said, todo, pulse.newest.isoformat(), live=True)


def _outbox(unit: Unit, now: datetime, zone: ZoneInfo) -> Iterator[Line]:
    since = unit.outbox.waiting_since()
    for station, count in sorted(unit.outbox.backlog().items()):
        word = _worse(now - since[station], UNSENT)
        time = moment(since[station], zone)
        said = say("{count:,} wait for their receiver, the oldest since {time}", count=count, time=time)
        todo = "" if word is Word.WELL else say("See that the receiver answers: kizu status tells the last error.")
        yield Line(say("Events of {station}", station=station), word, said, todo, word)


def _waiting(by_station: dict[str, Waiting], now: datetime) -> Line:
    if not by_station:
        return Line(say("Reviews"), Word.WELL, say("no part waits"))
    parts = sum(one.parts for one in by_station.values())
    waits = now - min(one.since for one in by_station.values())
    word = _worse(waits, WAITS)
    todo = "" if word is Word.WELL else say("More reviewers, or other limits: see the page Agreement.")
    said = say_count(
        "{count:,} part waits, for {duration}",
        "{count:,} parts wait, the oldest for {duration}",
        parts,
        duration=duration_text(waits),
    )
    return Line(say("Reviews"), word, said, todo)


def _spool(room: Room) -> Iterator[Line]:
    """What lines on this machine could not record yet; on another machine with its own folder nobody here knows."""
    for station, rows in spooled_rows(room.images.path).items():
        name = say("Spool of {station}", station=station)
        if rows is None:
            yield Line(name, Word.LOOK, say("cannot be read now"), say("Look again; it is a file in the image store."))
        elif rows:
            todo = say("They are recorded by themselves when the database is back, or at the next kizu run.")
            yield Line(name, Word.LOOK, say("{rows:,} results wait for the database", rows=rows), todo)
