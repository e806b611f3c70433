"""The Live page: what it says of each station, and that it goes on by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard_world import served, session_cookie
from db_examples import review
from floor_world import Floor, browsing, empty_floor
from kizu_dashboard.watching import LINE_MINUTES, quiet_after, span_start, watch
from kizu_inspect.results import Verdict
from pages_world import drawn, open_page, words

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def floor(tmp_path: Path, cookies: dict[str, str]) -> Iterator[Floor]:
    """Kim looks at it."""
    with empty_floor(tmp_path) as floor:
        cookies |= session_cookie(floor.config, "Kim")
        yield floor


def test_a_station_may_be_silent_for_ten_of_its_usual_distances() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    newest = noon + 10 * MINUTE
    assert quiet_after([(noon, 21), (noon + 9 * MINUTE, 20)], newest) == 10 * 15 * SECOND
    assert quiet_after([(noon, 600), (noon + 9 * MINUTE, 601)], newest) == MINUTE  # never less
    assert quiet_after([(noon, 1), (noon + 9 * MINUTE, 1)], newest) == HOUR  # never more
    assert quiet_after([(noon, 1)], newest) == HOUR  # one has no distance
    assert quiet_after([], newest) == HOUR


def test_today_begins_with_the_plants_day() -> None:
    now = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)  # 01:30 of the next day in Seoul
    assert span_start("Today", now, ZoneInfo("Asia/Seoul")) == datetime(2026, 3, 1, 15, tzinfo=UTC)
    assert span_start("Last hour", now, ZoneInfo("Asia/Seoul")) == now - HOUR


def test_each_station_is_told_by_what_it_recorded(floor: Floor) -> None:
    floor.add(8 * 24 * HOUR, station="old-9")
    floor.add(2 * HOUR, Verdict.REJECT, station="press-1", part="early")
    for number in range(40):
        floor.add((41 - number) * MINUTE, station="press-1")
    floor.add(3 * MINUTE, Verdict.REJECT, station="press-1", part="late")
    reviewed = floor.add(4 * MINUTE, Verdict.REVIEW, station="press-2")
    floor.add(2 * MINUTE, Verdict.REVIEW, station="press-2")
    with floor.room.records.unit() as unit:
        unit.reviews.add(review(reviewed))
    line = watch(floor.room, span="Last hour", now=floor.now)
    assert [station.name for station in line.stations] == ["press-1", "press-2"]
    assert line.forgotten == ("old-9",)
    press_1, press_2 = line.stations
    assert press_1.counts == {Verdict.PASS: 40, Verdict.REVIEW: 0, Verdict.ERROR: 0, Verdict.REJECT: 1}
    assert [row.part for row in press_1.last_rejects] == ["late", "early"]
    assert (len(press_1.rejects), sum(press_1.rejects)) == (LINE_MINUTES, 1)
    minute_of_late = (floor.now - 3 * MINUTE).replace(second=0)
    until = floor.now.replace(second=0)
    assert press_1.rejects[-int((until - minute_of_late) / MINUTE)] == 1
    assert press_1.waiting is not None
    assert (press_1.waiting.parts, press_1.waiting.since) == (2, floor.now - 2 * HOUR)
    assert press_2.waiting is not None
    assert (press_2.waiting.parts, press_2.waiting.since) == (1, floor.now - 2 * MINUTE)
    assert press_1.silent_for(floor.now) is None
    assert press_1.silent_for(floor.now + 20 * MINUTE) == 23 * MINUTE


def test_a_minute_that_is_not_over_is_left_out(floor: Floor) -> None:
    floor.add(timedelta(0), Verdict.REJECT)
    (station,) = watch(floor.room, span="Last hour", now=floor.now).stations
    assert sum(station.rejects) == 0
    (station,) = watch(floor.room, span="Last hour", now=floor.now + MINUTE).stations
    assert station.rejects[-1] == 1


def test_the_page_says_who_is_silent_and_each_share_of_what(floor: Floor) -> None:
    for number in range(19):
        floor.add(30 * MINUTE - number * SECOND, station="press-1")
    floor.add(30 * MINUTE - 20 * SECOND, Verdict.REJECT, station="<b>2</b>")
    text = words(open_page(floor.config, "live.py"))
    assert re.search(r"nothing recorded for (29|30|31) min; 1 min would be usual at most", text)
    assert re.search(r"● recording · last part (29|30|31) min ago", text)
    assert "19 of 19 · 95 % 83.2–100.0 %" in text
    assert "0 of 1 · 95 % 0.0–79.3 %" in text
    assert re.search(r"oldest (29|30|31) min", text)
    assert "&lt;b&gt;2&lt;/b&gt;" in text
    assert "<b>2</b>" not in text


def test_an_empty_floor_says_how_to_begin(floor: Floor) -> None:
    assert "No station is recording" in words(open_page(floor.config, "live.py"))


def test_where_the_records_are_away_the_page_says_so_until_they_are_back(floor: Floor) -> None:
    floor.add(MINUTE)
    test = open_page(floor.config, "live.py")
    assert "1 of 1" in words(test)
    file = floor.room.records.file
    assert file is not None
    away = file.rename(file.with_name("away"))
    text = words(drawn(test.run()))
    assert "The records cannot be reached at the moment." in text
    assert str(file.parent) not in text
    away.rename(file)
    floor.add(MINUTE)
    text = words(drawn(test.run()))
    assert "cannot be reached" not in text
    assert "2 of 2" in text


def runs_of(page: Page) -> list[str]:
    """How each run of the page's script ended, in the server's words."""
    found: list[str] = []

    def hear(payload: bytes | str) -> None:
        message = ForwardMsg.FromString(payload if isinstance(payload, bytes) else payload.encode())
        if message.HasField("script_finished"):
            found.append(ForwardMsg.ScriptFinishedStatus.Name(message.script_finished))

    page.on("websocket", lambda socket: socket.on("framereceived", hear))
    return found


FONT_PX = "one => parseFloat(getComputedStyle(one).fontSize)"


def test_in_the_browser_it_goes_on_by_itself(floor: Floor) -> None:
    """New figures, an outage and the way back, without a hand on the page; then a click on a part."""
    floor.add(MINUTE, Verdict.REJECT, part="first")
    with served(floor.config) as address, browsing(floor.config, address) as page:
        runs = runs_of(page)
        page.goto("/live?embed=true")
        yields = page.locator(".kz-yield b").first
        expect(yields).to_have_text("0.0 %")
        expect(page.locator(".freshness")).to_have_text(re.compile(r"^Data is \d+ s old$"))
        expect(page.locator("[data-testid=stHeader]")).to_be_hidden()
        at_1280 = yields.evaluate(FONT_PX)
        page.set_viewport_size({"width": 3840, "height": 2160})  # from as far away as before
        assert yields.evaluate(FONT_PX) > 1.9 * at_1280
        floor.add(timedelta(0))
        expect(yields).to_have_text("50.0 %")
        file = floor.room.records.file
        assert file is not None
        away = file.rename(file.with_name("away"))
        expect(page.get_by_text("The records cannot be reached at the moment.")).to_be_visible()
        expect(yields).to_have_text("50.0 %")
        away.rename(file)
        expect(page.get_by_text("The records cannot be reached at the moment.")).to_have_count(0)
        # The page was drawn once, then its figures alone.
        assert runs.count("FINISHED_SUCCESSFULLY") == 1
        assert runs.count("FINISHED_FRAGMENT_RUN_SUCCESSFULLY") >= 2
        expect(page.locator("a.part")).to_have_count(1)
        page.locator("a.part", has_text="first").click()
        page.wait_for_url(re.compile("/part"))
        expect(page.locator(".kz-name")).to_have_text("first")


def test_where_the_server_is_gone_the_page_says_that_its_figures_stand_still(floor: Floor) -> None:
    floor.add(MINUTE)
    with ExitStack() as serving:
        address = serving.enter_context(served(floor.config))
        with browsing(floor.config, address) as page:
            page.clock.install()
            page.goto("/live")
            freshness = page.locator(".freshness")
            expect(freshness).to_have_text(re.compile(r"^Data is \d+ s old$"))
            serving.close()
            page.clock.fast_forward(timedelta(minutes=3).total_seconds() * 1000)
            expect(freshness).to_have_text(re.compile(r"^Data is \d min old: these figures stand still$"))
