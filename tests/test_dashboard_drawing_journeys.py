"""Drawing where the defects lie, in a real browser: what is drawn is stored pixel by pixel with the decision, or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser_world import browser_of, window
from dashboard_world import Plant

Drawn = tuple[int, int, int, int, str]
SIDE = 320


@pytest.fixture
def plant(station: Plant) -> Plant:
    return station


@pytest.fixture(scope="module")
def browser(program: Browser, works: Plant, works_address: str) -> BrowserContext:
    """Kim's."""
    return browser_of(program, works.config, works_address, "Kim", width=1280, height=800)


@pytest.fixture
def page(browser: BrowserContext, plant: Plant, works_address: str) -> Iterator[Page]:
    """Kim's window on the Review page, with the first part to decide."""
    with window(browser, works_address) as page:
        page.goto(f"/review?station={plant.station}")
        until_shown(page, plant, "P-1002")
        yield page


def until_shown(page: Page, plant: Plant, part: str) -> None:
    """The part is on the screen and may be answered."""
    page.wait_for_selector(f".answers[data-awake='{plant.uids[part]}']")


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where the middle of this pixel of the picture lies in the window."""
    photo = page.locator(".photo").bounding_box()
    assert photo is not None
    return photo["x"] + (x + 0.5) * photo["width"] / SIDE, photo["y"] + (y + 0.5) * photo["height"] / SIDE


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From the middle of one pixel of the picture to that of another."""
    page.mouse.move(*on_screen(page, *start))
    page.mouse.down()
    page.mouse.move(*on_screen(page, *end), steps=4)
    page.mouse.up()


def stored(plant: Plant, part: str) -> list[Drawn]:
    """What the latest review drew."""
    review = plant.record(part).standing_review
    assert review is not None
    return [(box.x1, box.y1, box.x2, box.y2, box.defect_class) for box in review.boxes]


def label(page: Page, number: int = 0) -> str:
    """What a screen reader says of a box."""
    return page.locator(".draft").nth(number).get_attribute("aria-label") or ""


def test_boxes_drawn_in_a_zoomed_and_moved_picture_are_its_own_pixels(page: Page, plant: Plant) -> None:
    page.keyboard.press("d")
    expect(page.get_by_role("button", name="Draw boxes")).to_have_attribute("aria-pressed", "true")
    for _ in range(3):
        page.keyboard.press("+")
    page.keyboard.down("Shift")  # moves the picture, and draws nothing
    drag(page, (160, 160), (190, 150))
    page.keyboard.up("Shift")
    expect(page.locator(".draft")).to_have_count(0)
    drag(page, (120, 130), (159, 169))
    drag(page, (175, 165), (168, 150))  # from below upwards
    page.keyboard.press("2")
    assert label(page) == "Box 1 of 2: scratch, x 120 to 160, y 130 to 170"
    assert label(page, 1) == "Box 2 of 2: dent, x 168 to 176, y 150 to 166"
    drawn, photo = page.locator(".draft").first.bounding_box(), page.locator(".photo").bounding_box()
    assert drawn is not None
    assert photo is not None
    scale = photo["width"] / SIDE
    assert abs(drawn["x"] - (photo["x"] + 120 * scale)) < 1
    assert abs(drawn["width"] - 40 * scale) < 1
    assert plant.record("P-1002").reviews == (), "digits are classes while somebody draws"
    page.keyboard.press("d")
    page.keyboard.press("c")
    until_shown(page, plant, "=HYPERLINK(1)")
    assert stored(plant, "P-1002") == [(120, 130, 160, 170, "scratch"), (168, 150, 176, 166, "dent")]
    expect(page.locator(".draft")).to_have_count(0)
    page.keyboard.press("c")
    until_shown(page, plant, "부품-1004")
    assert stored(plant, "=HYPERLINK(1)") == [], "what was drawn on one part is not sent with the next"


