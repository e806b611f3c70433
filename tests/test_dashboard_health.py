"""Whether all is well: in words for engineers, and as a line on every page where it is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import streamlit as st
from sqlalchemy import text

from dashboard_world import session_cookie
from db_examples import inspection, raw
from floor_world import Floor, empty_floor
from kizu_dashboard import health
from kizu_dashboard.health import Line, Word, look_at, pressing
from kizu_dashboard.wording import moment
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.space import space_of
from kizu_db.spooled import spool_path, spooled_rows
from kizu_db.stats import measure
from kizu_inspect.results import Verdict
from pages_world import drawn, open_page, words

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def floor(tmp_path: Path, cookies: dict[str, str]) -> Iterator[Floor]:
    """Eun, an engineer, looks at it."""
    with empty_floor(tmp_path) as floor:
        cookies |= session_cookie(floor.config, "Eun")
        yield floor


def lines(floor: Floor, *, later: timedelta = timedelta(0)) -> dict[str, Line]:
    return {line.name: line for line in look_at(floor.room, floor.now + later)}


def test_the_database_is_told_by_kind_version_and_size(records: Records, database: DatabaseSettings) -> None:
    with records.unit(read_only=True) as unit:
        state = unit.database.state()
    assert state.kind == ("PostgreSQL" if database.file is None else "SQLite")
    assert state.program_version[0].isdigit()
    measured = measure(database)
    assert state.version == measured.version
    assert 0 < state.size_bytes <= 2 * measured.size_bytes


def test_an_empty_plant_is_well(floor: Floor) -> None:
    found = lines(floor)
    assert list(found) == ["Database", "Image store", "Reviews"]
    assert found["Database"].said.startswith("SQLite ")
    assert found["Reviews"] == Line("Reviews", Word.WELL, "no part waits")


@pytest.mark.parametrize(("full", "word"), [((100.0, 100.0), Word.WELL), ((0.0, 100.0), Word.LOOK), ((0.0, 0.0), Word.ACT)])
def test_a_disk_is_told_by_how_full_it_is(
    floor: Floor, full: tuple[float, float], word: Word, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the limits it is said that they are elsewhere: no test fills a disk."""
    monkeypatch.setattr(health, "FULL", full)
    space = space_of(floor.room.images.path)
    assert space is not None
    assert 0 < space.used_percent < 100
    for name in ("Image store", "Database"):
        line = lines(floor)[name]
        assert line.word is word
        assert f"{space.used_percent:.0f} % used" in line.said
        assert bool(line.todo) == (word is not Word.WELL)
    assert [one.name for one in pressing(floor.room, floor.now)] == ([] if word is Word.WELL else ["Image store"])


def test_a_station_is_silent_after_ten_of_its_usual_distances(floor: Floor) -> None:
    for number in range(20):
        floor.add((19 - number) * SECOND, station="press-1")
    floor.add(8 * 24 * HOUR, station="old-9")
    found = lines(floor, later=30 * SECOND)
    assert (found["Station press-1"].word, found["Station press-1"].said) == (Word.WELL, "recording, last part 30 s ago")
    assert found["Other stations"].said.endswith("old-9")
    silent, still = (lines(floor, later=later)["Station press-1"] for later in (5 * MINUTE, 50 * MINUTE))
    assert silent.word is Word.LOOK
    since = moment(floor.now, floor.config.plant.zone)
    assert silent.said == f"nothing recorded since {since}; 1 min would be usual at most"
    assert silent == still, "who was told of it is not told again as time goes by"
    floor.add(timedelta(0) - MINUTE, station="press-1")
    assert lines(floor, later=50 * MINUTE)["Station press-1"].state != silent.state


def test_events_that_nobody_takes_are_told_by_the_age_of_the_first(floor: Floor) -> None:
    with floor.room.records.unit() as unit:
        for station in ("press-1", "press-1", "press-2"):
            unit.outbox.add(station, "inspection", {})
    now = datetime.now(UTC)
    for later, word in ((MINUTE, Word.WELL), (11 * MINUTE, Word.LOOK), (25 * HOUR, Word.ACT)):
        found = {line.name: line for line in look_at(floor.room, now + later)}
        assert found["Events of press-1"].word is word
        assert found["Events of press-1"].said.startswith("2 wait for their receiver, the oldest since ")
        assert len(pressing(floor.room, now + later)) == (0 if word is Word.WELL else 2)


def test_parts_that_wait_for_long_are_told(floor: Floor) -> None:
    floor.add(9 * HOUR, Verdict.REJECT)
    floor.add(MINUTE, Verdict.REJECT, station="press-2")
    assert lines(floor)["Reviews"].said == "2 parts wait, the oldest for 9 h"
    assert lines(floor)["Reviews"].word is Word.LOOK
    assert lines(floor, later=72 * HOUR)["Reviews"].word is Word.ACT


