"""The gallery in a real browser: selecting by keys and mouse, deciding for many, and taking it back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from browser_world import browser_of, until_settled, window
from dashboard_world import Plant
from looks_world import findings

ORDER = [
    "<b>P-1012</b>", "P-1011", "P-1010", "P-1009", "P-1008", "P-1007", "P-1006", "P-1005", "부품-1004", "=HYPERLINK(1)",
    "P-1002", "P-1001",
]  # fmt: skip
"""As the page shows them."""


@pytest.fixture(scope="module")
def address(works_address: str) -> str:
    return works_address


@pytest.fixture(scope="module")
def browser(program: Browser, works: Plant, address: str) -> BrowserContext:
    """Kim's, on a screen upright: all twelve parts are seen."""
    return browser_of(program, works.config, address, "Kim", width=1280, height=1500)


@pytest.fixture
def plant(station: Plant) -> Plant:
    return station


@pytest.fixture
def gallery(station: Plant) -> str:
    """Where this station's pictures are."""
    return f"/?view=Gallery&station={station.station}"


@pytest.fixture
def page(browser: BrowserContext, address: str, gallery: str) -> Iterator[Page]:
    """Kim's window on the gallery."""
    with window(browser, address) as page:
        page.goto(gallery)
        expect(page.locator(".tile")).to_have_count(12)
        yield page


def tile(page: Page, plant: Plant, part: str) -> Locator:
    return page.locator(f".tile[data-uid='{plant.uids[part]}']")


def until_seen(page: Page) -> None:
    """Every picture was on the screen: a person scrolls past them."""
    for one in page.locator(".tile:has(img)").all():
        one.scroll_into_view_if_needed()
        expect(one).to_have_attribute("data-seen", "1")


def selected(page: Page, plant: Plant) -> list[str]:
    """The parts whose boxes are ticked, in the order of the page."""
    parts = {uid: part for part, uid in plant.uids.items()}
    uids = page.locator(".tile:has(.pick:checked)").evaluate_all("tiles => tiles.map((one) => one.dataset.uid)")
    return [parts[uid] for uid in uids]


def open_confirmation(page: Page) -> Locator:
    page.get_by_role("button", name="Decide for the selected…").click()
    dialog = page.get_by_role("dialog", name="Decide for the selected parts")
    expect(dialog).to_be_visible()
    return dialog


def decide(dialog: Locator, answer: str, reason: str) -> None:
    """The answer is chosen, its meaning is there, and it is stored."""
    dialog.get_by_role("radio", name=answer).check(force=True)
    dialog.get_by_role("textbox").fill(reason)
    dialog.get_by_role("button", name="Store for").click()


