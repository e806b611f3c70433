"""Signing in and out as a person does it, in a real browser; and what one may try who only pretends to be a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, expect
from sqlalchemy import text

from browser_world import WAIT_MS
from dashboard_world import Plant, come_in, cookie_header, empty_plant, enter_people, filled_plant, serving
from db_examples import raw
from kizu_dashboard.room import close_rooms, open_room
from kizu_dashboard.settings import DashboardSettings
from kizu_dashboard.signing_in.passwords import hash_password
from kizu_db.permissions import Role
from looks_world import CONTRASTS
from signing_world import PASSWORD, messages_until_finished, pages_socket, tls_before

TEXTS = "h1, header p, label, input:not([type=hidden]), button, .alert, .help p, code"
ENDED = "Your sign-in has ended"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Kim has the password."""
    with filled_plant(tmp_path_factory.mktemp("plant"), start=datetime.now(UTC) - timedelta(minutes=30)) as plant:
        enter_people(plant.room.records)
        with plant.room.records.unit() as unit:
            unit.users.set_password("Kim", hash_password(PASSWORD), by="Ana")
        yield plant


@pytest.fixture
def browser(program: Browser, address: str) -> Iterator[BrowserContext]:
    """As it is when a person first sits down at it."""
    context = program.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


def part_path(plant: Plant, part: str) -> str:
    return f"/part?uid={plant.uids[part]}"


def shown(page: Page, plant: Plant, part: str) -> None:
    page.wait_for_selector(f".stage[data-uid='{plant.uids[part]}']")


def press_confirm(page: Page, plant: Plant, part: str, says: str) -> None:
    """As soon as the panel may be answered for this part."""
    page.wait_for_selector(f".answers[data-awake='{plant.uids[part]}']")
    page.get_by_role("button", name=f"Confirm: {says}").click()


def signed_out(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_with_the_keyboard_alone_from_the_address_to_the_part_and_out_again(browser: BrowserContext, plant: Plant) -> None:
    page = browser.new_page()
    page.goto(part_path(plant, "P-1002"))
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("kim")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type("mistyped")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(re.compile("Name and password do not fit each other"))
    expect(page.get_by_label("Name")).to_have_value("kim")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    shown(page, plant, "P-1002")
    assert page.url.endswith(part_path(plant, "P-1002"))
    expect(page.locator(".kz-who")).to_have_text(re.compile(r"Kim inspector\s*한국어\s*Sign out"))
    expect(page.get_by_test_id("stMainMenu")).to_be_hidden()
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    signed_out(page)
    page.goto("/reports")
    signed_out(page)
    page.go_back()
    page.reload()
    signed_out(page)


def test_a_page_left_open_says_that_its_sign_in_ended_and_leads_back(
    browser: BrowserContext, plant: Plant, address: str
) -> None:
    come_in(browser, plant.config, address, "Kim")
    left, page = browser.new_page(), browser.new_page()
    left.goto(part_path(plant, "P-1005"))
    shown(left, plant, "P-1005")
    left.wait_for_selector(f".answers[data-awake='{plant.uids['P-1005']}']")
    page.goto("/")
    page.get_by_role("button", name="Sign out").click()
    signed_out(page)
    press_confirm(left, plant, "P-1005", "defective, missing hole")
    expect(left.get_by_text(ENDED)).to_be_visible()
    expect(left.locator(".stage")).to_have_count(0)
    assert plant.record("P-1005").reviews == ()
    left.get_by_role("link", name="Sign in").click()
    signed_out(left)
    left.get_by_label("Name").fill("Kim")
    left.get_by_label("Password").fill(PASSWORD)
    left.get_by_role("button", name="Sign in").click()
    shown(left, plant, "P-1005")


def test_the_next_person_at_the_browser_decides_under_the_own_name(browser: BrowserContext, plant: Plant, address: str) -> None:
    """A tab of the one before is still there, with a form that was filled in."""
    come_in(browser, plant.config, address, "Lee")
    page = browser.new_page()
    page.goto(part_path(plant, "P-1008"))
    shown(page, plant, "P-1008")
    come_in(browser, plant.config, address, "Kim")
    page.reload()
    expect(page.locator(".kz-who")).to_contain_text("Kim")
    press_confirm(page, plant, "P-1008", "defective, scratch")
    expect(page.locator(".told")).to_have_text("P-1008: recorded as defective: scratch")
    assert [review.reviewer for review in plant.record("P-1008").reviews] == ["Kim"]


def test_who_is_let_out_at_work_sees_it_at_the_next_step(browser: BrowserContext, plant: Plant, address: str) -> None:
    come_in(browser, plant.config, address, "Eun")
    page = browser.new_page()
    page.goto("/")
    expect(page.locator("tbody tr")).to_have_count(12)
    with plant.room.records.unit() as unit:
        unit.users.change("Eun", by="Ana", active=False)
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_text(ENDED)).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(0)
    page.reload()
    signed_out(page)


