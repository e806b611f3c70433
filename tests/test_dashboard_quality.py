"""The Quality page: its groups and links by hand, what it says, and a click that opens the parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from dashboard_world import served, session_cookie
from floor_world import Floor, browsing, empty_floor
from kizu_dashboard.filters import ListView, decision_of
from kizu_dashboard.periods import ALL, OWN, Period, named_period, own_period, period_between
from kizu_dashboard.quality import CELLS, cells_of, gather_quality, group_start, grouped, labels_of, most_seen
from kizu_db.values import DefectPlace
from kizu_inspect.results import Verdict
from pages_world import drawn, open_page, words

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


@pytest.fixture
def floor(tmp_path: Path, cookies: dict[str, str]) -> Iterator[Floor]:
    """Kim looks at it."""
    with empty_floor(tmp_path) as floor:
        cookies |= session_cookie(floor.config, "Kim")
        yield floor


def at(text: str, zone: ZoneInfo = SEOUL) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("when", "hour", "shift", "day"),
    [
        ("2026-03-02T05:59:59", "2026-03-02T05:00", "2026-03-01T22:00", "2026-03-02T00:00"),
        ("2026-03-02T06:00", "2026-03-02T06:00", "2026-03-02T06:00", "2026-03-02T00:00"),
        ("2026-03-02T13:59", "2026-03-02T13:00", "2026-03-02T06:00", "2026-03-02T00:00"),
        ("2026-03-02T22:30", "2026-03-02T22:00", "2026-03-02T22:00", "2026-03-02T00:00"),
        ("2026-03-03T00:10", "2026-03-03T00:00", "2026-03-02T22:00", "2026-03-03T00:00"),
    ],
)
def test_groups_are_those_of_the_plants_clock(when: str, hour: str, shift: str, day: str) -> None:
    assert group_start(at(when), "hour", SEOUL) == at(hour)
    assert group_start(at(when), "shift", SEOUL) == at(shift)
    assert group_start(at(when), "day", SEOUL) == at(day)


def test_hours_are_added_up_and_empty_groups_left_out() -> None:
    counts = {Verdict.PASS: 8, Verdict.REJECT: 2}
    hours = [(at(f"2026-03-0{day}T{hour:02}:00").astimezone(UTC), counts) for day, hour in ((2, 6), (2, 13), (2, 14), (4, 1))]
    hours.append((at("2026-03-05T01:00"), {Verdict.PASS: 0}))
    shifts = grouped(hours, "shift", SEOUL)
    assert [(group.start.isoformat()[:16], group.rejected.hits, group.rejected.n) for group in shifts] == [
        ("2026-03-02T06:00", 4, 20), ("2026-03-02T14:00", 2, 10), ("2026-03-03T22:00", 2, 10),
    ]  # fmt: skip
    assert [group.end - group.start for group in shifts] == [8 * HOUR] * 3
    assert [(group.rejected.hits, group.rejected.n) for group in grouped(hours, "day", SEOUL)] == [(6, 30), (2, 10)]
    assert len(grouped(hours, "hour", SEOUL)) == 4


def test_the_hour_that_the_clock_goes_through_twice_is_two_groups_with_two_names() -> None:
    first = datetime(2026, 10, 25, 0, tzinfo=UTC)  # 02:00 in Berlin, and an hour later again
    groups = grouped([(first + number * HOUR, {Verdict.REJECT: 1}) for number in range(3)], "hour", BERLIN)
    assert labels_of(groups, "hour") == ["10-25 02:00", "10-25 02:00 CET", "10-25 03:00"]
    assert [group.end.astimezone(UTC) - group.start.astimezone(UTC) for group in groups] == [HOUR] * 3
    (day,) = grouped([(first, {Verdict.PASS: 1})], "day", BERLIN)
    assert day.end.astimezone(UTC) - day.start.astimezone(UTC) == 25 * HOUR


def place(x: float, y: float, view: str = "top", uid: str = "a") -> DefectPlace:
    return DefectPlace(uid=uid, station="press-3", view=view, label="dent", x=x, y=y, aspect=1.0)


def test_cells_cover_the_picture_with_its_edges() -> None:
    cells = cells_of([place(0, 0), place(1, 1), place(0.499, 0.5), place(0.46, 0.54)])
    assert {cell: len(found) for cell, found in cells.items()} == {
        (0, 0): 1, (CELLS - 1, CELLS - 1): 1, (CELLS // 2 - 1, CELLS // 2): 2,
    }  # fmt: skip
    assert most_seen([place(0, 0, "side"), place(0, 0), place(1, 1)]) == (("press-3", "top"), ("press-3", "side"))


def test_an_address_names_period_and_filters() -> None:
    period = period_between(at("2026-03-02T06:00"), at("2026-03-02T14:00"))
    view = ListView(period, BERLIN, verdicts=(Verdict.REJECT, Verdict.REVIEW), suspected="a&b", lot="L 7")
    assert parse_qs(urlsplit(view.href).query) == {
        "period": [OWN], "from": ["2026-03-01T22:00"], "to": ["2026-03-02T06:00"],
        "verdict": ["✕ REJECT", "? REVIEW"], "suspected": ["a&b"], "lot": ["L 7"],
    }  # fmt: skip
    since, until = datetime(2026, 3, 1, 22), datetime(2026, 3, 2, 6)  # noqa: DTZ001 - as a person types it
    assert view.controls == {
        "verdict": ["REJECT", "REVIEW"], "search": "", "conflicts": False, "period": OWN, "from": since, "to": until,
        "suspected": "a&b", "lot": "L 7", "station": None, "decision": None, "reviewer": None,
    }  # fmt: skip
    back = own_period(since, until, BERLIN)
    assert back is not None
    assert (back.since, back.until) == (period.since, period.until)
    assert own_period(datetime(2026, 3, 2), datetime(2026, 3, 2), SEOUL) is None  # noqa: DTZ001
    assert own_period(None, None, SEOUL) == Period(OWN, None, None)
    now = at("2026-03-02T06:00")
    assert named_period("Last 8 hours", now) == Period("Last 8 hours", now - 8 * HOUR, None)
    assert named_period(ALL, now) == Period(ALL, None, None)


def test_a_period_is_made_longer_to_quarters() -> None:
    ends = Period(OWN, at("2026-03-02T06:07:01"), at("2026-03-02T06:15:00.000001")).in_quarters()
    assert (ends.since, ends.until) == (at("2026-03-02T06:00"), at("2026-03-02T06:30"))
    assert ends.in_quarters() == ends
    assert Period(ALL, None, None).in_quarters() == Period(ALL, None, None)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        (None, (None, None)),
        ("good", ("good", None)),
        ("defective", ("defective", None)),
        ("defective: missing hole", ("defective", "missing hole")),
        ("nonsense", (None, "nonsense")),
    ],
)
def test_a_decision_is_read_from_the_address(text: str | None, means: tuple[str | None, str | None]) -> None:
    assert decision_of(text) == means


def fill(floor: Floor) -> None:
    """Two days: 30 in the middle of each of 40 hours, one of them a reject, but a burst of 15 in one hour."""
    middle = (floor.now - floor.now.replace(minute=30, second=0)) % HOUR
    with floor.room.records.unit() as unit:
        for hour in range(40):
            for number in range(30):
                rejected = number < (15 if hour == 8 else 1)
                ago = (hour + 1) * HOUR + middle - timedelta(seconds=number)
                floor.add(
                    ago, Verdict.REJECT if rejected else Verdict.PASS, unit=unit,
                    target="dent" if number % 3 == 1 else "scratch", station="press-1" if number % 2 else "press-2",
                    lot=f"L{hour // 20}", part=f"P-{hour}-{number}",
                )  # fmt: skip


def test_figures_are_those_of_the_records(floor: Floor) -> None:
    fill(floor)
    quality = gather_quality(floor.room, named_period("Last 7 days", floor.now), station=None, grouping="hour", now=floor.now)
    assert quality.verdicts[Verdict.REJECT] == 39 + 15
    assert [(bar.name, bar.share.hits) for bar in quality.bars] == [("scratch", 39 + 10), ("dent", 5)]
    assert {name: (share.hits, share.n) for name, share in quality.stations.items()} == {
        "press-1": (600 - 7, 600), "press-2": (600 - 39 - 8, 600),
    }  # fmt: skip
    assert sum(group.rejected.n for group in quality.groups) == 1200
    assert sorted(group.rejected.hits for group in quality.groups) == [1] * 39 + [15]
    assert len(quality.groups) == 40
    # Recorded from the newest hour on, so that the oldest lot was recorded last.
    assert [(name, share.hits, share.n) for name, share in quality.lots] == [("L1", 580, 600), ("L0", 600 - 19 - 15, 600)]
    assert len(quality.places) == 2 * 54
    alone = gather_quality(floor.room, named_period("Last 7 days", floor.now), station="press-1", grouping="day", now=floor.now)
    assert list(alone.stations) == ["press-1"]
    assert sum(group.rejected.hits for group in alone.groups) == alone.verdicts[Verdict.REJECT] == 7


def test_the_page_tells_every_figure_with_its_denominator_and_interval(floor: Floor) -> None:
    fill(floor)
    test = open_page(floor.config, "quality.py")
    assert 'kz-table">' not in words(test)  # tables are made when they are opened
    for name in ("pareto", "stations", "control", "lots", "places"):
        test.session_state[f"{name}-figures"] = True
    text = words(drawn(test.run()))
    for piece in (
        "1,146 of 1,200 · 95 % 94.2–96.5 %", "54 rejects", "Share of 54", "90.7 %", "Centre 4.5 % (54 of 1,200;",
        "a point beyond 3σ", "Of the period's newest 1,200 inspections", "press-1", "98.8 %", "regions of",
    ):  # fmt: skip
        assert piece in text, piece
    assert "widened by σ_z" in text
    assert re.search(r'<a href="/\?period=Last\+7\+days&amp;verdict=%E2%9C%95\+REJECT&amp;suspected=dent">dent</a>', text)
    text = words(drawn(test.button_group(key="chart").set_value("p").run()))
    assert "Limits at 3σ of the binomial distribution" in text


def test_periods_without_anything_say_so(floor: Floor) -> None:
    floor.add(3 * HOUR)
    assert "No inspections in this period" in words(open_page(floor.config, "quality.py", **{"analysis-period": "Last hour"}))
    text = words(open_page(floor.config, "quality.py", **{"analysis-period": "Last 24 hours"}))
    for sentence in ("Nothing was rejected", "No flagged part of this period has a region", "No limits: none of 1 parts"):
        assert sentence in text
    wrong = {"analysis-period": OWN, "analysis-from": "2026-03-02T06:00", "analysis-to": "2026-03-02T05:00"}
    assert "ends before it starts" in words(open_page(floor.config, "quality.py", **wrong))


def test_a_link_narrows_the_list_and_says_to_what(floor: Floor) -> None:
    fill(floor)
    view = ListView(named_period("Last 7 days", floor.now), SEOUL, verdicts=(Verdict.REJECT,), suspected="dent")
    query = {name: values[0] for name, values in parse_qs(urlsplit(view.href).query).items()}
    test = open_page(floor.config, **query)
    assert "Only <b>suspected dent</b>" in words(test)
    assert "1 to 5, newest first" in words(test)
    (again,) = [button for button in test.button if button.label == "Show all again"]
    text = words(drawn(again.click().run()))
    assert "Only" not in text
    assert "1 to 54, newest first" in text


def test_a_bar_and_a_table_open_the_parts_behind_them(floor: Floor) -> None:
    fill(floor)
    with served(floor.config) as address, browsing(floor.config, address) as page:
        page.goto("/?verdict=%3F+REVIEW&period=Last+hour&lot=L9")  # a list that was narrowed otherwise before
        expect(page.get_by_text("No inspection matches")).to_be_visible()
        page.get_by_role("link", name="Quality").click()
        page.locator(".st-key-pareto .mark-rect path[aria-label*=scratch]").click()
        page.wait_for_url(re.compile(r"suspected=scratch"))
        expect(page.get_by_text("Only suspected scratch")).to_be_visible()
        expect(page.locator("tr[data-uid]")).to_have_count(49)
        page.reload()  # the address alone says it too
        expect(page.get_by_text("Only suspected scratch")).to_be_visible()
        expect(page.locator("tr[data-uid]")).to_have_count(49)
        page.goto("/quality")
        page.locator(".st-key-lots-figures summary").click()
        page.get_by_role("link", name="L0", exact=True).click()
        expect(page.get_by_text("Only lot L0")).to_be_visible()
        expect(page.locator("tr[data-uid]").first).to_contain_text("lot L0")
        page.goto("/quality")
        page.locator("a.part").first.click()
        page.wait_for_url(re.compile(r"/part\?uid="))


def test_names_from_outside_stay_text_and_open_nothing_by_themselves(floor: Floor) -> None:
    image, script = "![x](http://stranger/x.png)", "<script>alert(1)</script>"
    floor.add(HOUR, Verdict.REJECT, station=image, lot=script, view=image, target=script)
    floor.add(HOUR, Verdict.REJECT, station="", lot=None, view=None, target=None)
    for page in ("quality.py", "live.py", "agreement.py"):
        test = open_page(floor.config, page, by="nonsense", at="nowhere")
        assert [title.value for title in test.title] == [page.removesuffix(".py").capitalize()]
        markdown = [str(element.value) for kind in (test.caption, test.markdown, test.warning) for element in kind]
        assert not any("stranger" in text or "script" in text for text in markdown)
        assert script not in words(test)
