"""Reviewing by keys in a real browser: one decision for a part that was shown, under the name of who is signed in."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from browser_world import browser_of, chromium, window
from dashboard_world import Plant
from kizu_dashboard.wording import BLIND_SENTENCE
from kizu_db.values import Review

AWAKE = ".answers:not([data-awake=''])"


@pytest.fixture(scope="module")
def address(works_address: str) -> str:
    return works_address


@pytest.fixture(scope="module")
def browser(program: Browser, works: Plant, address: str) -> BrowserContext:
    """Kim's, at the size of a panel PC."""
    return browser_of(program, works.config, address, "Kim", width=1280, height=800)


@pytest.fixture
def plant(station: Plant) -> Plant:
    return station


@pytest.fixture
def review(station: Plant) -> str:
    """Where this station's parts are reviewed."""
    return f"/review?station={station.station}"


@pytest.fixture
def page(browser: BrowserContext, address: str, review: str) -> Iterator[Page]:
    """Kim's window on the Review page; the keys are those of the start."""
    with window(browser, address) as page:
        page.goto(review)
        yield page
        page.evaluate("localStorage.clear()")


def until_shown(page: Page, plant: Plant, part: str) -> None:
    """The part is on the screen and may be answered."""
    page.wait_for_selector(f".answers[data-awake='{plant.uids[part]}']")


def reviews(plant: Plant) -> dict[str, list[Review]]:
    """Those that there are, by part."""
    found = {part: list(plant.record(part).reviews) for part in plant.uids}
    return {part: of_it for part, of_it in found.items() if of_it}


def until_reviewed(page: Page, plant: Plant, part: str, count: int = 1) -> list[Review]:
    """The part's reviews, when there are so many."""
    for _ in range(600):
        if len(found := plant.record(part).reviews) >= count:
            return list(found)
        page.wait_for_timeout(50)
    raise AssertionError(reviews(plant))


