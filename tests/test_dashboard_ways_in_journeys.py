"""PIN, badge and company account as people use them, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser_world import WAIT_MS, window
from dashboard_world import Plant, come_in, empty_plant, enter_people, filled_plant, served
from kizu_dashboard.oidc_settings import OidcSettings
from kizu_dashboard.people import new_badge
from kizu_dashboard.room import close_rooms, open_room
from kizu_dashboard.settings import DashboardSettings
from kizu_dashboard.signing_in.passwords import hash_pin
from looks_world import CONTRASTS
from oidc_world import CLIENT, SECRET, free_port, real_service

WHY = "Why, for the audit trail"
PIN, KIMS, LEES = "492817", "0412 77A9", "0412 88B1"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Kim and Lee have badges, Kim the PIN too."""
    with filled_plant(tmp_path_factory.mktemp("plant")) as plant:
        enter_people(plant.room.records)
        with plant.room.records.unit() as unit:
            unit.credentials.set_pin("Kim", hash_pin(PIN), by="Ana", reason="new")
        for name, code in (("Kim", KIMS), ("Lee", LEES)):
            new_badge(plant.room.records, name, code, by="Ana", reason="new")
        yield plant


@pytest.fixture
def browser(program: Browser, address: str) -> Iterator[BrowserContext]:
    """As it is when it is first put up in the hall."""
    context = program.new_context(base_url=address, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


def scan(page: Page, code: str) -> None:
    """As a scanner does: it types, and ends with Enter."""
    expect(page.get_by_label("Scan your badge")).to_be_focused()
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def who(page: Page, said: str) -> None:
    expect(page.locator(".kz-who")).to_contain_text(said)


def test_a_browser_becomes_a_terminal_where_people_change_by_a_scan(
    browser: BrowserContext, plant: Plant, address: str
) -> None:
    come_in(browser, plant.config, address, "Ana")
    with window(browser, address) as page:
        page.goto("/admin?section=Terminals")
        expect(page.get_by_text("No terminal is known")).to_be_visible()
        page.get_by_label("Where it stands").fill("Hall 2")
        page.get_by_label(WHY).first.fill("one screen for the shift")
        page.get_by_role("button", name="Make it a known terminal").click()
        expect(page.get_by_text("This browser is the terminal Hall 2.")).to_be_visible()
        expect(page.locator(".st-key-card-terminals tr", has_text="Hall 2")).to_contain_text("this browser")
        page.get_by_role("button", name="Sign out").click()
        scan(page, "not a badge")
        expect(page.get_by_role("alert")).to_have_text("Nobody comes in by this badge. An admin can give it to a person.")
        scan(page, KIMS)
        who(page, "Kim inspector")
        expect(page.get_by_role("link", name="Review")).to_be_visible()
        page.get_by_role("button", name="Change person").focus()
        page.keyboard.press("Enter")
        scan(page, LEES)
        who(page, "Lee inspector")
        page.get_by_role("button", name="Change person").click()
        pin = page.locator("form", has=page.get_by_label("PIN", exact=True))
        pin.get_by_label("Name").fill("kim")
        pin.get_by_label("PIN", exact=True).fill("000001")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("Name and PIN do not fit each other")
        expect(page.get_by_label("PIN", exact=True)).to_be_focused()
        page.keyboard.type(PIN)
        page.keyboard.press("Enter")
        who(page, "Kim inspector")
        scanned_there = page.locator("body").inner_html()
        assert KIMS not in scanned_there
    with plant.room.records.unit() as unit:
        unit.terminals.withdraw("Hall 2", by="Ana", reason="moved")
    with window(browser, address) as page:
        page.goto("/signin")
        expect(page.get_by_label("Password")).to_be_visible()
        expect(page.get_by_label("Scan your badge")).to_have_count(0)


def test_who_came_in_by_badge_does_nothing_that_only_an_admin_may(browser: BrowserContext, plant: Plant, address: str) -> None:
    """A page of the admin, left open as such, in whose browser the admin came in by badge meanwhile."""
    new_badge(plant.room.records, "Ana", "0412 99C3", by="Ana", reason="new")
    come_in(browser, plant.config, address, "Ana")
    left = browser.new_page()
    left.goto("/admin?section=People")
    left.get_by_role("combobox", name="Person").click()
    left.get_by_role("option", name="Vera").click()
    expect(left.get_by_role("button", name="Let out")).to_be_visible()
    with window(browser, address) as page:
        page.goto("/admin?section=Terminals")
        page.get_by_label("Where it stands").fill("Gate")
        page.get_by_label(WHY).first.fill("why")
        page.get_by_role("button", name="Make it a known terminal").click()
        page.get_by_role("button", name="Sign out").click()
        scan(page, "0412 99C3")
        who(page, "Ana inspector")
        expect(page.get_by_role("link", name="Admin")).to_have_count(0)
        page.goto("/admin?section=People")
        expect(page.get_by_text("It needs the role engineer or one above; you are inspector.")).to_be_visible()
    left.get_by_label(WHY).first.fill("why")
    left.get_by_role("button", name="Let out").click()
    expect(left.get_by_text("Your sign-in has ended")).to_be_visible()
    with plant.room.records.unit(read_only=True) as unit:
        assert all(user.active for user in unit.users.list())


def test_pin_and_badge_are_given_and_withdrawn_on_the_page_of_people(
    browser: BrowserContext, plant: Plant, address: str
) -> None:
    come_in(browser, plant.config, address, "Ana")
    with window(browser, address) as page:
        page.goto("/admin?section=People")
        page.get_by_role("combobox", name="Person").click()
        page.get_by_role("option", name="Mina").click()
        row = page.locator(".st-key-card-people tr", has_text="Mina")
        card = page.locator(".st-key-card-person")
        forms = card.get_by_test_id("stForm")
        pin, badge = (
            forms.filter(has=page.get_by_label("The same PIN again")),
            forms.filter(has=page.get_by_label("Badge, scanned")),
        )
        pin.get_by_label("PIN, 4 to 8 digits").fill("735264")
        pin.get_by_label("The same PIN again").fill("735264")
        pin.get_by_label(WHY).fill("new at the line")
        pin.get_by_role("button", name="Set this PIN").click()
        expect(page.get_by_text("Mina has a PIN, for the known terminals")).to_be_visible()
        badge.get_by_label("Badge, scanned").focus()
        page.keyboard.type("0412 55D7")
        page.keyboard.press("Enter")
        badge.get_by_label(WHY).fill("card 55")
        badge.get_by_role("button", name="Give this badge").click()
        expect(page.get_by_text("Mina has this badge, for the known terminals")).to_be_visible()
        expect(row).to_contain_text("PIN, badge")
        expect(badge.get_by_label("Badge, scanned")).to_have_value("")
        badge.get_by_label(WHY).fill("lost")
        badge.get_by_role("button", name="Withdraw the badge").click()
        expect(page.get_by_text("Mina has no badge any more")).to_be_visible()
        expect(row).not_to_contain_text("badge")
    with plant.room.records.unit(read_only=True) as unit:
        told = [(event.action, event.after, event.reason) for event in unit.trail.of("user", "Mina")[-3:]]
    assert told == [
        ("user.pin", {"pin": True}, "new at the line"),
        ("user.badge", {"badge": True}, "card 55"),
        ("user.badge", {"badge": False}, "lost"),
    ]


def test_an_account_of_the_companys_service_leads_to_the_page_that_was_asked_for(
    program: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, port = tmp_path_factory.mktemp("oidc"), free_port()
    address = f"http://127.0.0.1:{port}"
    people = {"kim-7": {"preferred_username": "KIM"}, "stranger-7": {"preferred_username": "Stranger"}}
    with real_service(people) as issuer:
        secret = folder / "secret"
        secret.write_text(SECRET, encoding="utf-8")
        oidc = OidcSettings(
            issuer=issuer, client_id=CLIENT, client_secret_file=secret, address=address, label="the plant's accounts"
        )  # fmt: skip
        config = empty_plant(folder).model_copy(update={"dashboard": DashboardSettings(port=port, oidc=oidc)})
        enter_people(open_room(config.model_dump_json()).records)
        try:
            with served(config) as answers:
                assert answers == address
                context = program.new_context(base_url=address)
                context.set_default_timeout(WAIT_MS)
                page = context.new_page()
                page.goto("/reports")
                page.get_by_role("link", name="Sign in with the plant's accounts").click()
                page.get_by_role("button", name="stranger-7").click()
                expect(page.get_by_text("The account was not let in")).to_be_visible()
                page.get_by_role("link", name="Sign in").click()
                page.get_by_role("link", name="Sign in with the plant's accounts").click()
                page.get_by_role("button", name="kim-7").click()
                who(page, "Kim inspector")
                page.get_by_role("button", name="Sign out").click()
                expect(page.get_by_label("Password")).to_be_visible()
                page.go_back()
                page.reload()
                expect(page.get_by_label("Password")).to_be_visible()
                context.close()
        finally:
            close_rooms()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_terminals_page_can_be_read_by_day_and_by_night(
    program: Browser, plant: Plant, address: str, scheme: str
) -> None:  # fmt: skip
    """Every text at least 4.5 : 1 against what it stands on."""
    context = program.new_context(base_url=address, color_scheme=scheme, viewport={"width": 1280, "height": 800})  # type: ignore[arg-type]
    with plant.room.records.unit() as unit:
        secret = unit.terminals.add(f"Hall of {scheme}", by="Ana", reason="looks")
    context.add_cookies([{"name": "kizu-terminal", "value": secret, "url": address}])
    page = context.new_page()
    page.goto("/signin")
    scan(page, "no badge of ours")
    page.get_by_text("Sign in with a password").click()
    texts = page.locator("h1, h2, header p, label, input:not([type=hidden]), button, .alert, summary, .help p, code")
    contrasts = texts.evaluate_all(CONTRASTS)
    assert len(contrasts) >= 15
    assert [(tag, contrast) for tag, contrast in contrasts if contrast < 4.5] == []
    context.close()