def decisions(plant: Plant, parts: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    return {part: [(one.reviewer, one.defect_class or one.disposition) for one in plant.record(part).reviews] for part in parts}


def test_selected_by_keys_decided_told_and_taken_back(page: Page, plant: Plant) -> None:
    until_seen(page)
    page.get_by_role("checkbox", name="P-1009, REJECT, stain, waits").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")  # a part of the audit sample, which is not decided here
    assert selected(page, plant) == ["P-1009", "P-1007", "P-1006"]
    expect(page.locator(".count")).to_have_text("3 selected")
    expect(page.locator(".unseen")).to_have_text("")
    dialog = open_confirmation(page)
    expect(dialog.locator("td", has_text="P-1009")).to_be_visible()
    expect(dialog.get_by_role("button", name="Store for")).to_have_count(0)
    decide(dialog, "Dent: 2 of 3", "seen by the lamp")
    said = page.get_by_role("status").filter(has_text="2 of 3 parts are recorded as defective: dent.")
    expect(said).to_be_visible()
    expect(dialog).to_have_count(0)
    expect(page.locator("td", has_text="It was drawn to be judged blind, on the page Review.")).to_be_visible()
    expect(page.locator(".count")).to_have_text("0 selected")
    expect(tile(page, plant, "P-1007")).to_contain_text("defective")
    parts = ["P-1009", "P-1007", "P-1006"]
    assert decisions(plant, parts) == {"P-1009": [("Kim", "dent")], "P-1007": [("Kim", "dent")], "P-1006": []}
    assert all((plant.record(part).reviews[0].shown_ms or 0) >= 250 for part in parts[:2])
    page.get_by_role("button", name="Undo: decide the last group again").click()
    decide(dialog, "Good: 2 of 2", "it was the light")
    expect(page.get_by_role("status").filter(has_text="2 of 2 parts are recorded as good.")).to_be_visible()
    assert decisions(plant, parts) == {
        "P-1009": [("Kim", "dent"), ("Kim", "good")], "P-1007": [("Kim", "dent"), ("Kim", "good")], "P-1006": [],
    }  # fmt: skip
    old, new = plant.record("P-1007").reviews
    assert new.supersedes == old.id


def test_mouse_and_keys_select_one_a_range_or_all(page: Page, plant: Plant) -> None:
    tile(page, plant, "P-1011").locator(".picture").click()
    tile(page, plant, "P-1007").locator(".picture").click(modifiers=["Shift"])
    assert selected(page, plant) == ORDER[1:6]
    tile(page, plant, "P-1009").get_by_role("checkbox").click()
    assert selected(page, plant) == ["P-1011", "P-1010", "P-1008", "P-1007"]
    page.get_by_role("button", name="Select none").click()
    assert selected(page, plant) == []
    expect(page.get_by_role("button", name="Decide for the selected…")).to_be_disabled()
    page.get_by_role("button", name="Select all on this page").click()
    assert selected(page, plant) == ORDER
    page.get_by_role("button", name="Select none").click()
    page.locator(".pick").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+End")
    assert selected(page, plant) == ORDER[5:]
    page.keyboard.press("ControlOrMeta+a")
    assert selected(page, plant) == ORDER
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator(".kz-name")).to_have_text("<b>P-1012</b>")


def test_the_selection_is_of_parts_and_not_of_places(page: Page, plant: Plant) -> None:
    tile(page, plant, "P-1009").locator(".picture").click()
    (newest,) = plant.add_alike(1, like="P-1002")
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator(".tile").first).to_contain_text(newest)
    assert selected(page, plant) == ["P-1009"]


def test_what_was_never_on_the_screen_is_said_and_not_decided(page: Page, plant: Plant) -> None:
    page.set_viewport_size({"width": 1280, "height": 620})
    page.reload()
    expect(page.locator(".tile")).to_have_count(12)
    page.get_by_role("button", name="Select all on this page").click()
    expect(page.locator(".unseen")).to_contain_text("of the selected have not been on the screen yet: scroll to them")
    dialog = open_confirmation(page)
    dialog.get_by_role("radio", name="Good").check(force=True)
    row = dialog.locator("tr", has_text="P-1001")
    expect(row).to_contain_text("Its picture was not on the screen.")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert selected(page, plant) == ORDER
    assert decisions(plant, ORDER) == {part: [] for part in ORDER}
    page.set_viewport_size({"width": 1280, "height": 1500})


def test_a_button_that_is_pressed_twice_decides_once(page: Page, plant: Plant) -> None:
    until_seen(page)
    for part in ("P-1008", "P-1007"):
        tile(page, plant, part).locator(".picture").click()
    dialog = open_confirmation(page)
    dialog.get_by_role("radio", name="Scratch").check(force=True)
    dialog.get_by_role("textbox").fill("seen")
    dialog.get_by_role("button", name="Store for").dblclick()
    expect(page.get_by_role("status").filter(has_text="2 of 2 parts are recorded as defective: scratch.")).to_be_visible()
    until_settled(page)
    assert decisions(plant, ["P-1008", "P-1007"]) == {"P-1008": [("Kim", "scratch")], "P-1007": [("Kim", "scratch")]}