def test_a_box_is_moved_resized_and_never_leaves_the_picture(page: Page) -> None:
    page.keyboard.press("d")
    stage = page.locator(".stage").bounding_box()
    drag(page, (100, 100), (139, 119))
    assert page.locator(".stage").bounding_box() == stage, "the picture stays where it is, whatever is said above it"
    drag(page, (120, 110), (130, 90))
    assert label(page).endswith("x 110 to 150, y 80 to 100")
    corner = page.locator(".draft .handle.nw").bounding_box()
    assert corner is not None
    page.mouse.move(corner["x"] + corner["width"] / 2, corner["y"] + corner["height"] / 2)
    page.mouse.down()
    page.mouse.move(*on_screen(page, 60, 40), steps=4)
    page.mouse.up()
    assert label(page).endswith("x 60 to 150, y 40 to 100")
    drag(page, (100, 70), (100, 400))
    assert label(page).endswith("x 60 to 150, y 260 to 320")
    drag(page, (10, 10), (400, -30))  # a second one, over the edges
    assert label(page, 1).endswith("x 10 to 320, y 0 to 11")
    page.mouse.click(*on_screen(page, 200, 150))  # a click draws nothing
    expect(page.locator(".draft")).to_have_count(2)
    expect(page.locator(".draft[aria-pressed='true']")).to_have_count(0)


def test_all_of_it_goes_by_keyboard_and_is_said(page: Page, plant: Plant) -> None:
    page.keyboard.press("d")
    page.keyboard.press("n")
    expect(page.locator(".draft:focus")).to_have_count(1)
    words = page.locator(".draw-words")
    expect(words).to_contain_text("Box 1 of 1: scratch")
    first = page.evaluate("JSON.parse(document.documentElement.dataset.kizuBoxes).boxes[0]")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowUp"):
        page.keyboard.press(key)
    step = max(1, round(2 * SIDE / page.locator(".photo").bounding_box()["width"]))  # type: ignore[index]
    expect(words).to_have_text(
        f"Box 1 of 1: scratch, x {first['x1'] - 2 * step} to {first['x2'] - step}, "
        f"y {first['y1'] - step} to {first['y2'] - 2 * step}"
    )
    page.keyboard.press("n")
    page.keyboard.press("3")
    expect(words).to_contain_text("Box 2 of 2: stain")
    page.locator(".draft").first.focus()
    expect(words).to_contain_text("Box 1 of 2: scratch")
    page.keyboard.press("Delete")
    expect(words).to_have_text("Deleted; 1 left")
    page.keyboard.press("Escape")
    page.locator(".answers").get_by_role("button", name="stain").click()
    until_shown(page, plant, "=HYPERLINK(1)")
    assert [box[4] for box in stored(plant, "P-1002")] == ["stain"]


