"""The blink comparator in a real browser: in the photo's place, in its zoom, without asking the server again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser_world import browser_of, window
from dashboard_world import Plant, filled_plant
from kizu_db.values import NewInspection
from kizu_inspect.results import Judgement, ModelInfo, Verdict


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with filled_plant(tmp_path_factory.mktemp("plant")) as plant:
        yield plant


@pytest.fixture
def page(program: Browser, plant: Plant, address: str) -> Iterator[Page]:
    browser = browser_of(program, plant.config, address, "Kim")
    with window(browser, address) as page:
        yield page
    browser.close()


def until_ready(page: Page, uid: str) -> None:
    """The photo is there, and what it is compared with has been fetched."""
    page.wait_for_selector(f".stage[data-uid='{uid}'][data-beside='ready']")


def test_while_b_is_held_the_last_good_part_lies_in_the_photos_place(page: Page, plant: Plant) -> None:
    page.goto(f"/part?uid={plant.uids['P-1002']}")
    until_ready(page, plant.uids["P-1002"])
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.locator(".beside-picture")).to_be_hidden()
    for _ in range(3):
        page.keyboard.press("+")
    stage = page.locator(".stage").bounding_box()
    assert stage is not None
    page.mouse.move(stage["x"] + 200, stage["y"] + 150)
    page.mouse.down()
    page.mouse.move(stage["x"] + 260, stage["y"] + 120)
    page.mouse.up()
    page.keyboard.down("b")
    expect(page.locator(".beside-picture")).to_be_visible()
    expect(page.locator(".beside-words")).to_have_text("Last good part P-1011 (passed, not reviewed)")
    expect(page.locator(".map")).to_have_css("opacity", "0")
    assert page.locator(".beside-picture").bounding_box() == page.locator(".photo").bounding_box()
    expect(page.locator(".factor")).to_have_text("338 %")
    page.keyboard.up("b")
    expect(page.locator(".beside-picture")).to_be_hidden()
    expect(page.locator(".map")).to_have_css("opacity", "0.6")
    assert asked == [], "a key asks the server for nothing"


def test_the_switch_stays_until_another_part_comes(page: Page) -> None:
    page.goto("/review")
    first = page.locator(".answers[data-awake]:not([data-awake=''])").get_attribute("data-awake")
    assert first is not None
    until_ready(page, first)
    page.locator(".show-beside").check()
    expect(page.locator(".beside-picture")).to_be_visible()
    page.keyboard.press("s")
    page.wait_for_selector(f".answers:not([data-awake='']):not([data-awake='{first}'])")
    expect(page.locator(".show-beside")).not_to_be_checked()
    expect(page.locator(".beside-picture")).to_be_hidden()
    expect(page.locator(".photo")).to_be_visible()


def test_typing_a_b_compares_nothing(page: Page, plant: Plant) -> None:
    page.goto(f"/part?uid={plant.uids['P-1005']}")
    until_ready(page, plant.uids["P-1005"])
    page.locator(".comment").focus()
    page.keyboard.down("b")
    expect(page.locator(".comment")).to_have_value("b")
    expect(page.locator(".beside-picture")).to_be_hidden()
    page.keyboard.up("b")


def test_where_the_golden_picture_is_gone_the_last_good_part_stands_in(page: Page, plant: Plant, tmp_path: Path) -> None:
    spec = {"input": {"profile": "part"}, "weights_sha256": "0" * 64}
    model = ModelInfo("9e" * 32, "plates 2", ("good", "dent"), "good", tmp_path / "gone", spec, None)
    now = datetime.now(UTC)
    with plant.room.records.unit() as unit:
        unit.models.register(model)
        uid = unit.inspections.add(
            NewInspection(
                source="folder",
                source_key="golden",
                station="press-3",
                view="top",
                part="P-2000",
                captured_at=now,
                judged_at=now,
                judgement=Judgement(Verdict.REJECT, "dent", {"good": 0.1, "dent": 0.9}, "dent", "dent", 0.9, 320, 320),
                image_sha256=plant.record("P-1002").row.image_sha256,
                image_name="p.png",
                model_hash=model.hash,
            )
        )
    answers: list[tuple[str, int]] = []
    page.on("response", lambda answer: "/beside/" in answer.url and answers.append((answer.url.split("=")[1], answer.status)))
    page.goto(f"/part?uid={uid}")
    until_ready(page, uid)
    assert answers == [("golden", 404), (plant.uids["P-1011"], 200)]
    page.keyboard.down("b")
    expect(page.locator(".beside-words")).to_have_text("Last good part P-1011 (passed, not reviewed)")
    page.keyboard.up("b")


def test_a_part_without_a_picture_offers_nothing(page: Page, plant: Plant) -> None:
    page.goto(f"/part?uid={plant.uids['P-1010']}")
    page.wait_for_selector(f".stage[data-uid='{plant.uids['P-1010']}'][data-beside='none']")
    expect(page.locator(".show-beside")).to_be_disabled()
    page.keyboard.down("b")
    expect(page.locator(".beside-words")).to_have_text("Nothing to compare with")
    page.keyboard.up("b")
    expect(page.locator(".beside-words")).to_be_hidden()
