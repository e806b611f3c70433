"""The page Search: what its address says, what it finds, its gallery's confirmation, and the file of all that is found."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from streamlit.testing.v1 import AppTest

from dashboard_world import Plant, cookie_header, filled_plant, served, session_cookie
from kizu_dashboard.bulk_deciding import Bulk
from kizu_dashboard.exporting import EXPORT, AskedFor
from kizu_dashboard.filters import Filters, find
from kizu_db.permissions import Role
from kizu_inspect.results import Verdict
from pages_world import drawn, open_page, words
from signing_world import HTML, Answer, ask

START = datetime.now(UTC) - timedelta(minutes=30)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with filled_plant(tmp_path_factory.mktemp("plant"), start=START) as plant:
        plant.review("P-1002", reviewer="Lee", disposition="defective", decision="accept", defect_class="missing_hole")
        plant.review("P-1005")
        with plant.room.records.unit() as unit:
            unit.queue.escalate(plant.uids["P-1007"], by="Kim", why="a shadow?")
        yield plant


@pytest.fixture
def own_plant(tmp_path: Path) -> Iterator[Plant]:
    """For tests that decide."""
    with filled_plant(tmp_path, start=START) as plant:
        yield plant


def found(plant: Plant, filters: Filters) -> list[str]:
    with plant.room.records.unit(read_only=True) as unit:
        return [row.part for row in find(unit, filters, None, None, limit=100)]


@pytest.mark.parametrize(
    ("filters", "parts"),
    [
        (Filters(named="p-1002"), ["P-1002"]),
        (Filters(named="L7"), 12),
        (Filters(named="<b>P-1012</b>"), ["<b>P-1012</b>"]),
        (Filters(named="=HYPERLINK(1)"), ["=HYPERLINK(1)"]),
        (Filters(named="부품-"), ["부품-1004"]),
        (Filters(named="'; DROP TABLE part; --"), []),
        (Filters(decision="defective"), ["P-1002"]),
        (Filters(decision="defective: missing hole"), ["P-1002"]),
        (Filters(decision="good"), ["P-1005"]),
        (Filters(decision="undecided", verdicts=(Verdict.ERROR, Verdict.REVIEW)), ["P-1010", "P-1007", "부품-1004"]),
        (Filters(decision="left to a second person"), ["P-1007"]),
        (Filters(reviewer="Lee"), ["P-1002"]),
        (Filters(reviewer="Kim", verdicts=(Verdict.PASS,)), []),
    ],
)
def test_each_filter_finds_what_it_says(plant: Plant, filters: Filters, parts: list[str] | int) -> None:
    names = found(plant, filters)
    assert names == parts or len(names) == parts


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"search": "P-1002"}, "1 to 1, newest first"),
        ({"search": "\u001dP-1002\r\n"}, "1 to 1, newest first"),
        ({"decision": "left to a second person"}, "Only <b>left to a second person</b>"),
        ({"decision": "undecided"}, "Only <b>undecided</b>"),
        ({"reviewer": "Lee"}, "Only <b>decided by Lee</b>"),
        ({"view": "Gallery", "lot": "L7"}, "1 to 12, newest first"),
        ({"search": "no such part"}, "No inspection matches"),
    ],
)
def test_the_address_says_what_is_looked_for(plant: Plant, cookies: dict[str, str], query: dict[str, str], told: str) -> None:
    cookies |= session_cookie(plant.config, "Kim")
    assert told in words(open_page(plant.config, **query))


def chosen(test: AppTest, plant: Plant, parts: list[str]) -> Bulk:
    """What the gallery in a browser sends when these are selected; the page then asks for the answer."""
    bulk: Bulk = test.session_state["bulk Kim"]
    with plant.room.records.unit(read_only=True) as unit:
        turn = bulk.lay_out(unit.inspections.latest())
    bulk.choose({"turn": turn, "parts": [{"uid": plant.uids[part], "shown_ms": 500} for part in parts]})
    drawn(test.run())
    return bulk


def test_the_confirmation_lists_the_parts_and_stores_only_when_told(own_plant: Plant, cookies: dict[str, str]) -> None:
    plant = own_plant
    cookies |= session_cookie(plant.config, "Kim")
    test = open_page(plant.config, view="Gallery")
    bulk = chosen(test, plant, ["P-1002", "P-1007", "<b>P-1012</b>"])
    assert bulk.group is not None
    nonce = bulk.group.nonce
    text = words(test)
    for part in ("P-1002", "P-1007", "&lt;b&gt;P-1012&lt;/b&gt;"):
        assert f"<td>{part}</td>" in text
    (radio,) = test.radio
    assert radio.options[:3] == ["Confirm the verdict: 2 of 3", "Good: 3 of 3", "Scratch: 3 of 3"]
    assert radio.value is None
    drawn(radio.set_value(("good", None)).run())
    assert "<td>P-1002</td><td>✕ REJECT</td><td>good, against the verdict</td>" in words(test)
    store = next(one for one in test.button if one.label == "Store for 3 of 3 parts")
    drawn(store.click().run())
    assert "Nothing was stored: say why. The answer contradicts the verdict of 2 parts." in words(test)
    assert plant.record("P-1002").reviews == ()
    test.text_area(key=f"bulk-reason-{nonce}").set_value("only dust")
    test.selectbox(key=f"bulk-then-{nonce}").set_value("accept")
    drawn(next(one for one in test.button if one.label == "Store for 3 of 3 parts").click().run())
    assert "3 of 3 parts are recorded as good." in words(test)
    assert not test.radio
    (review,) = plant.record("P-1002").reviews
    assert (review.reviewer, review.reason, review.treatment, review.shown_ms) == ("Kim", "only dust", "accept", 500)
    drawn(test.button(key="bulk-undo").click().run())
    assert "These parts were decided together." in words(test)
    assert [option.partition(":")[0] for option in test.radio[0].options][-1] == "Other defect"
    drawn(test.button(key="bulk-cancel").click().run())
    assert not test.radio
    assert len(plant.record("P-1002").reviews) == 1


def test_who_lost_the_role_since_the_confirmation_opened_stores_nothing(own_plant: Plant, cookies: dict[str, str]) -> None:
    cookies |= session_cookie(own_plant.config, "Kim")
    test = open_page(own_plant.config, view="Gallery")
    chosen(test, own_plant, ["P-1002"])
    drawn(test.radio[0].set_value(("confirm", None)).run())
    with own_plant.room.records.unit() as unit:
        unit.users.change("Kim", by="Ana", role=Role.VIEWER)
    drawn(next(one for one in test.button if one.label == "Store for 1 of 1 part").click().run())
    assert "Not stored: You are viewer now, and may look alone." in words(test)
    assert own_plant.record("P-1002").reviews == ()
    assert not test.radio


def test_a_viewer_looks_at_pictures_and_takes_nothing_out(plant: Plant, cookies: dict[str, str]) -> None:
    cookies |= session_cookie(plant.config, "Vera")
    test = open_page(plant.config, view="Gallery")
    assert "1 to 12, newest first" in words(test)
    assert "Download all of these" not in words(test)
    cookies |= session_cookie(plant.config, "Kim")
    assert "Download all of these" in words(open_page(plant.config))


def send(address: str, cookie: str, body: str, *, origin: str | None = None) -> Answer:
    """The form for the file, as a browser sends it."""
    return ask(address, EXPORT, method="POST", cookie=cookie, body=body, headers=HTML | ({"Origin": origin} if origin else {}))


def form(filters: Filters, **changes: Any) -> str:
    asked = json.loads(AskedFor(filters=filters, since=None, until=None).model_dump_json()) | changes
    return urlencode({"asked": json.dumps(asked)})


def test_the_name_of_the_page_leads_to_it_with_all_that_was_asked(plant: Plant, address: str) -> None:
    cookie = cookie_header(plant.config, plant.session())
    for query in ("", "?view=Gallery&search=%EB%B6%80%ED%92%88+1%26b%3D2&verdict=%E2%9C%95+REJECT", "?next=//evil.example"):
        answer = ask(address, f"/search{query}", cookie=cookie, headers=HTML)
        assert (answer.status, answer.headers["location"]) == (303, f"/{query}")
    answer = ask(address, "/search?view=Gallery", headers=HTML)
    assert (answer.status, answer.headers["location"]) == (303, "/signin?" + urlencode({"next": "/search?view=Gallery"}))


def test_the_file_has_all_rows_that_are_found_and_the_trail_says_who_took_what(plant: Plant, address: str) -> None:
    names = plant.add_alike(450, like="P-1008")  # more than are read at once
    cookie = cookie_header(plant.config, plant.session())
    answer = send(address, cookie, form(Filters(verdicts=(Verdict.REJECT,), station="press-3")))
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"].startswith('attachment; filename="kizu-search-')
    assert answer.text.startswith("\ufeff")
    assert "\ufffd" not in answer.text, "it is whole UTF-8"
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    flagged = ["<b>P-1012</b>", "P-1009", "P-1008", "P-1005", "'=HYPERLINK(1)", "P-1002"]
    assert [row["part"] for row in rows] == [*reversed(names), *flagged]
    assert rows[-1]["reviewer"] == "Lee"
    with plant.room.records.unit(read_only=True) as unit:
        event = unit.trail.latest(limit=1)[0]
    assert (event.action, event.actor) == ("export.make", "Kim")
    assert event.after is not None
    assert event.after["filters"]["verdicts"] == ["REJECT"]


def test_where_more_parts_begin_so_than_are_looked_at_that_is_said_and_no_file_is_made(
    own_plant: Plant, cookies: dict[str, str]
) -> None:
    own_plant.add_alike(201, like="P-1008")
    with served(own_plant.config) as address:
        cookie = cookie_header(own_plant.config, own_plant.session())
        answer = send(address, cookie, form(Filters(named="P-1008-")))
        assert (answer.status, "only some of them are found" in answer.text) == (409, True)
        answer = send(address, cookie, form(Filters(named="P-1002")))
        assert (answer.status, answer.text.count("P-1002,")) == (200, 1)
        early = form(Filters(station="press-3"), since="0001-01-01T00:00:00+00:00")
        assert send(address, cookie, early).status == 400
        cookies |= session_cookie(own_plant.config, "Kim")
        told = "that only some of them are found"
        assert told in words(open_page(own_plant.config, search="P-1008-"))
        assert told not in words(open_page(own_plant.config, search="P-1008-0"))


def test_the_file_is_for_who_may_take_it_and_for_this_pages_form(plant: Plant, address: str) -> None:
    kim, vera = (cookie_header(plant.config, plant.session(name)) for name in ("Kim", "Vera"))
    fitting = form(Filters())
    assert send(address, vera, fitting).status == 403
    assert send(address, "", fitting).status == 401
    assert send(address, kim, fitting, origin="http://evil.example").status == 403
    assert send(address, kim, "x" * 100_000).status == 413
    for wrong in ("", "asked=", "asked={}", form(replace(Filters(), named="x"), since="yesterday"), form(Filters(), more=1)):
        assert send(address, kim, wrong).status == 400
    there = ask(address, EXPORT, cookie=kim, headers=HTML)
    assert there.headers["content-type"].startswith("text/html")  # the page, and no file
