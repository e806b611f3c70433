"""A scanner on the Review page in a real browser: what it types is never taken for a decision, and brings the part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser_world import browser_of, window
from dashboard_world import Plant

SCAN = """async ([text, gap]) => {
    // Timed at the start, as a scanner's keys are: a page that is busy meanwhile has them all, in their order.
    const keys = [...text, "Enter"]
    await Promise.all(keys.map((key, index) => new Promise((resolve) => setTimeout(() => {
        const at = document.activeElement ?? document.body
        const told = { key, code: `Key${index}`, bubbles: true, cancelable: true, composed: true }
        if (at.dispatchEvent(new KeyboardEvent("keydown", told)) && key === "Enter") at.click()
        at.dispatchEvent(new KeyboardEvent("keyup", told))
        resolve()
    }, index * gap))))
}"""
BURST = """async (keys) => {
    for (const [key, code, more] of keys) {
        const told = { key, code, bubbles: true, cancelable: true, composed: true, ...more }
        const at = document.activeElement ?? document.body
        for (const type of ["keydown", "keyup"]) at.dispatchEvent(new KeyboardEvent(type, told))
        await new Promise((resolve) => setTimeout(resolve, 3))
    }
    await new Promise((resolve) => setTimeout(resolve, 100))  // longer than a key waits for the next one
}"""
HOSTILE = "g1c2s3uz45dhr9b+-0m?lf"
"""Each key that the page knows."""


@pytest.fixture(scope="module")
def kim(program: Browser, plant: Plant, address: str) -> BrowserContext:
    return browser_of(program, plant.config, address, "Kim", width=1280, height=800)


@pytest.fixture
def page(kim: BrowserContext, plant: Plant, address: str) -> Iterator[Page]:
    with window(kim, address) as page:
        page.goto("/review")
        until_shown(page, plant, "P-1002")
        yield page


def until_shown(page: Page, plant: Plant, part: str) -> None:
    page.wait_for_selector(f".answers[data-awake='{plant.uids[part]}']")


def decided(plant: Plant) -> list[str]:
    return [part for part in plant.uids if plant.record(part).reviews]


@pytest.mark.parametrize("gap_ms", [1, 5, 12, 20])
def test_a_burst_of_keys_decides_nothing_and_changes_nothing(page: Page, plant: Plant, gap_ms: int) -> None:
    page.locator("button.to-good").focus()  # which Enter would press
    page.evaluate(SCAN, [HOSTILE, gap_ms])
    expect(page.locator(".scan-said")).to_have_text(f"Nothing on record is called “{HOSTILE}”.")
    until_shown(page, plant, "P-1002")
    assert decided(plant) == []
    expect(page.locator(".why")).to_be_hidden()
    expect(page.locator(".help")).to_be_hidden()
    expect(page.locator(".show-map")).not_to_be_checked()
    expect(page.locator(".draw")).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".factor")).to_have_text("100 %")


@pytest.mark.parametrize("silent", ["CapsLock", "NumLock", "AltGraph", "Dead", "Process", "Unidentified", "Tab", "Escape"])
def test_keys_that_type_nothing_do_not_take_a_burst_apart(page: Page, plant: Plant, silent: str) -> None:
    for burst in (["1", silent, "A", silent, "7"], [silent, "1", silent], ["c", silent, silent, "2"]):
        page.evaluate(SCAN, [burst, 2])
        unread = "\ufffd" if silent in ("Dead", "Process", "Unidentified") else ""  # or the rest could be another part's name
        text = "".join(key if len(key) == 1 else unread for key in burst)
        expect(page.locator(".scan-said")).to_have_text(f"Nothing on record is called “{text}”.")
    for burst in ([silent, "1"], ["1", silent]):  # and without an end
        page.evaluate(BURST, [[key, ""] for key in burst])
    page.evaluate(SCAN, ["none", 3])  # goes to the server behind whatever went before
    expect(page.locator(".scan-said")).to_have_text("Nothing on record is called “none”.")
    until_shown(page, plant, "P-1002")
    assert decided(plant) == []


def test_a_chord_in_a_burst_makes_no_digit_a_decision(page: Page, plant: Plant) -> None:
    page.evaluate(BURST, [["1", "Digit1"], ["]", "BracketRight", {"ctrlKey": True}]])  # as scanners type a group separator
    page.evaluate(BURST, [["Alt", "AltLeft", {"altKey": True}], ["2", "Numpad2"]])
    page.evaluate(SCAN, ["none", 3])
    expect(page.locator(".scan-said")).to_have_text("Nothing on record is called “none”.")
    assert decided(plant) == []


@pytest.mark.parametrize(("key", "code"), [("µ", "KeyM"), ("é", "Digit2"), ("€", "KeyE")])
def test_a_sign_of_another_keyboard_is_no_key_and_is_scanned_as_it_is(page: Page, plant: Plant, key: str, code: str) -> None:
    page.evaluate(BURST, [[key, code]])
    page.evaluate(BURST, [["x", "KeyX"], [key, code], ["Enter", "Enter"]])
    expect(page.locator(".scan-said")).to_have_text(f"Nothing on record is called “x{key}”.")
    assert decided(plant) == []


def test_a_sign_that_cannot_be_told_brings_no_other_part(page: Page, plant: Plant) -> None:
    alt = {"altKey": True}
    for unread in (["Dead", "Quote"], ["ß", "Minus", alt], ["Unidentified", ""]):
        page.evaluate(BURST, [["P", "KeyP"], *([one, ""] for one in "-10"), unread, ["0", ""], ["9", ""]])
        page.evaluate(SCAN, ["", 3])
        expect(page.locator(".scan-said")).to_have_text("Nothing on record is called “P-10\ufffd09”.")
    until_shown(page, plant, "P-1002")


def test_a_sign_typed_with_altgr_is_scanned_as_it_is(page: Page) -> None:
    page.evaluate(
        BURST, [["x", "KeyX"], ["@", "KeyQ", {"ctrlKey": True, "altKey": True, "modifierAltGraph": True}], ["Enter", "Enter"]]
    )
    expect(page.locator(".scan-said")).to_have_text("Nothing on record is called “x@”.")


def test_a_keyboard_that_types_hangul_has_the_same_keys(page: Page, plant: Plant) -> None:
    press = """async (keys) => {
        for (const [key, code] of keys) {
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, code, bubbles: true, composed: true }))
            await new Promise((resolve) => setTimeout(resolve, 2))
        }
    }"""
    page.evaluate(press, [["ㅗ", "KeyH"]])
    expect(page.locator(".show-map")).to_be_checked()
    page.evaluate(
        press, [["ㅔ", "KeyP"], ["Process", "Minus"], *(["Process", f"Digit{digit}"] for digit in "1009"), ["Process", "Enter"]]
    )
    until_shown(page, plant, "P-1009")
    assert decided(plant) == []


def test_the_comparison_ends_when_its_key_comes_up_where_hangul_is_typed(page: Page) -> None:
    tell = """(type) => document.body.dispatchEvent(
        new KeyboardEvent(type, { key: "ㅠ", code: "KeyB", bubbles: true, cancelable: true, composed: true }))"""
    page.wait_for_selector(".stage[data-beside='ready']")
    page.evaluate(tell, "keydown")
    expect(page.locator(".beside-picture")).to_be_visible()
    page.evaluate(tell, "keyup")
    expect(page.locator(".beside-picture")).to_be_hidden()


def test_who_only_looks_has_the_viewers_keys_where_hangul_is_typed(plant: Plant, program: Browser, address: str) -> None:
    """Without the panel, and its guard."""
    vera = browser_of(program, plant.config, address, "Vera")
    with window(vera, address) as page:
        page.goto(f"/part?uid={plant.uids['P-1002']}")
        page.wait_for_selector(f".stage[data-uid='{plant.uids['P-1002']}']")
        expect(page.locator(".show-map")).to_be_checked()
        page.evaluate(BURST, [["ㅗ", "KeyH"]])
        expect(page.locator(".show-map")).not_to_be_checked()
    vera.close()


def test_a_burst_without_an_end_decides_nothing_and_a_late_enter_presses_no_button(page: Page, plant: Plant) -> None:
    page.locator("button.to-good").focus()
    page.evaluate(
        """() => {
            const told = { bubbles: true, cancelable: true, composed: true }
            for (const key of "1234") document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { ...told, key }))
        }"""
    )
    page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 100))")  # longer than a key waits for the next one
    page.keyboard.press("Enter", delay=0)
    page.keyboard.press("h")  # alone, it is a person's
    expect(page.locator(".show-map")).to_be_checked()
    page.keyboard.press("h")
    assert decided(plant) == []


def test_what_is_scanned_comes_next(page: Page, plant: Plant) -> None:
    page.evaluate(SCAN, ["p-1009", 8])  # as some scanners write it
    until_shown(page, plant, "P-1009")
    page.evaluate(SCAN, [plant.uids["P-1007"], 3])
    until_shown(page, plant, "P-1007")
    expect(page.locator(".scan-said")).to_have_text("")
    page.evaluate(SCAN, ["L7", 8])
    until_shown(page, plant, "P-1002")  # of the lot the oldest that waits
    with plant.room.records.unit(read_only=True) as unit:
        assert [one.uid_inspection for one in unit.queue.claims()] == [plant.uids["P-1002"]], "the others went back"


def test_the_field_has_a_key_and_takes_what_is_typed(page: Page, plant: Plant) -> None:
    page.keyboard.press("f")
    expect(page.locator(".scan-text")).to_be_focused()
    page.keyboard.type("P-1011 c1g")
    page.keyboard.press("Enter")
    expect(page.locator(".scan-said")).to_have_text("Nothing on record is called “P-1011 c1g”.")
    page.keyboard.press("f")
    page.keyboard.type("P-1011")
    page.keyboard.press("Enter")
    expect(page.locator(".scan-said")).to_have_text("P-1011 passed and waits for nobody.")
    expect(page.locator(".scan-text")).not_to_be_focused()
    assert decided(plant) == []


def test_the_last_reader_is_told_where_the_part_is(page: Page, plant: Plant, program: Browser, address: str) -> None:
    lee = browser_of(program, plant.config, address, "Lee")
    with window(lee, address) as other:
        other.goto("/review")
        until_shown(other, plant, "=HYPERLINK(1)")
        other.evaluate(SCAN, ["P-1002", 8])
        expect(other.locator(".scan-said")).to_have_text("Kim has P-1002 on the screen.")
        until_shown(other, plant, "=HYPERLINK(1)")
        page.keyboard.press("c")
        until_shown(page, plant, "부품-1004")
        other.evaluate(SCAN, ["P-1002", 8])
        expect(other.locator(".scan-said")).to_have_text("P-1002 is decided already.")
    lee.close()
