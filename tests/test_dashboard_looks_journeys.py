"""The look in a real browser: both themes, what assistive technology finds, and screens from a tablet to 4K."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser_world import browser_of, until_settled, window
from dashboard_world import MODEL_HASH, Plant, filled_plant
from kizu_dashboard.theme import DARK, LIGHT
from kizu_db.values import NewInspection
from kizu_inspect.results import Judgement, ModelInfo, Verdict
from looks_world import AWAKE, PAGES, SECTIONS, SIZES, at_size, come_to, findings

LONG_NAME = "S/N-" + "0123456789" * 20
LONG_REASON = "the gasket of the upper housing was moved by the operator " * 6
MANY = ("good", *(f"very_long_defect_class_name_number_{number}" for number in range(40)))


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with filled_plant(tmp_path_factory.mktemp("plant"), start=datetime.now(UTC) - timedelta(minutes=30)) as plant:
        add_extreme(plant)
        plant.review("P-1005", disposition="defective", decision="accept", defect_class="missing_hole", reason=LONG_REASON)
        plant.review("P-1006", decision="accept")
        plant.review("=HYPERLINK(1)")
        yield plant


def add_extreme(plant: Plant) -> None:
    """A part of which everything is as long as it may be."""
    now = datetime.now(UTC)
    probabilities = dict.fromkeys(MANY, 0.02) | {MANY[1]: 0.2}
    judgement = Judgement(Verdict.REJECT, f"{MANY[1]}: {LONG_REASON}", probabilities, MANY[1], MANY[1], 0.9, 320, 320)
    model = ModelInfo(
        hash=MODEL_HASH[::-1], name="forty", classes=MANY, good="good", path=plant.config.images.path / "bundle",
        spec={"thresholds": {"pass_below": 0.2, "reject_from": 0.6}}, promise=None,
    )  # fmt: skip
    with plant.room.records.unit() as unit:
        unit.models.register(model)
        plant.uids[LONG_NAME] = unit.inspections.add(
            NewInspection(
                source="camera", source_key="long", station="press-9", part=LONG_NAME, view="top", lot="L7",
                captured_at=now, judged_at=now, judgement=judgement, image_name=LONG_NAME + ".png", model_hash=model.hash,
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def browser(program: Browser, plant: Plant, address: str) -> BrowserContext:
    """Ana's browser, who as the admin has every page."""
    return browser_of(program, plant.config, address, "Ana", width=1280, height=800)


@pytest.fixture
def page(browser: BrowserContext, address: str) -> Iterator[Page]:
    with window(browser, address) as page:
        yield page


def in_theme(page: Page, theme: str) -> None:
    """From here on the browser prefers this theme; it is there when Streamlit's own paper has its colour."""
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    paper = (DARK if theme == "dark" else LIGHT)["paper"]
    expect(page.locator("[data-testid=stApp], body:has(main > form)")).to_have_css("background-color", rgb(paper))


def rgb(hexadecimal: str) -> str:
    """As a browser says a colour."""
    return f"rgb({', '.join(str(int(hexadecimal[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_axe_finds_what_is_put_there_on_purpose(page: Page) -> None:
    come_to(page, "/reports")
    page.evaluate("document.querySelector('h1').style.color = '#dddddd'")
    page.evaluate("document.querySelector('[data-testid=stMain]').append(document.createElement('button'))")
    assert {found.split(" ", 2)[2].partition(":")[0] for found in findings(page)} == {"color-contrast", "button-name"}


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_a_serious_finding_in_either_theme_or_is_scrolled_sideways_on_any_screen(page: Page, path: str) -> None:
    come_to(page, path)
    for theme in ("light", "dark"):
        in_theme(page, theme)
        until_settled(page)
        assert findings(page) == []
    for width, height in SIZES:
        at_size(page, width, height)


def test_the_dialog_that_saves_limits_has_no_serious_finding(page: Page) -> None:
    come_to(page, "/agreement?at=press-3")
    card = page.locator(".st-key-card-what-if")
    field = card.get_by_label("PASS below", exact=True)
    field.fill("0.35")
    field.press("Enter")
    card.get_by_role("button", name="Save for press-3").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    for theme in ("light", "dark"):
        in_theme(page, theme)
        until_settled(page)
        assert findings(page) == []


def test_a_part_and_the_dialog_of_keys_have_no_serious_finding(page: Page, plant: Plant) -> None:
    for part in ("P-1005", LONG_NAME):
        come_to(page, f"/part?uid={plant.uids[part]}", seen=AWAKE)
        for theme in ("light", "dark"):
            in_theme(page, theme)
            until_settled(page)
            assert findings(page) == []
    page.keyboard.press("?")
    expect(page.locator("dialog.help")).to_be_visible()
    for theme in ("dark", "light"):
        in_theme(page, theme)
        until_settled(page)
        assert findings(page) == []


def test_signing_in_has_no_serious_finding(browser: BrowserContext, address: str) -> None:
    assert browser.browser is not None
    stranger = browser.browser.new_context(base_url=address)
    with window(stranger, address) as page:
        page.goto("/signin")
        for theme in ("light", "dark"):
            in_theme(page, theme)
            assert findings(page) == []
    stranger.close()


