"""Where on the part defects lie: over a picture of the part, and a cell that opens its parts, by the address too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect
from starlette.datastructures import QueryParams

from browser_world import browser_of, chromium, window
from dashboard_world import Plant, filled_plant, served, session_cookie
from kizu_dashboard import beside
from kizu_dashboard.beside import beside_of, beside_picture
from kizu_dashboard.quality import cells_of
from pages_world import open_page, words


@pytest.fixture
def plant(tmp_path: Path, cookies: dict[str, str]) -> Iterator[Plant]:
    """Kim looks at it."""
    with filled_plant(tmp_path, start=datetime.now(UTC) - timedelta(minutes=30)) as plant:
        cookies |= session_cookie(plant.config, "Kim")
        yield plant


def test_the_density_lies_over_the_last_good_part_and_a_cell_opens_its_parts(plant: Plant) -> None:
    with plant.room.records.unit(read_only=True) as unit:
        places, _ = unit.analysis.places(limit=100)
    cells = cells_of(places)
    column, row = min(cells)
    place = cells[column, row][0]
    with served(plant.config) as address, chromium() as program:
        browser = browser_of(program, plant.config, address, "Kim", width=1280, height=800)
        with window(browser, address) as page:
            page.goto("/quality")
            card = page.locator(".st-key-card-places")
            expect(card.get_by_text("Drawn over: Last good part P-1011 (passed, not reviewed).")).to_be_visible()
            photo = card.locator("svg .mark-image image")
            address_of = "one => one.getAttribute('href') || one.getAttribute('xlink:href')"
            page.wait_for_function(address_of, arg=photo.element_handle())  # it is known once it is loaded
            href = photo.evaluate(address_of)
            assert re.search(r"/beside/[\w-]+\?with=[\w-]+&small=yes$", href)
            assert page.request.get(href).headers["content-type"] == "image/jpeg"
            card.locator(f"svg .mark-rect path >> nth={list(cells).index((column, row))}").click()
            page.wait_for_url(re.compile(rf"cell={column}%2C{row}"))
            expect(card.get_by_text(f"Parts with a region at {5 * column}–{5 * column + 5} %")).to_be_visible()
            page.reload()  # the address alone says it too
            expect(card.locator(f"a.part[href*='{place.uid}']")).to_be_visible()


def test_a_row_of_the_table_leads_to_its_cell_and_keeps_the_rest_of_the_address(plant: Plant) -> None:
    test = open_page(plant.config, "quality.py", at="press-3", cell="nonsense")
    test.session_state["places-figures"] = True
    text = words(test.run())
    assert re.search(
        r'<a href="/quality\?at=press-3&amp;cell=\d+%2C\d+">\d+–\d+ %, \d+–\d+ %</a></td><td>1</td><td>20.0 %', text
    )


def test_where_no_picture_is_kept_the_density_stands_alone(plant: Plant) -> None:
    record = plant.record("P-1002")
    assert beside_of(plant.room, replace(record, row=replace(record.row, image_sha256=None))) == []


def test_a_small_picture_is_small(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "SMALL_PX", 100)
    asked = QueryParams({"with": plant.uids["P-1001"], "small": "yes"})
    picture = beside_picture(plant.room, plant.record("P-1002"), asked)
    assert picture is not None
    image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (100, 100, 3)