def last_seen(plant: Plant) -> set[datetime]:
    with raw(plant.config.database) as connection:
        return set(connection.scalars(text("SELECT last_seen_at FROM user_session")))


def test_live_ends_with_the_session_and_keeps_only_a_viewers(browser: BrowserContext, plant: Plant, address: str) -> None:
    page = browser.new_page()
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))
    for name in ("Kim", "Vera"):
        with raw(plant.config.database) as connection:
            connection.execute(text("DELETE FROM user_session"))
        come_in(browser, plant.config, address, name)
        page.goto("/live")
        expect(page.locator(".kz-who")).to_contain_text(name)
        expect(page.get_by_text("press-3").first).to_be_visible()
        with raw(plant.config.database) as connection:
            connection.execute(text("UPDATE user_session SET last_seen_at = datetime(last_seen_at, '-10 minutes')"))
        before = last_seen(plant)
        with sockets[-1].expect_event("framesent"):
            pass  # the page draws itself anew
        if name == "Kim":
            with sockets[-1].expect_event("framesent"):
                pass  # once more: what the first would have noted is noted
            assert last_seen(plant) == before
        else:
            for _ in range(600):
                if last_seen(plant) != before:
                    break
                page.wait_for_timeout(50)
            assert last_seen(plant) != before
    with raw(plant.config.database) as connection:
        connection.execute(text("DELETE FROM user_session"))
    expect(page.get_by_text(ENDED)).to_be_visible()
    expect(page.get_by_text("press-3")).to_have_count(0)


def test_a_viewer_looks_and_decides_nothing(browser: BrowserContext, plant: Plant, address: str) -> None:
    come_in(browser, plant.config, address, "Vera")
    page = browser.new_page()
    page.goto(part_path(plant, "P-1002"))
    shown(page, plant, "P-1002")
    expect(page.locator(".kz-who")).to_contain_text("Vera viewer")
    expect(page.get_by_text("Why REJECT")).to_be_visible()
    expect(page.locator(".answers")).to_have_count(0)
    page.goto("/review")
    expect(page.get_by_text("Reviews need the role inspector; you are viewer.")).to_be_visible()
    page.goto("/reports")
    expect(page.get_by_text("Reports are made by people with the role inspector or one above.")).to_be_visible()
    expect(page.get_by_role("button", name="Make CSV")).to_have_count(0)


def sent_by(socket: WebSocket) -> list[bytes]:
    """All messages that the page sends from now on."""
    frames: list[bytes] = []
    socket.on("framesent", lambda payload: frames.append(payload if isinstance(payload, bytes) else payload.encode()))
    return frames


NONCE = re.compile(rb"nonce[^\w]{1,8}([\w-]{22})\W")


def by_hand(address: str, cookie: str, frames: list[bytes], *, before_answer: Callable[[], None] = lambda: None) -> None:
    """Sends what a browser sent, as a program with this cookie does: its answer with the nonce that this program was told."""
    told = b""
    with pages_socket(address, cookie=cookie, origin=address) as socket:
        for frame in frames:
            answer, nonce = NONCE.search(frame), NONCE.search(told)
            if answer is not None:
                before_answer()
                frame = frame if nonce is None else frame.replace(answer[1], nonce[1])
            told += messages_until_finished(socket, frame)