def test_two_people_who_choose_the_same_parts_are_told_of_each_other(
    page: Page, program: Browser, plant: Plant, address: str, gallery: str
) -> None:
    lees = browser_of(program, plant.config, address, "Lee", width=1280, height=1500)
    with window(lees, address) as other:
        other.goto(gallery)
        expect(other.locator(".tile")).to_have_count(12)
        for one, parts in ((page, ("P-1008", "P-1007")), (other, ("P-1007", "P-1005"))):
            until_seen(one)
            for part in parts:
                tile(one, plant, part).locator(".picture").click()
        mine, theirs = open_confirmation(page), open_confirmation(other)
        theirs.get_by_role("radio", name="Dent: 2 of 2").check(force=True)
        theirs.get_by_role("textbox").fill("seen")
        decide(mine, "Good: 2 of 2", "dust")
        expect(page.get_by_role("status").filter(has_text="2 of 2 parts are recorded as good.")).to_be_visible()
        theirs.get_by_role("button", name="Store for").click()
        expect(other.get_by_role("status").filter(has_text="1 of 2 parts are recorded as defective: dent.")).to_be_visible()
        expect(other.locator("tr", has_text="P-1007")).to_contain_text("Somebody decided it since it was shown here.")
    assert decisions(plant, ["P-1008", "P-1007", "P-1005"]) == {
        "P-1008": [("Kim", "good")], "P-1007": [("Kim", "good")], "P-1005": [("Lee", "dent")],
    }  # fmt: skip
    lees.close()


def test_heatmaps_are_a_switch_in_the_address_and_the_way_back_keeps_the_view(page: Page, plant: Plant) -> None:
    image = tile(page, plant, "P-1005").locator("img")
    expect(image).to_have_attribute("src", f"/thumbnail/{plant.uids['P-1005']}?size=large")
    page.get_by_text("Heatmaps", exact=True).click()
    expect(image).to_have_attribute("src", f"/thumbnail/{plant.uids['P-1005']}?size=large&heatmap=1")
    page.wait_for_function("image => image.complete && image.naturalWidth === 320", arg=image.element_handle())
    expect(tile(page, plant, "P-1001").locator("img")).to_have_attribute(
        "src", f"/thumbnail/{plant.uids['P-1001']}?size=large"
    )  # fmt: skip
    assert "heat=true" in page.url
    tile(page, plant, "P-1005").get_by_role("link").click()
    expect(page.locator(".kz-name")).to_have_text("P-1005")
    page.get_by_role("link", name="Back to Search").click()
    expect(page.locator(".tile")).to_have_count(12)
    expect(image).to_have_attribute("src", f"/thumbnail/{plant.uids['P-1005']}?size=large&heatmap=1")


def test_the_confirmation_has_no_serious_finding_in_either_theme(page: Page) -> None:
    page.get_by_role("button", name="Select all on this page").click()
    dialog = open_confirmation(page)
    dialog.get_by_role("radio", name="Good").check(force=True)
    expect(dialog.get_by_role("button", name="Store for")).to_be_visible()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        until_settled(page)
        assert findings(page) == []
    page.emulate_media(color_scheme="light")


def test_who_may_only_look_has_nothing_to_select(program: Browser, plant: Plant, address: str, gallery: str) -> None:
    veras = browser_of(program, plant.config, address, "Vera")
    with window(veras, address) as page:
        page.goto(gallery)
        expect(page.locator(".tile")).to_have_count(12)
        expect(page.get_by_role("checkbox", name="P-1009")).to_have_count(0)
        expect(page.locator(".bar")).to_be_hidden()
        expect(page.get_by_role("button", name="Download all of these as CSV")).to_have_count(0)
        tile(page, plant, "P-1009").get_by_role("link").click()
        expect(page.locator(".kz-name")).to_have_text("P-1009")
    veras.close()


def test_what_is_found_is_downloaded_and_the_page_stays(page: Page, plant: Plant, tmp_path: Path) -> None:
    page.get_by_role("button", name="REJECT").click()
    expect(page.locator(".tile")).to_have_count(6)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download all of these as CSV").click()
    waiting.value.save_as(tmp_path / "found.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "found.csv").read_text("utf-8-sig"), newline="")))
    assert [row["inspection"] for row in rows] == [
        plant.uids[part] for part in ORDER if plant.record(part).row.verdict.value == "REJECT"
    ]  # fmt: skip
    expect(page.locator(".tile")).to_have_count(6)
