"""The page Admin in a real browser: what people do there, and what becomes of it elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from browser_world import WAIT_MS, browser_of, window
from dashboard_world import Plant, enter_people, filled_plant
from signing_world import PASSWORD

WHY = "Why, for the audit trail"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with filled_plant(tmp_path_factory.mktemp("plant"), start=datetime.now(UTC) - timedelta(hours=2)) as plant:
        enter_people(plant.room.records)
        yield plant


@pytest.fixture
def page(program: Browser, plant: Plant, address: str) -> Iterator[Page]:
    """Ana's window, of a small laptop."""
    with window(browser_of(program, plant.config, address, "Ana", width=1280, height=800), address) as page:
        yield page


def choose(page: Page, label: str, option: str) -> None:
    """In a field of the page's own kind."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option).click()


def became(page: Page, said: str) -> None:
    expect(page.locator(".kz-state", has_text=said)).to_be_visible()


def test_who_is_added_in_the_browser_signs_in_with_the_password(page: Page, program: Browser, address: str) -> None:
    page.goto("/admin?section=People")
    card = page.locator(".st-key-card-new-person")
    card.get_by_label("Name").fill("Bo Li")
    card.get_by_label("Password", exact=True).fill(PASSWORD)
    card.get_by_label("The same again").fill(PASSWORD)
    card.get_by_label(WHY).fill("second shift")
    card.get_by_role("button", name="Add").click()
    became(page, "Bo Li is inspector")
    expect(card.get_by_label("Password", exact=True)).to_have_value("")
    expect(page.locator(".st-key-card-people tr", has_text="Bo Li")).to_contain_text("inspector")
    theirs = program.new_page(base_url=address)
    theirs.set_default_timeout(WAIT_MS)
    theirs.goto("/")
    theirs.get_by_label("Name").fill("bo li")
    theirs.get_by_label("Password").fill(PASSWORD)
    theirs.get_by_role("button", name="Sign in").click()
    expect(theirs.locator(".kz-who")).to_contain_text("Bo Li inspector")
    expect(theirs.get_by_role("link", name="Reports")).to_be_visible()
    expect(theirs.get_by_role("link", name="Admin")).to_have_count(0)
    theirs.goto("/admin")
    expect(theirs.get_by_text("This page is not for your role")).to_be_visible()
    theirs.close()


def test_a_part_is_taken_from_who_has_it_on_the_screen(page: Page, plant: Plant) -> None:
    with plant.room.records.claims() as claims:
        claim = claims.take("Kim")
    assert claim is not None
    page.goto("/")
    page.get_by_role("link", name="Admin").click()
    page.get_by_role("radio", name="Claims").click()
    expect(page.locator(".st-key-card-claims tr", has_text="Kim")).to_have_count(1)
    choose(page, "Part", "Kim")
    page.get_by_label(WHY).fill("gone home")
    page.get_by_role("button", name="Release").click()
    became(page, "The part is free; Kim had it")
    expect(page.get_by_text("Nobody has a part on the screen")).to_be_visible()
    assert re.search("section=Claims", page.url)
    with plant.room.records.claims() as claims:
        again = claims.take("Lee")
    assert again is not None
    assert again.uid_inspection == claim.uid_inspection


def test_a_lot_is_held_and_the_trail_tells_it(page: Page, plant: Plant) -> None:
    page.goto("/admin?section=Retention")
    form = page.locator(".st-key-card-held")
    form.get_by_label("Lot to hold").fill("L7")
    form.get_by_label(WHY).fill("claim 4711")
    form.get_by_role("button", name="Hold", exact=True).click()
    became(page, "The lot L7 is held")
    with plant.room.records.unit(read_only=True) as unit:
        assert [(lot.name, lot.by, lot.reason) for lot in unit.lots.held()] == [("L7", "Ana", "claim 4711")]
    page.get_by_role("radio", name="Audit trail").click()
    row = page.locator("tr", has_text="lot.hold")
    expect(row).to_contain_text("held: false → true")
    expect(row).to_contain_text("claim 4711")
    page.get_by_role("button", name="Verify now").click()
    expect(page.locator(".kz-state", has_text="All as written")).to_be_visible()
    expect(page.locator("tr", has_text="records.verify")).to_have_count(1)


def test_a_silent_station_is_told_and_leads_to_live(page: Page) -> None:
    page.goto("/reports")
    alert = page.locator(".st-key-alerts")
    expect(alert).to_contain_text("Station press-3: nothing recorded since ")
    alert.get_by_role("link", name="Live").click()
    page.wait_for_url(re.compile("/live"))
    expect(page.locator(".kz-name")).to_have_text("press-3")
    expect(page.get_by_role("button", name="Dismiss")).to_have_count(0)
    page.get_by_role("link", name="Reports").click()
    alert.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("button", name="Dismiss")).to_have_count(0)
    page.get_by_role("link", name="Quality").click()
    expect(page.get_by_role("heading", name="Quality")).to_be_visible()
    expect(page.get_by_role("button", name="Dismiss")).to_have_count(0)