def test_a_confirmation_is_one_key_and_the_next_photo_comes_first(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    assert page.locator(".answers").bounding_box()["y"] < 700  # type: ignore[index]
    expect(page.locator(".show-map")).not_to_be_checked()
    page.keyboard.press("h")
    expect(page.locator(".show-map")).to_be_checked()
    page.keyboard.press("c")
    until_shown(page, plant, "=HYPERLINK(1)")
    expect(page.locator(".show-map")).not_to_be_checked()
    (review,) = plant.record("P-1002").reviews
    assert (review.reviewer, review.disposition, review.defect_class, review.decision) == (
        "Kim", "defective", "scratch", "accept",
    )  # fmt: skip
    assert review.shown_ms is not None
    assert review.shown_ms >= 250
    expect(page.locator(".told")).to_have_text("P-1002: recorded as defective: scratch")
    assert page.evaluate("window.scrollY") == 0


def test_a_key_that_is_held_or_pressed_fast_decides_once_a_shown_part(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    shown = page.evaluate("""() => {
        window.seen = []
        document.addEventListener("kizu-picture", (event) => window.seen.push(event.detail))
        return document.documentElement.dataset.kizuPicture
    }""")
    for _ in range(30):  # a key held for a second repeats itself so
        page.keyboard.down("c")
    page.keyboard.up("c")
    until_shown(page, plant, "=HYPERLINK(1)")
    assert set(reviews(plant)) == {"P-1002"}
    for _ in range(25):
        page.keyboard.press("1", delay=0)
        page.wait_for_timeout(20)
    page.wait_for_timeout(500)
    seen = {shown, *page.evaluate("window.seen")}
    decided = reviews(plant)
    assert {plant.uids[part] for part in decided} < seen
    assert {len(of_it) for of_it in decided.values()} == {1}


def test_keys_sleep_while_somebody_types_and_the_comment_is_whole(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    page.keyboard.press("m")
    page.keyboard.type("c g 1 hr s z <script>alert(1)</script> =1+1 가")
    assert reviews(plant) == {}
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    (review,) = until_reviewed(page, plant, "P-1002")
    assert review.reason == "c g 1 hr s z <script>alert(1)</script> =1+1 가"
    until_shown(page, plant, "=HYPERLINK(1)")
    expect(page.locator(".comment")).to_have_value("")


def test_a_comment_that_is_too_long_is_said_and_nothing_of_it_lost(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    page.locator(".comment").fill("x" * 10_001)
    expect(page.locator(".too-long")).to_contain_text("10,001 characters: shorten it to 10,000")
    page.get_by_role("button", name="Confirm: defective, scratch").click()
    expect(page.locator(".comment")).to_have_value("x" * 10_001)
    page.locator(".comment").fill("y" * 9_999)
    page.get_by_role("button", name="Confirm: defective, scratch").dblclick()
    (review,) = until_reviewed(page, plant, "P-1002")
    assert review.reason == "y" * 9_999


def test_a_usual_reason_takes_the_comment_with_it(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    page.locator(".comment").fill("see photo 3")
    page.locator(".comment").blur()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("g")
    (review,) = until_reviewed(page, plant, "P-1002")
    assert (review.disposition, review.reason) == ("good", "see photo 3")
    until_shown(page, plant, "=HYPERLINK(1)")
    page.keyboard.press("g")
    page.locator(".comment").fill("at the edge")
    page.get_by_role("button", name="dust or fibre").click()
    (review,) = until_reviewed(page, plant, "=HYPERLINK(1)")
    assert review.reason == "dust or fibre\nat the edge"


def test_what_was_typed_outlives_a_reload_and_a_step_back(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    page.keyboard.press("c")
    until_shown(page, plant, "=HYPERLINK(1)")
    page.locator(".comment").fill("half a thought")
    page.reload()
    until_shown(page, plant, "=HYPERLINK(1)")
    expect(page.locator(".comment")).to_have_value("half a thought")
    page.keyboard.press("c")
    (review,) = until_reviewed(page, plant, "=HYPERLINK(1)")
    assert review.reason == "half a thought"
    until_shown(page, plant, "부품-1004")
    page.locator(".comment").fill("and another")
    page.get_by_role("button", name="Undo").click()
    until_shown(page, plant, "=HYPERLINK(1)")
    expect(page.locator(".comment")).to_have_value("")
    page.keyboard.press("1")
    until_shown(page, plant, "부품-1004")
    expect(page.locator(".comment")).to_have_value("and another")


def test_no_ones_message_empties_the_desks_of_others(page: Page, plant: Plant, program: Browser, address: str) -> None:
    """A hand-made message that clears Streamlit's caches, from a viewer's own page."""
    until_shown(page, plant, "P-1002")
    page.locator(".comment").fill("mine")
    vera = browser_of(program, plant.config, address, "Vera")
    with window(vera, address) as other:
        other.add_init_script(
            """const open = window.WebSocket
            window.WebSocket = class extends open {
                constructor(...given) { super(...given); window.socket = this }
            }"""
        )
        other.goto("/live")
        other.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        other.evaluate("data => window.socket.send(new Uint8Array(data))", list(BackMsg(clear_cache=True).SerializeToString()))
        other.reload()
        other.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    vera.close()
    with plant.room.records.unit(read_only=True) as unit:
        assert plant.uids["P-1002"] in {claim.uid_inspection for claim in unit.queue.claims()}
    page.get_by_role("button", name="Confirm").click()
    (review,) = until_reviewed(page, plant, "P-1002")
    assert review.reason == "mine"


def test_a_connection_that_is_lost_costs_neither_part_nor_words(page: Page, plant: Plant, review: str) -> None:
    """Cut as a sleeping laptop or a pulled plug does: the page finds its way back by itself, and says what did not arrive."""
    page.add_init_script(
        """const open = window.WebSocket
        window.WebSocket = class extends open {
            constructor(...given) { super(...given); window.socket = this }
        }"""
    )
    page.goto(review)
    until_shown(page, plant, "P-1002")
    page.keyboard.press("s")
    until_shown(page, plant, "=HYPERLINK(1)")
    page.locator(".comment").fill("seen twice")
    page.evaluate("document.activeElement.blur()")
    page.evaluate("window.before = window.socket; window.socket.send = () => {}")  # what is sent from now on is lost
    page.keyboard.press("c")
    page.evaluate("window.socket.close()")
    page.wait_for_function("window.socket !== window.before && window.socket.readyState === 1")
    expect(page.locator(".refused")).to_contain_text("your answer may not be stored. Answer again; it counts once.")
    until_shown(page, plant, "=HYPERLINK(1)")
    expect(page.locator(".comment")).to_have_value("seen twice")
    assert reviews(plant) == {}
    page.keyboard.press("c")
    (stored,) = until_reviewed(page, plant, "=HYPERLINK(1)")
    assert stored.reason == "seen twice"


def test_who_contradicts_the_verdict_is_asked_why(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    page.keyboard.press("g")
    expect(page.locator(".why")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".why")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("2")
    (review,) = until_reviewed(page, plant, "P-1002")
    assert (review.disposition, review.decision, review.reason) == ("good", "override", "reflection or light")


def test_undo_and_a_treatment(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    page.keyboard.press("c")
    until_shown(page, plant, "=HYPERLINK(1)")
    page.keyboard.press("z")
    until_shown(page, plant, "P-1002")
    expect(page.locator(".standing")).to_have_text("Decided: defective: scratch by Kim. A correction is kept beside it.")
    page.locator(".treatment").select_option("rework")
    page.get_by_role("button", name="dent").click()
    _, second = until_reviewed(page, plant, "P-1002", 2)
    assert (second.defect_class, second.treatment) == ("dent", "rework")
    until_shown(page, plant, "=HYPERLINK(1)")


def test_what_one_cannot_tell_another_is_offered_with_who_said_so(
    page: Page, plant: Plant, program: Browser, address: str, review: str
) -> None:
    until_shown(page, plant, "P-1002")
    page.locator(".comment").fill("too dark")
    page.get_by_role("button", name="Cannot tell").click()
    until_shown(page, plant, "=HYPERLINK(1)")
    lee = browser_of(program, plant.config, address, "Lee")
    with window(lee, address) as other:
        other.goto(review)
        until_shown(other, plant, "P-1002")
        expect(other.locator(".escalated")).to_have_text("Kim could not tell: too dark")
    lee.close()
    assert reviews(plant) == {}


def test_two_windows_of_one_person_and_another_person_get_each_another_part(
    page: Page, plant: Plant, program: Browser, address: str, review: str
) -> None:
    lee = browser_of(program, plant.config, address, "Lee")
    with window(page.context, address) as second, window(lee, address) as third:
        until_shown(page, plant, "P-1002")
        second.goto(review)
        until_shown(second, plant, "=HYPERLINK(1)")
        third.goto(review)
        until_shown(third, plant, "부품-1004")
        for one in (page, second):
            one.keyboard.press("c")
        third.keyboard.press("3")
        until_reviewed(page, plant, "부품-1004")
        until_reviewed(page, plant, "P-1002")
        until_reviewed(page, plant, "=HYPERLINK(1)")
    lee.close()
    assert {part: of_it[0].reviewer for part, of_it in reviews(plant).items()} == {
        "P-1002": "Kim", "=HYPERLINK(1)": "Kim", "부품-1004": "Lee",
    }  # fmt: skip


def test_the_audit_sample_shows_nothing_of_what_the_system_thinks(page: Page, plant: Plant) -> None:
    for part in plant.uids:
        if part != "P-1006" and plant.record(part).row.verdict.value != "PASS":
            plant.review(part)
    page.reload()
    until_shown(page, plant, "P-1006")
    expect(page.locator(".viewer .notice")).to_have_text(BLIND_SENTENCE)
    expect(page.get_by_role("button", name="Confirm")).to_have_count(0)
    expect(page.locator(".suspected")).to_have_count(0)
    page.wait_for_selector(".stage[data-beside='ready']")
    page.locator(".show-beside").check()
    expect(page.locator(".beside-words")).to_contain_text("Last good part P-1011")
    words = page.locator("body").inner_text()
    for told in ("PASS", "score", "Grad-CAM", "Confirm", "%  "):
        assert told not in words
    page.keyboard.press("1")
    (review,) = until_reviewed(page, plant, "P-1006")
    assert (review.disposition, review.decision) == ("defective", "override")
    expect(page.get_by_text("No part waits for your decision")).to_be_visible()


def test_a_sign_in_that_ended_stores_nothing(plant: Plant, program: Browser, address: str, review: str) -> None:
    eun = browser_of(program, plant.config, address, "Eun")
    with window(eun, address) as page:
        page.goto(review)
        until_shown(page, plant, "P-1002")
        with plant.room.records.unit() as unit:
            unit.users.change("Eun", active=False, by="Ana")
        page.keyboard.press("c")
        expect(page.get_by_text("Your sign-in has ended")).to_be_visible()
    eun.close()
    with plant.room.records.unit() as unit:
        unit.users.change("Eun", active=True, by="Ana")
    assert reviews(plant) == {}


def test_a_database_that_is_locked_costs_a_sentence_and_nothing_typed(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    page.locator(".comment").fill("scratched at the edge")
    assert plant.room.records.file is not None
    locked = sqlite3.connect(plant.room.records.file, isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    try:
        page.get_by_role("button", name="Confirm").click()
        expect(page.locator(".refused")).to_have_text(
            "Not stored: The records cannot be reached at the moment. Nothing of this step was stored; try again."
        )
        words = page.locator("body").inner_text()
        assert str(plant.room.records.file) not in words
        expect(page.locator(".comment")).to_have_value("scratched at the edge")
    finally:
        locked.execute("ROLLBACK")
        locked.close()
    until_shown(page, plant, "P-1002")
    page.get_by_role("button", name="Confirm").click()
    (review,) = until_reviewed(page, plant, "P-1002")
    assert review.reason == "scratched at the edge"


def test_a_page_without_records_says_so_and_comes_back_by_itself(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    file = plant.room.records.file
    assert file is not None
    aside = file.with_suffix(".aside")
    file.rename(aside)
    page.goto("/")
    expect(page.get_by_text("The records cannot be had now.")).to_be_visible()
    assert str(file.parent) not in page.locator("body").inner_text()
    aside.rename(file)
    expect(page.locator("tbody tr").first).to_be_visible()


def test_keys_can_be_changed_and_stay(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    page.keyboard.press("?")
    page.locator("dialog [data-action=confirm]").click()
    page.keyboard.press("h")  # the viewer's: refused
    page.keyboard.press("g")  # another action's
    page.keyboard.press("5")  # a defect's
    expect(page.locator("dialog [data-action=confirm]")).to_have_text("Press a key…")
    page.keyboard.press("j")
    expect(page.locator("dialog tr", has_text="Confirm the verdict").locator("kbd")).to_have_text("J")
    page.get_by_role("button", name="Close").click()
    page.reload()
    until_shown(page, plant, "P-1002")
    page.keyboard.press("c")
    page.keyboard.press("j")
    until_shown(page, plant, "=HYPERLINK(1)")
    assert len(reviews(plant)) == 1


def test_a_key_that_a_person_chose_goes_before_an_action_that_came_later(page: Page, plant: Plant) -> None:
    """Kept by a browser from before the field for a scanner had its key, and by one that was written by hand."""
    page.evaluate(
        "localStorage.setItem('kizu-keys', JSON.stringify({ confirm: 'f', good: 'h', unsure: 'f', skip: '', undo: null }))"
    )
    page.reload()
    until_shown(page, plant, "P-1002")
    page.keyboard.press("?")
    keys = page.locator("dialog tr:has(button) kbd").all_inner_texts()
    assert keys[0] == "F"
    assert len(set(keys)) == len(keys) == 9, "each action has a key of its own"
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("f")
    until_shown(page, plant, "=HYPERLINK(1)")
    assert len(reviews(plant)) == 1


def test_the_choice_is_in_the_address_and_survives_a_reload(page: Page, plant: Plant) -> None:
    until_shown(page, plant, "P-1002")
    page.get_by_role("combobox", name="Suspected").click()
    page.get_by_role("option", name="stain").click()
    until_shown(page, plant, "부품-1004")
    page.reload()
    until_shown(page, plant, "부품-1004")
    page.keyboard.press("3")
    until_shown(page, plant, "P-1009")


def test_a_decision_on_the_part_page_stays_there(page: Page, plant: Plant) -> None:
    uid = plant.uids["P-1005"]
    page.goto(f"/part?uid={uid}")
    until_shown(page, plant, "P-1005")
    page.keyboard.press("c")
    expect(page.locator(".standing")).to_contain_text("by Kim")
    until_shown(page, plant, "P-1005")
    page.keyboard.press("2")
    first, second = until_reviewed(page, plant, "P-1005", 2)
    assert (second.supersedes, second.defect_class) == (first.id, "dent")


def test_four_people_at_four_browsers_decide_each_part_once(plant: Plant, address: str, review: str) -> None:
    """Each in a thread of their own, as the browser's driver asks; a longer one stands with the acceptance checks."""
    failed: list[BaseException] = []

    def work(name: str) -> None:
        try:
            with chromium() as program:
                browser = browser_of(program, plant.config, address, name)
                with window(browser, address) as page:
                    page.goto(review)
                    last = ""
                    while True:
                        page.wait_for_selector(f"{AWAKE}:not([data-awake='{last}']), .kz-empty")
                        if page.locator(".kz-empty").count():
                            return
                        now = page.locator(".answers").get_attribute("data-awake")
                        if not now or now == last:  # drawn anew in between
                            continue
                        last = now
                        page.locator(".comment").fill(f"{name} saw {last}")
                        page.keyboard.press("Escape")
                        page.keyboard.press("1")
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("Kim", "Lee", "Eun", "Ana")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    decided = reviews(plant)
    assert len(decided) == 10
    for part, of_it in decided.items():
        assert [review.reason for review in of_it] == [f"{of_it[0].reviewer} saw {plant.uids[part]}"]
