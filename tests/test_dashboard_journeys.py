"""What a person does at the dashboard, in a real browser."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser_world import browser_of, window
from dashboard_world import Plant
from kizu_db.values import NewInspection
from kizu_inspect.results import Judgement, Verdict

ASKED = "performance.getEntriesByType('resource').filter(({ name }) => !name.includes('/beside/')).length"
"""How much was fetched, but for the picture to compare with, which comes once the part was looked at for a moment."""


@pytest.fixture(scope="module")
def browser(program: Browser, plant: Plant, address: str) -> BrowserContext:
    """Kim's browser, one for all journeys, as a person has it: the pages' scripts are fetched and compiled once."""
    return browser_of(program, plant.config, address, "Kim")


@pytest.fixture
def page(browser: BrowserContext, address: str) -> Iterator[Page]:
    with window(browser, address) as page:
        yield page


def open_part(page: Page, plant: Plant, part: str) -> None:
    page.goto(f"/part?uid={plant.uids[part]}")
    page.wait_for_selector(f".stage[data-uid='{plant.uids[part]}']")


def hottest(page: Page) -> dict[str, float]:
    """Where the drawn map is most opaque, in pixels of the picture, and how opaque it is there and in the corner."""
    page.wait_for_selector(".stage[data-map=drawn]")
    found: dict[str, float] = page.locator("canvas.map").evaluate(
        """canvas => {
            const { width, height } = canvas
            const data = canvas.getContext("2d").getImageData(0, 0, width, height).data
            let best = 0
            for (let i = 0; i < width * height; i++) {
                const value = i => data[4 * i] + data[4 * i + 1] + data[4 * i + 2]
                if (data[4 * i + 3] === 255 && value(i) > value(best)) best = i
            }
            return { x: best % width, y: Math.floor(best / width), alpha: data[4 * best + 3], corner: data[3] }
        }"""
    )
    return found


def weakest(page: Page) -> int:
    """How opaque the drawn map is where it is least so, but for where nothing of it is drawn."""
    found: int = page.locator("canvas.map").evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
            const alphas = new Set(data.filter((_, index) => index % 4 === 3))
            alphas.delete(0)
            return Math.min(...alphas)
        }"""
    )
    return found


def test_from_the_list_to_the_part_and_back(page: Page, plant: Plant) -> None:
    page.goto("/")
    row = page.locator(f"tr[data-uid='{plant.uids['P-1002']}']")
    expect(row).to_contain_text("✕ REJECT")
    expect(page.locator("tbody tr")).to_have_count(12)
    # A name with markup stands there as text.
    expect(page.locator("tbody tr a").first).to_have_text("<b>P-1012</b>")
    row.get_by_role("link", name="P-1002").click()
    page.wait_for_url(re.compile(f"/part\\?uid={plant.uids['P-1002']}"))
    expect(page.locator(".kz-name")).to_have_text("P-1002")
    page.get_by_role("link", name="Back to Search").click()
    expect(page.locator("tbody tr")).to_have_count(12)


def test_the_way_back_from_a_part_keeps_what_the_list_was_narrowed_to(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="REJECT").click()
    expect(page.locator("tbody tr")).to_have_count(6)
    page.get_by_label("Part or lot", exact=True).fill("P-10")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(4)
    for way in ("the link", "the browser's button"):
        page.get_by_role("link", name="P-1002").click()
        expect(page.locator(".kz-name")).to_have_text("P-1002")
        if way == "the link":
            page.get_by_role("link", name="Back to Search").click()
        else:
            page.go_back()
        expect(page.locator("tbody tr")).to_have_count(4)


def test_thumbnails_are_loaded_and_a_missing_picture_says_so(page: Page, plant: Plant) -> None:
    page.goto("/")
    image = page.locator(f"tr[data-uid='{plant.uids['P-1002']}'] img")
    image.wait_for()
    page.wait_for_function("image => image.complete && image.naturalWidth === 160", arg=image.element_handle())
    expect(page.locator(f"tr[data-uid='{plant.uids['P-1010']}'] .thumb")).to_have_text("no picture")