def test_rows_in_a_spool_are_counted_without_a_lock(floor: Floor) -> None:
    images = floor.room.images.path
    path = spool_path(images, "press/1 %")
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as spool:
        spool.execute("CREATE TABLE batch (number INTEGER PRIMARY KEY, rows INTEGER NOT NULL, content TEXT NOT NULL)")
        assert spooled_rows(images) == {"press/1 %": 0}
        assert "Spool of press/1 %" not in lines(floor)
        spool.execute("INSERT INTO batch VALUES (1, 32, ''), (2, 8, '')")
        spool.execute("BEGIN EXCLUSIVE")  # a line in the midst of a write
        assert lines(floor)["Spool of press/1 %"].said == "40 results wait for the database"
        spool.execute("ROLLBACK")
    path.write_bytes(b"no database at all")
    assert spooled_rows(images) == {"press/1 %": None}
    assert lines(floor)["Spool of press/1 %"].word is Word.LOOK


def test_engineers_read_it_in_words(floor: Floor) -> None:
    floor.add(2 * HOUR, station="<b>1</b>")
    text_shown = words(open_page(floor.config, "admin.py"))
    assert "● well</span></td><td><b>Database</b>" in text_shown
    assert "▲ look</span></td><td><b>Station &lt;b&gt;1&lt;/b&gt;</b>" in text_shown


@pytest.mark.parametrize("page", [None, "review.py", "part.py", "quality.py", "agreement.py", "reports.py"])
def test_every_page_tells_of_a_silent_station_until_it_is_dismissed(
    floor: Floor, page: str | None, cookies: dict[str, str]
) -> None:
    cookies |= session_cookie(floor.config, "Vera")
    floor.add(2 * HOUR, station="press-1")
    told = "<b>Station press-1</b>: nothing recorded since "
    test = open_page(floor.config, page)
    assert words(test).count(told) == 1
    assert told not in words(drawn(test.button(key="dismiss-Station press-1").click().run()))
    assert told not in words(drawn(test.run()))
    floor.add(90 * MINUTE, station="press-1")
    st.cache_data.clear()  # some seconds later
    assert words(drawn(test.run())).count(told) == 1, "it recorded, and is silent again"


def test_live_tells_of_silent_stations_itself_and_of_the_rest_as_every_page(floor: Floor) -> None:
    floor.add(2 * HOUR, station="press-1")
    with floor.room.records.unit() as unit:
        unit.outbox.add("press-1", "inspection", {})
    with raw(floor.config.database) as connection:
        connection.execute(text("UPDATE outbox SET created_at = '2026-01-01 00:00:00.000000'"))
    test = open_page(floor.config, "live.py")
    assert "<b>Station press-1</b>" not in words(test)
    assert words(test).count("<b>Events of press-1</b>: 1 wait") == 1
    drawn(test.button(key="dismiss-Events of press-1").click().run())
    assert "Events of press-1" not in words(test)


def test_what_is_over_is_told_no_more_and_told_anew_where_it_comes_again(floor: Floor) -> None:
    with floor.room.records.unit() as unit:
        event = unit.outbox.add("press-1", "inspection", {})
    old = "UPDATE outbox SET created_at = '2026-01-01 00:00:00.000000', delivered_at = "
    told = "<b>Events of press-1</b>: 1 wait"

    def again(delivered: str) -> str:
        with raw(floor.config.database) as connection:
            connection.execute(text(old + delivered))
        st.cache_data.clear()
        return words(drawn(test.run()))

    test = open_page(floor.config)
    assert told not in words(test)
    assert told in again("NULL")
    drawn(test.button(key="dismiss-Events of press-1").click().run())
    assert told not in words(test)
    assert told not in again("'2026-01-02 00:00:00.000000'")
    assert told in again("NULL")
    assert event


def test_where_the_records_are_away_the_page_says_so_and_no_more(floor: Floor) -> None:
    floor.add(2 * HOUR, station="press-1")
    test = open_page(floor.config)
    file = floor.room.records.file
    assert file is not None
    away = file.rename(file.with_name("away"))
    st.cache_data.clear()
    assert words(drawn(test.run())).count("The records cannot be reached at the moment.") == 1
    away.rename(file)
    assert "<b>Station press-1</b>" in words(drawn(test.run()))


def test_two_stations_that_stop_are_two_lines_and_many_are_counted(floor: Floor) -> None:
    with floor.room.records.unit() as unit:
        for number in range(5):
            at = floor.now - 2 * HOUR
            unit.inspections.add(inspection(station=f"press-{number}", captured_at=at, judged_at=at))
    test = open_page(floor.config)
    assert words(test).count("nothing recorded since ") == 3
    assert "And 2 more." in words(test)
    for number in range(5):
        drawn(test.button(key=f"dismiss-Station press-{number}").click().run())
    assert "nothing recorded since " not in words(test)