def test_every_page_of_the_menu_is_looked_at(page: Page) -> None:
    come_to(page, "/")
    links = page.get_by_test_id("stTopNavLink")
    expect(links.first).to_be_visible()
    named = {str(link.get_attribute("href")).removeprefix(page.url.rstrip("/")) or "/" for link in links.all()}
    assert named == {path.partition("?")[0] for path in PAGES}
    come_to(page, "/admin")
    expect(page.get_by_test_id("stMain").get_by_role("radio")).to_have_text(SECTIONS)


def test_charts_and_components_follow_the_theme_without_being_asked_for_again(page: Page) -> None:
    come_to(page, "/quality")
    bar = page.locator(".st-key-pareto .mark-rect path").first
    for theme, palette in (("light", LIGHT), ("dark", DARK), ("light", LIGHT)):
        in_theme(page, theme)
        expect(bar).to_have_css("fill", rgb(palette["main"]))
        expect(page.locator(".st-key-pareto .role-axis-label text").first).to_have_css("fill", rgb(palette["quiet"]))
        expect(page.locator(".st-key-cell-parts .about").first).to_have_css("color", rgb(palette["quiet"]))
    come_to(page, "/")
    badge = page.locator("tr .badge", has_text="PASS").first
    for theme, palette in (("dark", DARK), ("light", LIGHT)):
        in_theme(page, theme)
        expect(badge).to_have_css("color", rgb(palette["pass"]))
        expect(badge).to_have_css("background-color", rgb(palette["pass-paper"]))


def test_classes_are_said_without_underscores(page: Page, plant: Plant) -> None:
    come_to(page, "/")
    row = page.locator(f"tr[data-uid='{plant.uids['P-1005']}']")
    expect(row.locator(".suspected")).to_have_text("missing hole")
    expect(row.locator(".reason")).to_contain_text("missing hole: defect score")
    for path in ("/", "/quality", "/agreement", "/live"):
        come_to(page, path)
        expect(page.get_by_text("missing hole").first).to_be_attached()
        expect(page.get_by_text("missing_hole")).to_have_count(0)
    # What is read there can be asked for as it is read.
    come_to(page, "/?suspected=missing+hole")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_text("Only suspected missing hole")).to_be_visible()


def test_the_longest_names_break_neither_part_nor_review(page: Page, plant: Plant) -> None:
    for path in (
        f"/part?uid={plant.uids[LONG_NAME]}",
        "/review?station=press-9",
        f"/part?uid={plant.uids['P-1005']}",
    ):
        come_to(page, path, seen=AWAKE)
        for width, height in SIZES:
            at_size(page, width, height)
            inside = page.locator(".panel").evaluate("panel => panel.scrollWidth <= panel.clientWidth + 1")
            assert inside, (path, width)
    page.set_viewport_size({"width": 1280, "height": 800})
    come_to(page, "/review?station=press-9", seen=AWAKE)
    expect(page.locator(".answers button")).to_have_count(43)
    last = page.locator(".answers button").last
    last.focus()
    expect(last).to_be_in_viewport()


def test_the_longest_names_keep_the_list_on_the_screen(page: Page, plant: Plant) -> None:
    come_to(page, "/")
    expect(page.locator(f"tr[data-uid='{plant.uids[LONG_NAME]}']")).to_be_visible()
    for width, height in SIZES:
        at_size(page, width, height)
        edge = page.locator(".list").evaluate("list => list.getBoundingClientRect().right")
        assert edge <= width, width


def test_photo_and_panel_are_seen_together_on_a_panel_pc(page: Page) -> None:
    come_to(page, "/review?station=press-3", seen=AWAKE)
    for what in (".stage", ".panel"):
        expect(page.locator(what)).to_be_in_viewport(ratio=1)


def test_on_a_tablet_held_upright_the_panel_follows_the_photo(page: Page) -> None:
    page.set_viewport_size({"width": 820, "height": 1180})
    come_to(page, "/review?station=press-3", seen=AWAKE)
    photo, panel = page.locator(".stage").bounding_box(), page.locator(".panel").bounding_box()
    assert photo is not None
    assert panel is not None
    assert photo["width"] > 700
    assert panel["width"] > 700
    assert photo["y"] + photo["height"] <= panel["y"]
    expect(page.locator(".answers")).to_be_in_viewport(ratio=1)


def test_nothing_of_streamlits_own_menu_shows(page: Page) -> None:
    come_to(page, "/")
    for name in ("stMainMenu", "stAppDeployButton", "stDecoration", "stStatusWidget"):
        expect(page.get_by_test_id(name)).to_be_hidden()


def test_of_forty_defects_one_is_found_by_its_name_and_by_keys_alone(page: Page, plant: Plant) -> None:
    come_to(page, f"/part?uid={plant.uids[LONG_NAME]}", seen=AWAKE)
    page.keyboard.press("l")
    field, said = page.locator(".by-name-text"), page.locator(".by-name-said")
    expect(field).to_be_focused()
    page.keyboard.type("NUMBER 3")
    expect(page.locator(".to-defective:visible")).to_have_count(11)
    page.keyboard.press("Enter")
    expect(said).to_have_text("Type more of the name: several defects have it")
    page.keyboard.type("7x")
    page.keyboard.press("Enter")
    expect(said).to_have_text("No defect has this in its name")
    assert plant.record(LONG_NAME).reviews == ()
    page.keyboard.press("Backspace")
    expect(page.locator(".to-defective:visible")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".standing")).to_contain_text("defective: very long defect class name number 37")
    expect(field).to_have_value("")