def test_a_finger_draws_too(page: Page, plant: Plant) -> None:
    touch = page.context.new_cdp_session(page)
    touch.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.get_by_role("button", name="Draw boxes").click()
    for kind, pixel in (("touchStart", (80, 90)), ("touchMove", (100, 100)), ("touchMove", (129, 119)), ("touchEnd", None)):
        points = [] if pixel is None else [dict(zip("xy", on_screen(page, *pixel), strict=True))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(page.locator(".draft")).to_have_attribute("aria-label", "Box 1 of 1: scratch, x 80 to 130, y 90 to 120")
    page.get_by_role("button", name="Confirm").click()
    until_shown(page, plant, "=HYPERLINK(1)")
    assert stored(plant, "P-1002") == [(80, 90, 130, 120, "scratch")]


def test_the_models_regions_are_a_start_and_what_is_stored_shows_as_peoples(page: Page, plant: Plant) -> None:
    explanation = plant.record("P-1002").explanation
    assert explanation is not None
    regions = [(one.x1, one.y1, one.x2, one.y2, one.label) for one in explanation.regions]
    page.goto(f"/part?uid={plant.uids['P-1002']}")
    until_shown(page, plant, "P-1002")
    page.keyboard.press("d")
    page.keyboard.press("t")
    expect(page.locator(".draft")).to_have_count(len(regions))
    drag(page, (5, 5), (14, 24))
    page.keyboard.press("d")
    expect(page.locator(".draw-words")).to_have_text(f"{len(regions) + 1} boxes go with your decision")
    page.keyboard.press("c")
    expect(page.locator(".box.people")).to_have_count(len(regions) + 1)
    expect(page.locator(".draft")).to_have_count(0)
    expect(page.locator(".box.people").last).to_have_css("border-style", "dashed")
    expect(page.locator(".box.people").last).to_have_text(f"✎ {len(regions) + 1} · scratch")
    assert stored(plant, "P-1002") == [*regions, (5, 5, 15, 25, "scratch")]
    expect(page.get_by_text(f"{len(regions) + 1} × scratch", exact=True)).to_be_visible()
    page.keyboard.press("d")
    page.keyboard.press("t")  # now people's own are the start
    expect(page.locator(".draft")).to_have_count(len(regions) + 1)


def test_boxes_survive_a_store_that_is_refused(page: Page, plant: Plant) -> None:
    page.keyboard.press("d")
    drag(page, (100, 100), (139, 119))
    page.keyboard.press("d")
    page.locator(".comment").fill("only dust")
    page.locator(".answers").get_by_role("button", name="Good").click()
    expect(page.locator(".refused")).to_contain_text("A good part has no defects to draw")
    file = plant.room.records.file
    assert file is not None
    locked = sqlite3.connect(file, isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    try:
        page.get_by_role("button", name="Confirm").click()
        expect(page.locator(".refused")).to_contain_text("cannot be reached at the moment")
    finally:
        locked.execute("ROLLBACK")
        locked.close()
    assert label(page) == "Box 1 of 1: scratch, x 100 to 140, y 100 to 120"
    assert plant.record("P-1002").reviews == ()
    until_shown(page, plant, "P-1002")
    page.get_by_role("button", name="Confirm").click()
    until_shown(page, plant, "=HYPERLINK(1)")
    assert stored(plant, "P-1002") == [(100, 100, 140, 120, "scratch")]


def test_a_hand_made_box_beyond_the_picture_stores_nothing(page: Page, plant: Plant) -> None:
    box = {"x1": 0, "y1": 0, "x2": SIDE + 1, "y2": 5, "defect_class": "scratch"}
    told = {"uid": plant.uids["P-1002"], "drawing": False, "boxes": [box]}
    page.evaluate("told => { document.documentElement.dataset.kizuBoxes = JSON.stringify(told) }", told)
    page.keyboard.press("c")
    expect(page.locator(".refused")).to_contain_text("A box lies beyond the picture")
    assert plant.record("P-1002").reviews == ()


def test_who_is_blind_gets_no_start_and_no_suspicion(page: Page, plant: Plant) -> None:
    for part in plant.uids:
        if part != "P-1006" and plant.record(part).row.verdict.value != "PASS":
            plant.review(part)
    page.reload()
    until_shown(page, plant, "P-1006")
    page.keyboard.press("d")
    expect(page.locator(".draw-take")).to_be_disabled()
    expect(page.locator(".draw-class")).to_have_value("scratch")  # the first of the model's, whatever it suspects
    expect(page.locator(".draw-class option")).to_have_count(5)


def test_who_only_looks_draws_nothing(plant: Plant, program: Browser, works_address: str) -> None:
    vera = browser_of(program, plant.config, works_address, "Vera")
    with window(vera, works_address) as page:
        page.goto(f"/part?uid={plant.uids['P-1002']}")
        page.wait_for_selector(f".stage[data-uid='{plant.uids['P-1002']}'][data-beside='ready']")
        expect(page.locator("button.draw")).to_be_hidden()
        page.keyboard.press("d")
        expect(page.locator(".draw-bar")).to_be_hidden()
    vera.close()