def test_the_heatmap_lies_on_the_defect_with_method_and_scale(page: Page, plant: Plant) -> None:
    open_part(page, plant, "P-1005")
    hot = hottest(page)
    explanation = plant.record("P-1005").explanation
    assert explanation is not None
    region = explanation.regions[0]
    assert region.x1 <= hot["x"] < region.x2
    assert region.y1 <= hot["y"] < region.y2
    assert (hot["alpha"], hot["corner"]) == (255, 0)
    legend = page.locator(".legend")
    expect(legend).to_contain_text("Grad-CAM")
    expect(legend).to_contain_text("evidence for missing hole")
    expect(legend).to_contain_text("Peak of this picture: 1.20 of the scale")
    assert region.score == pytest.approx(1.2, abs=0.05)  # the cell's centre lies between pixels
    expect(page.locator(".box span")).to_have_text(f"1 · missing hole · {region.score:.2f}")


def test_opacity_keys_and_zoom_work_without_the_server(page: Page, plant: Plant) -> None:
    open_part(page, plant, "P-1005")
    hottest(page)
    page.evaluate(f"window.seen = {ASKED}")
    canvas = page.locator("canvas.map")
    page.locator(".opacity").fill("25")
    expect(canvas).to_have_css("opacity", "0.25")
    page.keyboard.press("h")
    expect(canvas).to_have_css("opacity", "0")
    page.keyboard.press("h")
    expect(canvas).to_have_css("opacity", "0.25")
    page.keyboard.press("r")
    expect(page.locator(".boxes")).to_be_hidden()
    page.keyboard.press("r")
    expect(page.locator(".boxes")).to_be_visible()
    width = page.locator(".box").bounding_box()
    page.get_by_title("Zoom in").click()
    expect(page.locator(".factor")).to_have_text("150 %")
    wider = page.locator(".box").bounding_box()
    assert width is not None
    assert wider is not None
    assert wider["width"] == pytest.approx(1.5 * width["width"], abs=1)
    page.get_by_title("Whole picture").click()
    expect(page.locator(".factor")).to_have_text("100 %")
    assert page.evaluate(f"{ASKED} - window.seen") == 0


def test_threshold_and_colours_are_the_persons_own_and_change_in_the_browser_alone(page: Page, plant: Plant) -> None:
    open_part(page, plant, "P-1005")
    hot = hottest(page)
    page.evaluate(f"window.seen = {ASKED}")
    assert weakest(page) < 20
    page.locator(".threshold").fill("20")
    assert weakest(page) == 4 * round(0.2 * 255), "what is weaker is gone, and nothing else is weaker than it was"
    expect(page.locator(".hidden-words")).to_have_text("Evidence below 0.20 of the scale is hidden")
    ramp = page.locator(".ramp").evaluate("(ramp) => ramp.style.background")
    assert "20%" in ramp
    page.locator(".colours").select_option("cividis")
    same = hottest(page)
    assert (same["x"], same["y"]) == (hot["x"], hot["y"]), "the evidence itself is as it was"
    assert page.locator(".ramp").evaluate("(ramp) => ramp.style.background") != ramp
    assert page.evaluate(f"{ASKED} - window.seen") == 0
    page.reload()
    hottest(page)
    expect(page.locator(".colours")).to_have_value("cividis")
    assert weakest(page) == 4 * round(0.2 * 255)
    strange = {"threshold": "<b>", "colours": "constructor", "opacity": 900}
    page.evaluate("kept => localStorage.setItem('kizu-heatmap', JSON.stringify(kept))", strange)
    page.reload()
    hottest(page)
    expect(page.locator(".colours")).to_have_value("inferno")
    expect(page.locator(".hidden-words")).to_have_text("All evidence is shown")
    expect(page.locator(".opacity-value")).to_have_text("60 %")


def test_boxes_lie_where_the_photo_shows_the_region(page: Page, plant: Plant) -> None:
    open_part(page, plant, "P-1005")
    hottest(page)
    explanation = plant.record("P-1005").explanation
    assert explanation is not None
    region = explanation.regions[0]
    photo, box = page.locator("img.photo").bounding_box(), page.locator(".box").bounding_box()
    assert photo is not None
    assert box is not None
    scale = photo["width"] / 320
    assert box["x"] == pytest.approx(photo["x"] + region.x1 * scale, abs=1)
    assert box["y"] == pytest.approx(photo["y"] + region.y1 * scale, abs=1)
    assert box["width"] == pytest.approx((region.x2 - region.x1) * scale, abs=1)


