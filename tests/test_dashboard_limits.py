"""Saving limits on the page Agreement, and their versions on the page Admin: who may, what is asked, kept and told."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect
from pypdf import PdfReader
from streamlit.testing.v1 import AppTest

from browser_world import browser_of, chromium, window
from dashboard_world import enter_people, served, session_cookie
from db_examples import model
from floor_world import Floor, empty_floor
from kizu_dashboard.agreement import at_limits, gather_agreement
from kizu_dashboard.limits import seen_by, seen_text
from kizu_dashboard.periods import named_period
from kizu_dashboard.reports.content import gather_report
from kizu_dashboard.reports.csv import csv_report
from kizu_dashboard.reports.pdf import pdf_report
from kizu_dashboard.thresholds import Limits
from kizu_dashboard.wording import promise_text
from kizu_db.permissions import Role
from kizu_db.values import RecipeRow
from kizu_inspect.results import Verdict
from kizu_inspect.sums.outcomes import outcomes
from pages_world import drawn, open_page, words
from test_dashboard_agreement import HOUR, fill

PLATES = replace(
    model(), spec={"thresholds": {"pass_below": 0.2, "reject_from": 0.6}}, promise={"miss_rate": 0.02, "bound": 0.019}
)


@pytest.fixture
def floor(tmp_path: Path, cookies: dict[str, str]) -> Iterator[Floor]:
    """Eun, the engineer, looks at it; the line has run once."""
    with empty_floor(tmp_path) as floor:
        enter_people(floor.room.records)
        with floor.room.records.unit() as unit:
            unit.models.register(PLATES)
        cookies |= session_cookie(floor.config, "Eun")
        start(floor)
        fill(floor)
        yield floor


def start(floor: Floor, model_hash: str = PLATES.hash, **changes: object) -> RecipeRow:
    """The line starts with this recipe."""
    content = {"bundle": "bundles/plates", "pass_below": None, "reject_from": None, **changes}
    with floor.room.records.unit() as unit:
        return unit.recipes.register("press-3", content, model_hash, by="station press-3")


def latest(floor: Floor) -> RecipeRow:
    with floor.room.records.unit(read_only=True) as unit:
        recipe = unit.recipes.latest("press-3")
    assert recipe is not None
    return recipe


def agreement(floor: Floor) -> AppTest:
    return open_page(floor.config, "agreement.py")


def typed(test: AppTest, pass_below: float, reject_from: float) -> AppTest:
    test.number_input(key="pass-below").set_value(pass_below)
    return drawn(test.number_input(key="reject-from").set_value(reject_from).run())


def saved(test: AppTest, reason: str) -> AppTest:
    """The dialog is opened, filled and confirmed."""
    drawn(test.button(key="save-limits").click().run())
    test.text_area(key="limits-why").set_value(reason)
    return drawn(test.button(key="save-limits-now").click().run())


def test_saved_limits_are_a_version_with_the_figures_that_were_seen(floor: Floor) -> None:
    text = words(agreement(floor))
    assert "press-3 is to judge by version 1 of its recipe, limits of the model: PASS below 0.200, REJECT from 0.600." in text
    test = typed(agreement(floor), 0.1, 0.85)
    said = words(saved(test, "the lamp is new"))
    assert "Saved as version 2 of the recipe of press-3: PASS below 0.100, REJECT from 0.850." in said
    assert "version 2 of its recipe, limits of Eun: PASS below 0.100, REJECT from 0.850. No part of it is on record yet" in said
    recipe = latest(floor)
    assert (recipe.version, recipe.limits) == (2, (0.1, 0.85))
    assert recipe.chosen is not None
    assert (recipe.chosen.by, recipe.chosen.reason) == ("Eun", "the lamp is new")
    agreed = gather_agreement(floor.room, named_period("Last 7 days", floor.now), station=None)
    found = outcomes(at_limits(agreed, Limits(0.1, 0.85)))
    told = dict(recipe.chosen.seen)
    assert told.pop("since")
    assert told == {name: value for name, value in seen_by(agreed, found).items() if name != "since"}
    assert (told["inspections"], told["reviewed"], told["audited"]) == (130, 46, 20)
    assert told["miss_rate"]["upper"] > told["miss_rate"]["value"]
    floor.add(-HOUR, recipe_id=recipe.id)
    assert "No part of it is on record yet" not in words(agreement(floor))


def test_the_slider_and_the_fields_tell_the_same(floor: Floor) -> None:
    test = drawn(agreement(floor).slider(key="limits").set_value((0.3, 0.9)).run())
    assert (test.number_input(key="pass-below").value, test.number_input(key="reject-from").value) == (0.3, 0.9)
    test = typed(test, 0.00025, 0.7)
    assert test.slider(key="limits").value == (0.00025, 0.7)
    assert "The PASS limit lies above the REJECT limit." in words(typed(test, 0.8, 0.7))
    assert not [one for one in test.button if one.key == "save-limits"]


def test_a_higher_pass_limit_says_that_the_promise_is_lost_and_a_lower_one_keeps_it(floor: Floor) -> None:
    lost = "at most 2.0 % of the defective parts missed, does not hold here: it was calibrated with PASS below 0.200"
    test = typed(agreement(floor), 0.3, 0.6)
    assert lost in words(drawn(test.button(key="save-limits").click().run()))
    test = typed(agreement(floor), 0.1, 0.6)
    assert lost not in words(drawn(test.button(key="save-limits").click().run()))
    saved(typed(agreement(floor), 0.3, 0.6), "fewer good parts to look at")
    uid = floor.add(HOUR, Verdict.REJECT, model_hash=PLATES.hash, recipe_id=latest(floor).id)
    assert f"{lost}, and this is PASS below 0.300." in words(open_page(floor.config, "part.py", uid=uid))
    report = gather_report(floor.room.records, floor.config, since=floor.now - 1.5 * HOUR, until=floor.now)
    (row,) = csv.DictReader(io.StringIO(csv_report(report).decode("utf-8-sig"), newline=""))
    assert (row["inspection"], row["promise_holds"]) == (uid, "no")
    paper = PdfReader(io.BytesIO(pdf_report(report, floor.room.images))).pages[0].extract_text()
    assert f"Promise press-3, version 2: The promise of this model, {lost}" in re.sub(r"\s+", " ", paper)
    with floor.room.records.unit(read_only=True) as unit:
        known = unit.models.get(PLATES.hash)
    assert known is not None
    assert [known.keeps_promise(limit) for limit in (None, 0.2, 0.19, 0.21)] == [True, True, True, False]
    assert promise_text(replace(known, promise=None), 0.1) == promise_text(replace(known, promise=None), None)
    assert replace(known, promise=None).keeps_promise(0.1) is None


def test_figures_that_leave_out_the_classes_own_rules_say_so(floor: Floor) -> None:
    said = "Classes with rules of their own are judged otherwise than by these limits alone, which is left out too: "
    assert said not in words(agreement(floor))
    start(floor, classes={"scratch": {"severity": "critical", "reject_from": None}, "dent": {"severity": "minor"}})
    test = typed(agreement(floor), 0.1, 0.6)
    assert words(test).count(f"{said}dent, scratch.") == 1
    assert words(drawn(test.button(key="save-limits").click().run())).count(f"{said}dent, scratch.") == 2, "and in the dialog"


def test_nothing_is_saved_without_a_reason(floor: Floor) -> None:
    text = words(saved(typed(agreement(floor), 0.1, 0.8), " "))
    assert "Say why: found no reason" in text
    assert latest(floor).version == 1


def test_what_was_changed_meanwhile_is_looked_at_first(floor: Floor) -> None:
    test = drawn(typed(agreement(floor), 0.1, 0.8).button(key="save-limits").click().run())
    start(floor, audit_share=0.5)
    test.text_area(key="limits-why").set_value("the lamp is new")
    text = words(drawn(test.button(key="save-limits-now").click().run()))
    assert "The recipe of press-3 was changed meanwhile: found version 2; expected version 1, as looked at" in text
    assert latest(floor).chosen is None


def test_the_role_is_asked_again_when_it_is_saved(floor: Floor) -> None:
    test = drawn(typed(agreement(floor), 0.1, 0.8).button(key="save-limits").click().run())
    with floor.room.records.unit() as unit:
        unit.users.change("Eun", by="Ana", role=Role.INSPECTOR)
    test.text_area(key="limits-why").set_value("the lamp is new")
    assert "Eun may not set a station" in words(drawn(test.button(key="save-limits-now").click().run()))
    assert latest(floor).version == 1


def test_an_inspector_looks_and_does_not_save(floor: Floor, cookies: dict[str, str]) -> None:
    cookies |= session_cookie(floor.config, "Kim")
    test = typed(agreement(floor), 0.1, 0.8)
    assert "Limits are saved by people with the role engineer or one above." in words(test)
    assert not [one for one in test.button if one.key == "save-limits"]


def test_where_kizu_yaml_wins_the_page_says_so_and_shows_the_lines(floor: Floor) -> None:
    start(floor, pass_below=0.05)
    test = typed(agreement(floor), 0.1, 0.8)
    assert "The kizu.yaml of press-3 sets its limits itself, and wins" in words(test)
    assert [one.value for one in test.code] == ["recipe:\n  pass_below: 0.1\n  reject_from: 0.8"]
    assert not [one for one in test.button if one.key == "save-limits"]


def test_scores_of_another_model_and_several_stations_save_nothing(floor: Floor) -> None:
    with floor.room.records.unit() as unit:
        unit.models.register(replace(PLATES, hash="cd" * 32))
    start(floor, "cd" * 32)
    assert "press-3 has another model since" in words(agreement(floor))
    floor.add(HOUR, station="press-4")
    assert "Choose a station above to save limits for it." in words(agreement(floor))
    text = words(open_page(floor.config, "agreement.py", at="press-4"))
    assert "Nothing was reviewed in this period" in text


def test_the_versions_stand_on_admin_and_an_earlier_one_is_taken_again(floor: Floor) -> None:
    saved(typed(agreement(floor), 0.3, 0.85), "fewer good parts to look at")
    for recipe in (1, 2, 2):
        with floor.room.records.unit(read_only=True) as unit:
            version = unit.recipes.version("press-3", recipe)
        assert version is not None
        floor.add(HOUR, recipe_id=version.id)
    test = open_page(floor.config, "admin.py", section="Limits")
    text = words(test)
    for piece in (
        "<td>Eun</td><td>0.300</td><td>0.850</td><td>2</td><td>fewer good parts to look at</td>",
        "<td>the model</td><td>0.200</td><td>0.600</td><td>1</td><td>–</td><td>–</td><td>holds</td>",
        "of 130 inspections, by 46 reviewed ones, 20 of the audit sample", "does not hold here",
    ):  # fmt: skip
        assert piece in text, piece
    test.selectbox(key="limits-version").select(1)
    assert "Say why" in words(drawn(test.button(key="take-limits").click().run()))
    test.selectbox(key="limits-version").select(1)
    test.text_input(key="limits-again-why").set_value("escapes at the customer")
    said = words(drawn(test.button(key="take-limits").click().run()))
    assert "Saved as version 3 of the recipe of press-3, with the limits of version 1." in said
    recipe = latest(floor)
    assert recipe.chosen is not None
    assert (recipe.limits, recipe.chosen.reason, seen_text(recipe.chosen.seen)) == (
        (None, None), "escapes at the customer", "As in version 1",
    )  # fmt: skip
    assert "As in version 1" in words(test)


def test_who_comes_back_from_another_page_finds_the_limits_of_the_station(floor: Floor) -> None:
    with served(floor.config) as address, chromium() as program:
        browser = browser_of(program, floor.config, address, "Eun", width=1280, height=800)
        with window(browser, address) as page:
            page.goto("/agreement")
            fields = [page.get_by_label(name, exact=True) for name in ("PASS below", "REJECT from")]
            for _ in range(2):
                for field, value in zip(fields, ("0.2", "0.6"), strict=True):
                    expect(field).to_have_value(value)
                page.get_by_role("link", name="Quality").click()
                expect(page.get_by_role("heading", name="Quality")).to_be_visible()
                page.get_by_role("link", name="Agreement").click()
            fields[0].fill("0.3")
            fields[0].press("Enter")
            expect(page.locator(".st-key-card-what-if").get_by_role("slider").first).to_have_value("0.3")


def test_an_engineer_saves_limits_and_finds_them_among_the_versions(floor: Floor) -> None:
    with served(floor.config) as address, chromium() as program:
        browser = browser_of(program, floor.config, address, "Eun", width=1280, height=800)
        with window(browser, address) as page:
            page.goto("/agreement")
            card = page.locator(".st-key-card-what-if")
            field = card.get_by_label("PASS below", exact=True)
            field.fill("0.3")
            field.press("Enter")
            card.get_by_role("button", name="Save for press-3").click()
            dialog = page.get_by_role("dialog")
            expect(dialog.get_by_role("row", name="New")).to_contain_text("PASS below 0.300, REJECT from 0.600")
            expect(dialog).to_contain_text("does not hold here")
            dialog.get_by_label("Why, for the audit trail").fill("fewer good parts to look at")
            dialog.get_by_role("button", name="Save as a new version").click()
            expect(page.get_by_text("Saved as version 2 of the recipe of press-3")).to_be_visible()
            expect(dialog).to_have_count(0)
            page.goto("/admin?section=Limits")
            expect(page.get_by_role("row", name="fewer good parts to look at")).to_contain_text("Eun")
    assert latest(floor).limits == (0.3, 0.6)