def test_a_hand_made_answer_is_stored_only_for_who_may_decide(browser: BrowserContext, plant: Plant, address: str) -> None:
    """The messages of a decision, recorded and sent again by a program: as a viewer, and by who is one since a moment ago."""

    def set_role(name: str, role: Role) -> None:
        with plant.room.records.unit() as unit:
            unit.users.change(name, by="Ana", role=role)

    come_in(browser, plant.config, address, "Kim")
    page = browser.new_page()
    recorded: list[list[bytes]] = []
    page.on("websocket", lambda socket: recorded.append(sent_by(socket)))
    page.goto(part_path(plant, "P-1002"))
    shown(page, plant, "P-1002")
    page.wait_for_selector(f".answers[data-awake='{plant.uids['P-1002']}']")
    set_role("Kim", Role.VIEWER)
    press_confirm(page, plant, "P-1002", "defective, scratch")
    expect(page.locator(".kz-who")).to_contain_text("Kim viewer")
    page.close()
    set_role("Kim", Role.INSPECTOR)
    (frames,) = recorded
    assert any(NONCE.search(frame) for frame in frames), frames
    assert plant.record("P-1002").reviews == ()
    by_hand(address, cookie_header(plant.config, plant.session("Vera")), frames)
    lees = cookie_header(plant.config, plant.session("Lee"))
    by_hand(address, lees, frames, before_answer=lambda: set_role("Lee", Role.VIEWER))
    assert plant.record("P-1002").reviews == ()
    set_role("Lee", Role.INSPECTOR)
    by_hand(address, lees, frames)
    (review,) = plant.record("P-1002").reviews
    assert review.reviewer == "Lee", "the same messages are a decision where somebody may decide, under that person's name"


def test_the_link_of_the_first_day_leads_into_the_dashboard(program: Browser, tmp_path: Path) -> None:
    config = empty_plant(tmp_path)
    try:
        with serving(config, link_for="operator") as it:
            page = program.new_page(base_url=it.address)
            page.goto("/")
            expect(page.get_by_text("The terminal that started the dashboard shows a link.")).to_be_visible()
            page.goto(it.link)
            expect(page.locator(".kz-who")).to_contain_text("operator admin")
            assert "once" not in page.url
            page.reload()
            expect(page.get_by_text("No inspections yet")).to_be_visible()
            page.goto(it.link)
            expect(page.get_by_text("This link has ended")).to_be_visible()
            with open_room(config.model_dump_json()).records.unit(read_only=True) as unit:
                assert [(user.name, user.role) for user in unit.users.list()] == [("operator", Role.ADMIN)]
            page.close()
    finally:
        close_rooms()


def test_behind_a_proxy_that_ends_tls_people_come_in_by_its_name(program: Browser, tmp_path: Path) -> None:
    config = empty_plant(tmp_path)
    settings = DashboardSettings(port=0, https=True, names=("kizu.localhost",))
    config = config.model_copy(update={"dashboard": settings})
    records = open_room(config.model_dump_json()).records
    enter_people(records)
    with records.unit() as unit:
        unit.users.set_password("Kim", hash_password(PASSWORD), by="Ana")
    try:
        with serving(config, link_for="Ana") as it, tls_before(it.address, tmp_path) as port:
            outside = f"https://kizu.localhost:{port}"
            context = program.new_context(base_url=outside, ignore_https_errors=True)
            page = context.new_page()
            page.goto(it.link.replace(it.address, outside))  # from outside the machine, for all that the link can tell
            expect(page.get_by_text("This link has ended")).to_be_visible()
            page.goto("/reports")
            page.get_by_label("Name").fill("Kim")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator(".kz-who")).to_contain_text("Kim inspector")
            expect(page.get_by_text("No flagged parts in this period")).to_be_visible()
            (cookie,) = (one for one in context.cookies() if "kizu" in one["name"])  # type: ignore[typeddict-item]
            assert (cookie["name"], cookie["secure"], cookie["httpOnly"], cookie["path"]) == (  # type: ignore[typeddict-item]
                "__Host-kizu-session", True, True, "/",
            )  # fmt: skip
            page.get_by_role("button", name="Sign out").click()
            signed_out(page)
            # On the machine itself the link still works: browsers take a machine's own address for safe.
            page.goto(it.link)
            expect(page.locator(".kz-who")).to_contain_text("Ana admin")
            context.close()
    finally:
        close_rooms()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_by_day_and_by_night(program: Browser, address: str, scheme: str) -> None:
    """Every text at least 4.5 : 1 against what it stands on."""
    page = program.new_page(base_url=address, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto("/signin")
    page.get_by_label("Name").fill("Kim")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    contrasts = page.locator(TEXTS).evaluate_all(CONTRASTS)
    assert len(contrasts) >= 9
    assert [(tag, contrast) for tag, contrast in contrasts if contrast < 4.5] == []
    assert (page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 24, 31)") == (scheme == "dark")
    page.close()