def test_a_contour_is_drawn_around_what_is_warm(page: Page, plant: Plant) -> None:
    open_part(page, plant, "P-1002")
    hottest(page)
    explanation = plant.record("P-1002").explanation
    assert explanation is not None
    region = explanation.regions[0]
    photo, line = page.locator("img.photo").bounding_box(), page.locator(".box polygon.line")
    assert photo is not None
    drawn = line.evaluate(
        """line => {
            const place = line.getScreenCTM()
            return Array.from(line.points, (point) => point.matrixTransform(place)).map(({ x, y }) => [x, y])
        }"""
    )
    scale = photo["width"] / 320
    assert len(drawn) == len(region.contour) > 8
    for (x, y), (u, v) in zip(drawn, region.contour, strict=True):
        assert (x, y) == pytest.approx((photo["x"] + (u + 0.5) * scale, photo["y"] + (v + 0.5) * scale), abs=1)
    expect(page.locator(".box")).to_have_css("border-top-width", "0px")
    page.keyboard.press("r")
    expect(line).to_be_hidden()
    page.keyboard.press("r")
    # Regions of before there were contours have their boxes.
    open_part(page, plant, "<b>P-1012</b>")
    expect(page.locator(".box")).to_have_css("border-top-width", "2px")
    expect(page.locator(".box polygon")).to_have_count(0)


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("P-1007", "The map is flat: no place in the picture stands out for “dent”."),
        ("P-1008", "The heatmap is being made."),
        ("P-1009", "The heatmap could not be made: out of memory"),
        ("P-1010", "No heatmap: this picture was not judged."),
    ],
)
def test_where_there_is_no_map_the_page_says_why(page: Page, plant: Plant, part: str, sentence: str) -> None:
    open_part(page, plant, part)
    expect(page.locator(".notice")).to_have_text(sentence)
    expect(page.locator(".legend")).to_be_hidden()


def test_reports_are_downloaded(page: Page, tmp_path: Path) -> None:
    page.goto("/reports")
    files = {}
    for kind in ("CSV", "PDF"):
        page.get_by_role("button", name=f"Make {kind}").click()
        with page.expect_download() as waiting:
            page.get_by_role("button", name=f"Download {kind}").click()
        waiting.value.save_as(tmp_path / kind)
        files[kind] = (waiting.value.suggested_filename, (tmp_path / kind).read_bytes())
    assert re.fullmatch(r"kizu-defects-[\d-]{10}-to-[\d-]{10}\.pdf", files["PDF"][0])
    assert files["PDF"][1].startswith(b"%PDF-")
    rows = list(csv.DictReader(io.StringIO(files["CSV"][1].decode("utf-8-sig"), newline="")))
    assert len(rows) == 9


def test_earlier_parts_with_evidence_at_the_same_place_are_shown_when_asked_for(page: Page, plant: Plant) -> None:
    first = plant.record("P-1002")
    assert first.explanation is not None
    now = datetime.now(UTC)
    with plant.room.records.unit() as unit:
        uid = unit.inspections.add(
            NewInspection(
                source="camera", source_key="near", station=first.row.station, view=first.row.view, part="near",
                image_name="near",
                judgement=Judgement(Verdict.REJECT, "why", first.probabilities, "scratch", "scratch", 0.9, 320, 320),
                captured_at=now, judged_at=now, model_hash=first.row.model_hash, image_sha256=first.row.image_sha256,
            )
        )  # fmt: skip
        unit.inspections.store_explanation(uid, first.explanation)
    plant.review("P-1002")
    page.goto(f"/part?uid={uid}")
    page.get_by_text("Earlier parts with evidence for scratch at this place").click()
    part = page.locator(f".strip a[data-uid='{plant.uids['P-1002']}']")
    expect(part.locator(".about")).to_contain_text("good")
    expect(page.get_by_text("only the place is alike")).to_be_visible()
    part.click()
    page.wait_for_url(f"**/part?uid={plant.uids['P-1002']}")
